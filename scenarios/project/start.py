"""How a gateway is started: a line of somebody's script as a command that needs no shell."""

import re
import shlex
from collections.abc import Mapping, Sequence

from msgspec import Struct

PORT = "{port}"
"""Placeholder in a command, for the port of a pod."""

_SHELL = re.compile(r"[|;&<>`\n]|\$\(")
_PORT_VARIABLE = re.compile(r"\$\{PORT(?::?-[^}]*)?\}|\$PORT\b")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_PORT_OPTIONS = ("--port", "-p")
_BOUND_PORT = re.compile(r"(?<=:)\d{2,5}$")


class Start(Struct, frozen=True, kw_only=True):
    """A command that starts one pod, where it was found, and what it needs."""

    words: tuple[str, ...]
    origin: str
    """`package.json: scripts.start`."""
    language: str
    """`Node`, `Python`; empty where it is not known."""
    setup: tuple[str, ...] = ()
    """Command that makes the program startable."""
    environment: Mapping[str, str] = {}
    tools: tuple[str, ...] = ()
    """What a CI job has to install beforehand: `pnpm`, `poetry`, …"""
    leaves: tuple[str, ...] = ()
    """Folders that `setup` makes, as lines of .gitignore."""

    @property
    def has_port(self) -> bool:
        """Whether the port is part of the command."""
        return any(PORT in part for part in (*self.words, *self.environment.values()))


class Plain(Struct, frozen=True):
    """A line without a shell."""

    words: tuple[str, ...]
    environment: dict[str, str]


def plain_command(line: str) -> Plain | None:
    """The line as words and variables; None where only a shell understands it.

    `$PORT`, and a port after `--port`, become a placeholder: each pod gets a port of its own.
    """
    line = _PORT_VARIABLE.sub(PORT, line.strip())
    if _SHELL.search(line) or "$" in line:
        return None
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if words[:1] == ["exec"]:
        words = words[1:]
    environment: dict[str, str] = {}
    if words[:1] == ["cross-env"]:
        words = words[1:]
    while words and (match := _ASSIGNMENT.fullmatch(words[0])):
        environment[match[1]] = match[2]
        words = words[1:]
    if not words:
        return None
    environment.pop("PORT", None)
    return Plain(tuple(with_port(words)), environment)


def with_port(words: Sequence[str]) -> list[str]:
    """The words, with a placeholder for a port that is written into an option."""
    changed = list(words)
    for place, word in enumerate(changed):
        option, equals, value = word.partition("=")
        before = changed[place - 1] if place else ""
        if option in _PORT_OPTIONS and equals and value.isdecimal():
            changed[place] = f"{option}={PORT}"
        elif before in _PORT_OPTIONS and word.isdecimal():
            changed[place] = PORT
        elif before in {"-b", "--bind"} or option == "--bind":
            changed[place] = _BOUND_PORT.sub(PORT, word)
    return changed

"""Looks at a folder: which gateway is in it, how it is started, and what it asks of its clients."""

import re
import shlex
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from scenarios.project.feed import Feed, feed
from scenarios.project.folder import Source, read, read_json, sources
from scenarios.project.hints import Hints, hints
from scenarios.project.node import is_node_gateway, node_start
from scenarios.project.other_starts import dockerfile_start, dockerfile_words, procfile_start
from scenarios.project.python import IN_ENVIRONMENT, environment_of, is_python_gateway, python_start
from scenarios.project.start import PORT, Start, plain_command

LOOKED_FOR = (
    "socket.io in package.json, python-socketio in pyproject.toml, requirements.txt or .py files, a Procfile"
    " and a Dockerfile"
)


class Project(Struct, frozen=True, kw_only=True):
    """A project and its gateway."""

    name: str
    """Of letters, digits and dashes."""
    start: Start
    hints: Hints
    feed: Feed


def look(folder: Path, command: str = "") -> Project | None:
    """The gateway of this folder, which is an absolute path; None where there is none.

    command: how it is started, if the user says so.
    """
    found = sources(folder)
    start = _start(folder, found)
    if command:
        start = _told(command, start)
    if start is None:
        return None
    seen = hints(found)
    others = [name for name in seen.port_variables if name != "PORT"]
    if not start.has_port and "PORT" not in seen.port_variables and len(others) == 1:
        start = replace(start, environment={**start.environment, others[0]: PORT})
    return Project(name=_name(folder), start=start, hints=seen, feed=feed(found))


def reads_port(project: Project) -> bool:
    """Whether a pod can be told its port."""
    return project.start.has_port or "PORT" in project.hints.port_variables


def gateways_below(folder: Path) -> list[str]:
    """Folders below this one that have a gateway: one repository may have several projects."""
    below = [path for pattern in ("*/", "*/*/") for path in sorted(folder.glob(pattern))]
    found = [
        path.relative_to(folder).as_posix()
        for path in below
        if not any(part.startswith(".") or part == "node_modules" for part in path.relative_to(folder).parts)
        and (is_node_gateway(path) or _names_socketio(path))
    ]
    return found[:3]


def unknown_program(folder: Path) -> str:
    """The command of a Dockerfile that this machine cannot start; empty where there is none."""
    words = dockerfile_words(read(folder / "Dockerfile"))
    return " ".join(words) if words and dockerfile_start(folder) is None else ""


def _start(folder: Path, found: tuple[Source, ...]) -> Start | None:
    own: Start | None = None
    if is_node_gateway(folder):
        own = node_start(folder, found)
        language = "Node"
    elif is_python_gateway(folder, found):
        own = python_start(folder, found)
        language = "Python"
    else:
        return procfile_start(folder) or dockerfile_start(folder)
    script = own is not None and own.origin.startswith("package.json: scripts")
    other = None if script else procfile_start(folder) or (dockerfile_start(folder) if own is None else None)
    if other is None:
        return own
    if language == "Node":
        made = own or Start(words=(), origin="", language="Node", setup=("npm", "install"))
        return replace(other, language=language, setup=made.setup, tools=made.tools, leaves=made.leaves)
    return _in_environment(folder, other)


def _in_environment(folder: Path, start: Start) -> Start:
    """The command of another file, with the programs of the project's virtual environment."""
    environment = environment_of(folder)
    words = start.words
    if environment.programs and words[0] in IN_ENVIRONMENT:
        words = (f"{environment.programs}{words[0]}", *words[1:])
    return replace(
        start,
        words=words,
        language="Python",
        setup=environment.setup,
        tools=environment.tools,
        leaves=environment.leaves,
    )


def _told(command: str, found: Start | None) -> Start:
    """The user's command, installed as what was found."""
    plain = plain_command(command)
    words = _raw_words(command) if plain is None else plain.words
    environment = {} if plain is None else plain.environment
    start = found or Start(words=words, origin="", language="")
    return replace(start, words=words, environment=environment, origin="--gateway")


def _raw_words(command: str) -> tuple[str, ...]:
    """The words of a line that asks for a shell; loading the scenario refuses them with the reason."""
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return (command,)


def _names_socketio(folder: Path) -> bool:
    texts = (read(folder / name) for name in ("requirements.txt", "pyproject.toml"))
    return any(re.search(r"(?i)\b(?:python|flask)[-_.]socketio\b", text) for text in texts)


def _name(folder: Path) -> str:
    """A name for the scenario: that of the package, or of the folder."""
    package = read_json(folder / "package.json").get("name")
    text = package if isinstance(package, str) and package else folder.name
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "gateway"

"""What a proxy's own validator says against a file, as findings."""

import re
from collections.abc import Iterator
from pathlib import Path

from scenarios.lint.finding import Finding, Place, Rule, Severity

_PROBLEM = re.compile(
    r"\[(?:alert|emerg|crit|error|critical)\]\s*(?:\(\d+\)\s*:\s*(?:config\s*:\s*)?|\d+#\d+:\s*)?",
    re.IGNORECASE,
)
_SUMMARY = re.compile(r"Fatal errors found|Error\(s\) found in configuration file")
_NOT_HERE = re.compile(
    r"No such file or directory|Permission denied|Invalid path|host not found|not resolve|get(?:pw|gr)nam",
    re.IGNORECASE,
)
_LINE = re.compile(r":(\d+)\b")


def _rejected(proxy: str, command: str) -> Rule:
    return Rule(
        name=f"{proxy}-rejected",
        severity=Severity.ERROR,
        happens=f"{proxy} does not start, or a reload keeps the configuration of before",
        change=f"what `{command}` names",
        source=f"{command}, on this machine",
    )


def _stopped(proxy: str, command: str) -> Rule:
    return Rule(
        name=f"{proxy}-not-validated",
        severity=Severity.NOTE,
        happens="the validator needs it and this machine does not have it, so the rest was not validated",
        change="run --validate where the proxy runs, or with stand-ins for its certificates and includes",
        source=f"{command}, on this machine",
    )


_COMMANDS = {"nginx": "nginx -t", "haproxy": "haproxy -c", "envoy": "envoy --mode validate"}
REJECTED = {proxy: _rejected(proxy, command) for proxy, command in _COMMANDS.items()}
STOPPED = {proxy: _stopped(proxy, command) for proxy, command in _COMMANDS.items()}
RULES = (*REJECTED.values(), *STOPPED.values())
"""Found with `--validate` only."""


def validated(complaint: str, proxy: str, file: Path) -> Iterator[Finding]:
    """A finding for each problem in what a validator has written; none where it has accepted the file.

    What this machine lacks, such as a certificate or the address of a pod, is no mistake in the file: a note.
    """
    for problem in _problems(complaint):
        rule = (STOPPED if _NOT_HERE.search(problem) else REJECTED)[proxy]
        named = _LINE.search(problem.rpartition(file.name)[2]) if file.name in problem else None
        yield rule.at(Place(str(file), int(named[1]) if named else 1), f"{_COMMANDS[proxy]} says “{problem}”")


def _problems(complaint: str) -> list[str]:
    """Each problem on one line; a validator that marks none has one."""
    lines = [" ".join(line.split()) for line in complaint.splitlines()]
    marked = [
        line[mark.end() :] for line in lines if (mark := _PROBLEM.search(line)) and not _SUMMARY.search(line)
    ]
    whole = " ".join(filter(None, lines))
    return marked or [whole] * bool(whole)

"""Files from the code for programs: the schema of scenario files, the commands, and rules for Prometheus."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from scenarios.cli.main import COMMANDS, main
from scenarios.reference import completion
from scenarios.reference.scenario_schema import FILE, scenario_schema
from scenarios.reference.topics import topics
from tools import alerts_file

KINDS = {"KEY=VALUE": "setting", "[SCENARIO]": "scenario", "SCENARIO": "scenario", "SOURCE": "scenario"}
"""What completes a parameter, by its metavar."""


def commands() -> dict[str, Any]:
    """Every command with what completion has to know of its parameters."""
    return {
        name: {"help": text, "parameters": [*map(_parameter, _visible(name))]}
        for name, (_, text) in COMMANDS.items()
    }


FILES: dict[Path, Callable[[], Any]] = {FILE: scenario_schema, completion.COMMANDS: commands}


def differences() -> list[str]:
    """Which files are not what would be written, one line each."""
    return [f"{path}: out of date" for path, text in _contents().items() if _on_disk(path) != text]


def write() -> list[str]:
    """Writes what is out of date; one line for each."""
    done = []
    for path, text in _contents().items():
        if _on_disk(path) != text:
            path.write_text(text, encoding="utf-8")
            done.append(f"{path}: written")
    return done


def _contents() -> dict[Path, str]:
    written = {path: f"{json.dumps(make(), indent=1, ensure_ascii=False)}\n" for path, make in FILES.items()}
    return {**written, alerts_file.FILE: alerts_file.text()}


def _on_disk(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _visible(name: str) -> list[click.Parameter]:
    command = main.get_command(click.Context(main), name)
    assert command is not None  # noqa: S101 - the table has it
    if isinstance(command, click.Group):
        return [click.Argument(["command"], type=click.Choice([*command.commands]))]
    return [each for each in command.params if not getattr(each, "hidden", False)]


def _parameter(parameter: click.Parameter) -> dict[str, Any]:
    option = parameter if isinstance(parameter, click.Option) else None
    default = parameter.default if isinstance(parameter.default, str) else None
    return {
        "names": [*parameter.opts, *parameter.secondary_opts] if option else [parameter.name],
        "help": (option.help or "").partition(". ")[0].removesuffix(".") if option else "",
        "flag": bool(option and option.is_flag),
        "many": parameter.multiple or parameter.nargs != 1,
        "default": None if option else default,
        "completes": _completes(parameter),
    }


def _completes(parameter: click.Parameter) -> str | list[str]:
    match parameter.type:
        case click.Choice(choices=choices):
            return [*map(str, choices)]
        case click.Path(file_okay=False):
            return "folder"
        case click.Path():
            return "file"
    if parameter.name == "words":
        return [*dict.fromkeys(topic.name for topic in topics() if topic.group)]
    return KINDS.get(parameter.metavar or "", "")

"""Completion in a shell, from two stored files: the commands with their options, and the schema of scenarios.

A shell asks at every key press, so nothing is imported that takes long: no command, no type of a scenario.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from scenarios.reference.completion_scripts import SHELLS
from scenarios.reference.completion_words import is_scenario, scenario_words, setting_words

PROGRAM = "reconnect-storm"
VARIABLE = "_RECONNECT_STORM_COMPLETE"
"""Environment variable by which a shell asks; click's name for it."""
COMMANDS = Path(__file__).with_name("commands.json")
"""Every command with its parameters; `make docs` writes it."""

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem[str]]"]


def complete(instruction: str) -> None:
    """Prints the completions that a shell asks for, by an instruction such as `bash_complete`, and exits."""
    shell, _, action = instruction.partition("_")
    kind = SHELLS.get(shell)
    if kind is None or action != "complete":
        sys.exit(1)
    click.echo(kind(command_line(), {}, PROGRAM, VARIABLE).complete())
    sys.exit(0)


def script(shell: str) -> str:
    """The completion script of a shell."""
    return SHELLS[shell](command_line(), {}, PROGRAM, VARIABLE).source()


def command_line() -> click.Group:
    """The commands with their options, as far as completion needs them."""
    commands: dict[str, Any] = json.loads(COMMANDS.read_text(encoding="utf-8"))
    group = click.Group(PROGRAM, context_settings={"help_option_names": ["-h", "--help"]})
    for name, entry in commands.items():
        parameters = [_parameter(each) for each in entry["parameters"]]
        group.add_command(click.Command(name, params=parameters, help=entry["help"]))
    return group


def _parameter(entry: Mapping[str, Any]) -> click.Parameter:
    names, completes = entry["names"], entry["completes"]
    words: Completer | None = {"scenario": _scenarios, "setting": _settings}.get(str(completes))
    kind: click.ParamType[Any] | None = None
    if isinstance(completes, list):
        words = _one_of(completes)
    elif completes in {"file", "folder"}:
        kind = click.Path(file_okay=completes == "file")
    if not names[0].startswith("-"):
        many, default = (-1, None) if entry["many"] else (1, entry["default"])
        return click.Argument(
            names, nargs=many, required=False, default=default, type=kind, shell_complete=words
        )
    return click.Option(
        names,
        is_flag=entry["flag"],
        multiple=entry["many"],
        type=None if entry["flag"] else kind,
        help=entry["help"],
        shell_complete=words,
    )


def _one_of(choices: list[str]) -> Completer:
    """Completes the choices, whatever the case of what has been typed."""

    def words(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
        begun = incomplete.casefold()
        return [CompletionItem(choice) for choice in choices if choice.casefold().startswith(begun)]

    return words


def _scenarios(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    return _items(scenario_words(incomplete))


def _settings(ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    # An option without its value may end the parsing, so the scenario is looked for among all words.
    typed = ctx.parent.args if ctx.parent else []
    argument = next((each for each in ctx.command.params if each.name == "scenario_name"), None)
    default = str(argument.default) if argument is not None else ""
    return _items(setting_words(incomplete, next(filter(is_scenario, typed), default)))


def _items(words: Mapping[str, str]) -> "list[CompletionItem[str]]":
    return [CompletionItem(word, help=text or None) for word, text in words.items()]

"""Every command in a page exists, with its options, its scenario and its make target."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import pytest

from scenarios.cli.main import COMMANDS, main
from scenarios.scenario.loader import catalog, load, refuse_set_by_arms

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in [
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "examples").glob("*/README.md")),
    ]
    if path.name != "CHANGELOG.md"
]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PLAYS_ARMS = {"compare", "estimate", "simulate"}
ELSEWHERE = ("$", "my_policy:")
"""Of values that are a variable of the shell, or a file of the reader's."""
TAKES_A_SCENARIO = {"run", "compare", "rehearse", "estimate", "simulate", "tune", "gate", "k8s"}


def lines(page: Path) -> Iterator[str]:
    """Every line of an indented block, continued lines as one, and every code span."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    yield from re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", text)


def calls(page: Path, program: str) -> Iterator[list[str]]:
    """The arguments of every call of a program; `…` stands for arguments that are left out."""
    for line in lines(page):
        for part in re.split(r" && ", line.split(" # ")[0].split("  #")[0]):
            match = re.match(rf"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/|uvx )?{program} ([a-z-].*)", part.strip())
            if match:
                yield [word for word in shlex.split(match[1]) if "…" not in word]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_call_in_a_page_has_a_command_options_and_a_scenario_that_exist(page: Path) -> None:
    for name, *arguments in calls(page, "reconnect-storm"):
        if name.startswith("-") or name == "locust":  # Locust's own options
            continue
        command = main.get_command(click.Context(main), name)
        assert command is not None, name
        if isinstance(command, click.Group):
            command = command.commands[arguments.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        given = [word for word in arguments if word.startswith("--")]
        assert {word.split("=")[0] for word in given} <= options | {"--help"}, (name, arguments)
        first = arguments[0] if arguments else ""
        if name in TAKES_A_SCENARIO and re.fullmatch(r"[a-z][a-z-]*", first):
            assert first in catalog(), first


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_call_in_a_page_sets_is_not_replaced_by_every_arm(page: Path) -> None:
    for name, *arguments in calls(page, "reconnect-storm"):
        sets = [value for option, value in pairwise(arguments) if option == "--set"]
        if name not in PLAYS_ARMS or any(word in value for word in ELSEWHERE for value in sets):
            continue
        scenario = next(
            (word for word in arguments if word in catalog() or word.endswith(".toml")), "mass-drop"
        )
        path = scenario if scenario in catalog() else str(ROOT / scenario)
        refuse_set_by_arms(load(path, sets), sets)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_in_a_page_exists(page: Path) -> None:
    named = {word for words in calls(page, "make") for word in words if re.fullmatch(r"[a-z0-9-]+", word)}
    assert named <= TARGETS


def test_the_readme_lists_every_command() -> None:
    table = re.findall(
        r"^\| `([a-z0-9-]+)[^|]* \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {*table} == {*COMMANDS}


def test_the_readme_begins_with_a_table_that_can_be_taken_in_at_a_glance() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    heading, rule, *rows = tables[0].splitlines()
    assert len(rows) <= 6
    assert {row.count("|") for row in (heading, rule, *rows)} == {heading.count("|")}

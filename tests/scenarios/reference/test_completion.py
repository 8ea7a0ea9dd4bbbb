"""Completion in a shell: what click asks for, what each shell is told, and what is not loaded for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import FishComplete
from click.testing import CliRunner

from reconnect_storm.__main__ import COMPLETE
from scenarios.cli.main import COMMANDS, main
from scenarios.events.registry import EVENTS
from scenarios.limits.registry import LIMITS
from scenarios.policies.registry import POLICIES
from scenarios.reference.completion import PROGRAM, VARIABLE, command_line, complete, script
from scenarios.reference.completion_scripts import Bash, Zsh
from scenarios.reference.completion_words import scenario_words, setting_words
from scenarios.scenario.loader import catalog
from tools.pages import data

ROOT = Path(__file__).parents[3]


def asked_by_bash(line: str, monkeypatch: pytest.MonkeyPatch, breaks: str = "\"'@><=;|&(:") -> list[str]:
    """What bash is told for this line, with the cursor at its end."""
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_WORDBREAKS", breaks)
    answer = Bash(command_line(), {}, PROGRAM, VARIABLE).complete()
    return [one.partition(",")[2] for one in answer.splitlines()]


# -- what is stored -------------------------------------------------------------------------------


def test_the_stored_files_are_what_would_be_written() -> None:
    assert data.differences() == [], "run `make docs`"


def forms(parameter: click.Parameter) -> set[str]:
    return {*parameter.opts, *parameter.secondary_opts}


def test_every_command_and_every_visible_option_is_known() -> None:
    known = command_line().commands
    assert {*known} == {*COMMANDS}
    for name, command in known.items():
        real = main.get_command(click.Context(main), name)
        assert real is not None
        if not isinstance(real, click.Group):
            shown = [each for each in real.params if not getattr(each, "hidden", False)]
            assert [forms(each) for each in shown] == [forms(each) for each in command.params], name


# -- words ----------------------------------------------------------------------------------------

LINES: dict[str, tuple[str, set[str]]] = {
    "commands": ("", {*COMMANDS}),
    "the beginning of a command": ("exp", {"explain", "export"}),
    "options": ("run --ret", {"--retries"}),
    "scenarios": ("run mass", {"mass-drop"}),
    "a choice": ("schema r", {"result", "run"}),
    "shells": ("completion ", {"bash", "zsh", "fish"}),
    "measures": ("gate --measure avail", {"availability"}),
    "words to explain, whatever their case": ("explain metas", {"METASTABLE"}),
    "a subcommand": ("agent n", {"nginx"}),
    "keys": ("run --set fleet.po", {"fleet.policy="}),
    "tables": ("compare mass-drop --set ga", {"gateway."}),
    "policies": ("gate --set fleet.policy=", {*POLICIES}),
    "policies of a rescue": ("run --set phases.rescue_policy=nai", {"naive"}),
    "limits": ("run --set edge.limit=", {*LIMITS}),
    "limits of one side": ("gate --candidate-set edge.limit=gl", {"global"}),
    "a key with few values": ("run --set fleet.stale_by=", {"gap", "age"}),
    "a switch": ("run --set gateway.cancel_gone=t", {"true"}),
    "a key of a nested table": ("run --set gateway.metrics.loop_l", {"gateway.metrics.loop_lag="}),
    "places of events": ("run mass-drop --set event.", {"event.0."}),
    "events": ("run mass-drop --set event.0.do=", {*EVENTS}),
    "a key of an event": ("run feed-freeze --set event.0.for", {"event.0.for_s="}),
    "a key of no event": ("run mass-drop --set event.0.fac", set()),
    "an event without a scenario": ("run --set event.0.at", {"event.0.at_s="}),
    "an unknown key": ("run --set fleet.xyz.a", set()),
    "a value of an unknown key": ("run --set xyz=", set()),
    "a number": ("run --set fleet.clients=", set()),
}


@pytest.mark.parametrize(("line", "words"), LINES.values(), ids=LINES)
def test_completes(line: str, words: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert {*asked_by_bash(f"reconnect-storm {line}", monkeypatch)} == words


def test_all_scenarios_files_and_folders_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "storms").mkdir()
    (tmp_path / "storms" / "big.toml").touch()
    (tmp_path / ".hidden").mkdir()
    monkeypatch.chdir(tmp_path)
    assert {*scenario_words("")} == {*catalog(), "mine.toml", "storms/"}
    assert {*scenario_words("mi")} == {"mine.toml"}
    assert {*scenario_words("storms/")} == {"storms/big.toml"}
    assert {*scenario_words("no-such-folder/")} == set()
    assert {*scenario_words(f"{tmp_path}/m")} == {f"{tmp_path}/mine.toml"}


def test_the_events_of_a_file_are_offered(tmp_path: Path) -> None:
    file = tmp_path / "storm.toml"
    file.write_text('[[event]]\nat_s = 3\ndo = "scale"\npods = 3\n[[event]]\nat_s = 3\ndo = "drop_all"\n')
    assert setting_words("event.", str(file)) == {"event.0.": "scale", "event.1.": "drop_all"}
    assert {*setting_words("event.0.p", str(file))} == {"event.0.pods="}
    assert setting_words("event.1.pods", str(file)) == {}


@pytest.mark.parametrize("text", ["not = [toml", "event = 3", "event = [3]", ""])
def test_a_file_that_is_no_scenario_offers_no_events(text: str, tmp_path: Path) -> None:
    file = tmp_path / "storm.toml"
    file.write_text(text)
    assert setting_words("event.", str(file)) == {}
    assert setting_words("event.0.x.y=", str(file)) == {}


def test_a_key_comes_with_its_meaning() -> None:
    assert setting_words("fleet.rt", "")["fleet.rtt_ms="].startswith("Median round trip of a client")


# -- shells ---------------------------------------------------------------------------------------


def test_bash_is_told_only_what_follows_its_last_break(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "reconnect-storm run --set fleet.policy=nai"
    assert asked_by_bash(line, monkeypatch) == ["naive"]
    assert asked_by_bash(line, monkeypatch, breaks=" ") == ["fleet.policy=naive"]


def test_zsh_and_fish_are_told_the_whole_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", "reconnect-storm run --set fleet.policy=nai")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert Zsh(command_line(), {}, PROGRAM, VARIABLE).complete() == "plain\tfleet.policy=naive\t"
    monkeypatch.setenv("COMP_CWORD", "fleet.policy=nai")
    answer = FishComplete(command_line(), {}, PROGRAM, VARIABLE).complete()
    assert "fleet.policy=naive" in answer


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_asks_this_program_by_the_name_that_it_listens_to(shell: str) -> None:
    text = script(shell)
    assert VARIABLE == COMPLETE
    assert f"{VARIABLE}={shell}_complete" in text
    assert CliRunner().invoke(main, ["completion", shell]).output == f"{text}\n"


def test_without_a_shell_it_is_said_how_to_install_each_script() -> None:
    output = CliRunner().invoke(main, ["completion"]).output
    for shell in ("bash", "zsh", "fish"):
        assert f"reconnect-storm completion {shell} > " in output


@pytest.mark.parametrize("instruction", ["tcsh_complete", "bash_source", ""])
def test_an_unknown_instruction_fails_silently(instruction: str) -> None:
    with pytest.raises(SystemExit, match="1"):
        complete(instruction)


HEAVY = {
    "gevent",
    "jinja2",
    "locust",
    "matplotlib",
    "msgspec",
    "numpy",
    "psutil",
    "reports.analysis",
    "rich",
    "scipy",
}


def test_a_completion_loads_nothing_that_takes_long() -> None:
    source = (
        "import sys; from reconnect_storm.__main__ import main\n"
        "try: main()\n"
        "finally: print('loaded:', *sys.modules)"
    )
    line = "reconnect-storm run --set fleet.policy=nai"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
        env={**clean, VARIABLE: "bash_complete", "COMP_LINE": line, "COMP_WORDBREAKS": "="},
    )
    answer, _, loaded = done.stdout.partition("loaded: ")
    assert answer == "plain,naive\n"
    assert HEAVY & set(loaded.split()) == set()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_bash_completes_a_key_without_a_space_and_a_value(tmp_path: Path) -> None:
    (tmp_path / "reconnect-storm").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m reconnect_storm "$@"\n', encoding="utf-8"
    )
    (tmp_path / "reconnect-storm").chmod(0o755)
    (tmp_path / "script").write_text(script("bash"), encoding="utf-8")
    ask = (
        "source ./script; complete -p reconnect-storm\n"
        "compopt() { echo compopt $*; }\n"
        "ask() { COMP_LINE=$1; COMP_POINT=${#1}; _reconnect_storm_completion reconnect-storm;"
        ' echo "${COMPREPLY[*]}"; }\n'
        'ask "reconnect-storm run --set fleet.po"; ask "reconnect-storm run --set fleet.policy=inc"\n'
        'ask "reconnect-storm report "\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", ask],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.splitlines() == [
        "complete -o nosort -F _reconnect_storm_completion reconnect-storm",
        "compopt -o nospace",
        "fleet.policy=",
        "incident",
        "compopt -o default",
        "",
    ]

"""A mistake costs one line and no run; what needs no run works without one."""

import json
import resource
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scenarios.cli import main


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def assert_refused(result: Result, *said: str) -> None:
    """Exit status 2 and one line, with all of `said` in it and no traceback."""
    assert result.exit_code == 2, result.output
    assert len(result.output.strip().splitlines()) == 1, result.output
    assert "Traceback" not in result.output
    for part in said:
        assert part in result.output


MISTAKES: dict[str, tuple[str, tuple[str, ...]]] = {
    "wrong key": ("[fleet]\nclient = 3", ("fleet.client", "unknown key", "clients")),
    "wrong type": ('[fleet]\nclients = "many"', ("fleet.clients", "'many'", "int")),
    "out of range": ("[gateway]\npods = 0", ("gateway.pods", "found 0", ">= 1")),
    "unknown policy": ('[fleet]\npolicy = "hopeful"', ("fleet.policy", "'hopeful'", "naive")),
    "unknown limit": ('[edge]\nlimit = "some"', ("edge.limit", "'some'", "per-ip")),
    "unknown event": ('[[event]]\nat_s = 1\ndo = "panic"', ("event[0].do", "'panic'", "drop_all")),
    "no TOML": ("[fleet", ("not valid TOML",)),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES)
@pytest.mark.parametrize("command", ["run", "compare", "rehearse", "doctor"])
def test_a_mistake_in_a_scenario_is_one_line_and_leaves_nothing(
    tmp_path: Path, command: str, text: str, said: tuple[str, ...]
) -> None:
    scenario = tmp_path / "mine.toml"
    scenario.write_text(text, encoding="utf-8")
    runs = tmp_path / "runs"
    options = () if command == "doctor" else ("--runs", str(runs))
    assert_refused(typed(command, str(scenario), *options), "mine.toml", *said)
    assert not runs.exists()


def test_an_override_is_named_in_its_own_mistake() -> None:
    assert_refused(typed("run", "--set", "fleet.clients=abc"), "--set fleet.clients=abc", "'abc'", "int")


def test_a_port_in_use_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        result = typed("run", "--set", f"edge.port={port}", "--runs", str(tmp_path / "runs"))
    assert_refused(result, "edge.port", f"found {port}", "allowed: a free port")
    assert not (tmp_path / "runs").exists()


REHEARSALS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "keys without a terminal": (("--interactive",), ("--interactive", "no terminal", "--choose")),
    "an unknown choice": (
        ("--choose", "scale,pray"),
        ("--choose", "'pray'", "scale, restart, push, limit, wait"),
    ),
    "pods of somebody else": (
        ("--choose", "scale", "--target", "http://127.0.0.1:9"),
        ("--choose", "'scale'", "allowed: push, wait"),
    ),
    "nothing to rehearse": (("--set", "event=[]"), ("mass-drop: key event:", "no fault")),
    "no time for checks": (
        ("--set", 'event=[{at_s=2, do="drop_all"}]'),
        ("event[].at_s", "a fault at 2", "allowed: 3 or more"),
    ),
}


@pytest.mark.parametrize(("options", "said"), REHEARSALS.values(), ids=REHEARSALS)
def test_a_rehearsal_that_cannot_be_played_is_refused(
    tmp_path: Path, options: tuple[str, ...], said: tuple[str, ...]
) -> None:
    assert_refused(typed("rehearse", "mass-drop", *options, "--runs", str(tmp_path / "runs")), *said)
    assert not (tmp_path / "runs").exists()


def test_too_few_descriptors_are_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (1024, 1024))
    result = typed("compare", "--runs", str(tmp_path / "runs"))
    assert_refused(result, "fleet.clients", "found 300", "allowed: 192")
    assert not (tmp_path / "runs").exists()


def test_an_unreadable_scenario_is_refused(tmp_path: Path) -> None:
    assert_refused(typed("run", str(tmp_path)), str(tmp_path), "cannot be read")


def test_an_unknown_scenario_is_refused_with_those_that_there_are() -> None:
    assert_refused(typed("run", "nope"), "nope", "mass-drop")


def test_runs_cannot_go_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = typed("run", "--runs", str(tmp_path / "file" / "runs"))
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize("content", [None, "{}", "[]", '{"schema_version": 99}', "half a fi"])
def test_a_report_on_what_is_no_run_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content, encoding="utf-8")
    assert_refused(typed("report", str(tmp_path)), str(tmp_path))


def test_the_catalogue_can_be_listed_for_people_and_programs() -> None:
    assert "mass-drop" in typed("list").output
    listed = json.loads(typed("list", "--json").output)
    assert "mass-drop" in listed["scenarios"]
    assert {"naive", "incident", "socketio-js"} <= set(listed["policies"])
    assert {"none", "per-ip"} <= set(listed["limits"])


def test_the_doctor_looks_at_everything_that_a_run_needs() -> None:
    result = typed("doctor", "--json")
    found = {finding["what"]: finding for finding in json.loads(result.output)}
    assert found["nginx"]["good"]
    assert {"Cores", "File descriptors", "Source addresses", "Leftover processes"} <= set(found)


@pytest.mark.parametrize("command", ["list", "run", "compare", "rehearse", "report", "doctor"])
def test_every_command_explains_itself(command: str) -> None:
    result = typed(command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.output

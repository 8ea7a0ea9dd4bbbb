"""A mistake costs one line and no run; what needs no run works without one."""

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from scenarios.cli.commands.doctor import Finding
from scenarios.cli.main import COMMANDS, main
from scenarios.host import machine
from scenarios.host.process import AbortedError, StackError
from scenarios.policies.following import PolicyError
from scenarios.runner import run
from scenarios.runner.plan import plans
from scenarios.scenario.loader import load
from tests.support.command_results import assert_refused, words
from tests.support.histories import history, storm, with_seconds


def typed(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, arguments, env=env)


MISTAKES: dict[str, tuple[str, tuple[str, ...]]] = {
    "wrong key": ("[fleet]\nclient = 3", ("fleet.client", "unknown key", "clients")),
    "wrong type": ('[fleet]\nclients = "many"', ("fleet.clients", "'many'", "int")),
    "out of range": ("[gateway]\npods = 0", ("gateway.pods", "invalid value 0", ">= 1")),
    "unknown policy": ('[fleet]\npolicy = "hopeful"', ("fleet.policy", "'hopeful'", "reconnect-storm list")),
    "misspelt policy": ('[fleet]\npolicy = "socketio-j"', ("fleet.policy", "'socketio-j'", "socketio-js")),
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


@pytest.mark.parametrize(
    "command", [("compare",), ("simulate",), ("estimate",), ("k8s", "--command", "compare")], ids=" ".join
)
def test_an_override_that_every_arm_sets_itself_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    env = {"RECONNECT_STORM_RUNS": str(tmp_path / "runs")}
    done = typed(*command, "--set", "fleet.policy=socketio-js", env=env)
    assert_refused(done, "--set fleet.policy: no effect: every arm sets fleet.policy itself")
    assert not (tmp_path / "runs").exists()


TYPED: dict[str, tuple[tuple[str, ...], str]] = {
    "number out of range": (("compare", "--repeats", "0"), "--repeats: invalid value 0: expected 1 to 100"),
    "no number": (("compare", "--repeats", "two"), "--repeats: invalid value 'two': expected 1 to 100"),
    "number below its bound": (("tune", "--confirm-s", "3"), "--confirm-s: invalid value 3: expected >= 30"),
    "none of the choices": (
        ("calibrate-gate", "--record", "1", "--arm", "calm"),
        "--arm: invalid value 'calm': expected one of unchanged, ",
    ),
    "no such file": (("run", "--nginx", "/no/nginx"), "--nginx: file '/no/nginx' does not exist"),
    "unknown option": (("compare", "--repeat", "2"), "no such option --repeat: did you mean --repeats"),
    "unknown option before the command": (("--frozen", "run"), "no such option --frozen"),
    "unknown command": (("rnu",), "no such command 'rnu': did you mean run?"),
    "unknown command like no other": (("xyzzy",), "no such command 'xyzzy'"),
    "option without its value": (("compare", "--repeats"), "option '--repeats' requires an argument"),
    "too many arguments": (("run", "mass-drop", "more"), "got unexpected extra argument (more)"),
}


@pytest.mark.parametrize(("arguments", "said"), TYPED.values(), ids=TYPED)
def test_what_cannot_be_parsed_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    result = typed(*arguments)
    assert_refused(result)
    assert result.stderr.startswith(f"reconnect-storm: {said}")


def test_options_are_listed_in_the_order_in_which_they_are_written() -> None:
    text = typed("gate", "--help").output
    places = [text.index(f"  {option} ") for option in ("--baseline", "--candidate", "--rounds", "--json")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("run", "mass-drop"),
        ("compare", "mass-drop"),
        ("rehearse", "incident"),
        ("simulate", "mass-drop"),
        ("tune", "production"),
        ("gate", "gate-quick"),
        ("calibrate-gate", "gate-quick"),
        ("doctor", "mass-drop"),
    ],
)
def test_a_command_on_a_scenario_says_which_it_takes_and_its_default(name: str, default: str) -> None:
    said = f"SCENARIO is a name from `reconnect-storm list`, or a TOML file; default: {default}."
    # Help is wrapped at hyphens, too.
    assert "".join(said.split()) in "".join(typed(name, "--help").output.split())


def test_a_port_in_use_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        result = typed("run", "--set", f"edge.port={port}", "--runs", str(tmp_path / "runs"))
    assert_refused(result, "edge.port", f"invalid value {port}", "a free port")
    assert not (tmp_path / "runs").exists()


REHEARSALS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "keys without a terminal": (("--interactive",), ("--interactive", "not a terminal", "--choose")),
    "an unknown choice": (
        ("--choose", "scale,pray"),
        ("--choose", "'pray'", "scale, restart, push, limit, wait"),
    ),
    "pods of somebody else": (
        ("--choose", "scale", "--target", "http://127.0.0.1:9"),
        ("--choose", "'scale'", "expected one of push, wait"),
    ),
    "nothing to rehearse": (("--set", "event=[]"), ("mass-drop: event:", "at least one fault")),
    "no time for checks": (
        ("--set", 'event=[{at_s=2, do="drop_all"}]'),
        ("event[].at_s", "invalid value 2", ">= 3"),
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
    assert_refused(result, "fleet.clients", "invalid value 300", "at most 192")
    assert not (tmp_path / "runs").exists()


def test_an_unreadable_scenario_is_refused(tmp_path: Path) -> None:
    assert_refused(typed("run", str(tmp_path)), str(tmp_path), "cannot be read")


def test_an_unknown_scenario_is_refused_with_those_that_are_like_it() -> None:
    assert_refused(typed("run", "mass-dorp"), "mass-dorp", "mass-drop", "reconnect-storm list")
    assert_refused(typed("run", "nope"), "nope", "reconnect-storm list")


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


def test_the_doctor_writes_the_names_of_extras_with_their_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Finding(what="Envoy", good=True, found="not installed: reconnect-storm[envoy]")]
    monkeypatch.setattr("scenarios.cli.commands.doctor.findings", lambda *_: found)
    assert "reconnect-storm[envoy]" in words(typed("doctor"))


@pytest.mark.parametrize(
    ("gateway", "good"), [("python3 server.py --token=abc", True), ("no-such-program x", False)]
)
def test_the_doctor_looks_whether_a_gateway_can_be_started(gateway: str, good: bool) -> None:
    result = typed("doctor", "--json", "--gateway", gateway)
    found = {finding["what"]: finding for finding in json.loads(result.output)}
    assert found["Programs"]["good"] is good
    assert "--token=abc" not in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_in_its_help_what_the_list_of_commands_says(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert name in (command.name, "agent")
    assert command.get_short_help_str(limit=200) == COMMANDS[name][1]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"locust", "agent"}])
def test_every_command_explains_itself(name: str) -> None:
    result = typed(name, "--help")
    assert result.exit_code == 0
    for line in result.output.splitlines():
        assert not line.rstrip().endswith("--"), "an option without a word on what it does"


HEAVY = ("gevent", "jinja2", "locust", "matplotlib", "psutil", "scipy")


@pytest.mark.parametrize(
    ("arguments", "not_loaded"),
    [(["--help"], (*HEAVY, "msgspec", "numpy")), (["list"], HEAVY), (["estimate"], (*HEAVY, "numba"))],
    ids=["help", "list", "estimate"],
)
def test_what_a_command_does_not_need_is_not_loaded(
    arguments: list[str], not_loaded: tuple[str, ...]
) -> None:
    source = (
        "import sys; from scenarios.cli.main import main; main(sys.argv[1:], standalone_mode=False);"
        "print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        # A process that is traced has loaded gevent for the tracer.
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
    )
    loaded = done.stdout.rpartition("loaded: ")[2].split()
    assert {"click", "scenarios"} <= set(loaded)
    assert set(loaded) & set(not_loaded) == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--version"], "locust "),
        (["--", "--help"], "Usage: locust"),
        (["--help"], "--allow-remote"),
        (["--headless", "--host", "http://192.0.2.1:1"], "allow-remote"),
    ],
)
def test_locust_gets_its_own_options(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scenarios.cli", "locust", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert said in done.stdout, done.stdout
    assert done.returncode == (2 if "--host" in arguments else 0)


def test_run_directories_go_where_the_environment_says(tmp_path: Path) -> None:
    assert typed("report", env={"RECONNECT_STORM_RUNS": str(tmp_path / "elsewhere")}).output.count(
        "elsewhere/latest"
    )


# -- nothing ends with a traceback ---------------------------------------------------------------------------

CRASH = "pod-1 ended by itself (killed by SIGKILL); pod-1.log is empty"

ENDS: dict[str, tuple[BaseException, int, str]] = {
    "a part that failed": (StackError(CRASH), 5, CRASH),
    "a part that failed among tasks": (
        ExceptionGroup("tasks", [ValueError("too"), ExceptionGroup("more", [StackError(CRASH)])]),
        5,
        CRASH,
    ),
    "an abort condition": (AbortedError("aborted: p99"), 3, "aborted: p99"),
    "a file that cannot be written": (PermissionError(13, "Permission denied", "/x"), 2, "/x: Permission"),
    "a policy that fails later": (PolicyError("policy 'a:b'"), 2, "policy 'a:b'"),
    "a disk that is full": (OSError(28, "No space left on device"), 2, "No space left on device"),
    "a key that is not there": (KeyError("t_s"), 5, "unexpected error: KeyError: 't_s' (traceback: "),
    "two lines": (ValueError("one\ntwo"), 5, "unexpected error: ValueError: one two"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "interrupted"),
    "Ctrl-C in the middle of a task": (asyncio.CancelledError(), 130, "interrupted"),
}


@pytest.mark.parametrize(("error", "status", "said"), ENDS.values(), ids=ENDS)
def test_whatever_ends_a_command_is_one_line_and_an_exit_status(
    error: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("scenarios.cli.commands.list.catalog", fail)
    result = typed("list")
    assert result.exit_code == status, result.output
    assert said in result.output
    assert len(result.output.splitlines()) == 1
    kept = [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()]
    assert len(kept) == ("unexpected" in said)
    assert all("Traceback" in text and type(error).__name__ in text for text in kept)


def test_who_wants_the_traceback_of_an_unexpected_error_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise KeyError("t_s")

    monkeypatch.setattr("scenarios.cli.commands.list.catalog", fail)
    monkeypatch.setenv("RECONNECT_STORM_DEBUG", "1")
    result = typed("list")
    assert result.exit_code == 5
    assert "Traceback (most recent call last)" in result.output
    assert result.output.splitlines()[-1].endswith("unexpected error: KeyError: 't_s' (see above)")


@pytest.mark.parametrize("arguments", [("list",), ("list", "--json")], ids=["list", "JSON"])
def test_who_stops_reading_is_not_told_about_it(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "scenarios.cli", *arguments]
        done = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode in {0, 141}


def test_a_program_that_cannot_be_executed_is_refused_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "nginx"
    file.write_text("no program")
    result = typed("run", "--nginx", str(file), "--runs", str(tmp_path / "runs"))
    assert_refused(result, f"invalid value '{file}'", "an executable file")
    assert not (tmp_path / "runs").exists()


STATUSES: dict[str, tuple[BaseException, str, str]] = {
    "a part that failed": (StackError(CRASH), "failed", CRASH),
    "a part that failed in a strike": (ExceptionGroup("tasks", [StackError(CRASH)]), "failed", CRASH),
    "this program": (KeyError("t_s"), "failed", "KeyError: 't_s'"),
    "an abort condition": (AbortedError("aborted: p99"), "interrupted", "aborted: p99"),
    "the user": (asyncio.CancelledError(), "interrupted", "stopped by the user"),
}


@pytest.mark.parametrize(("error", "status", "problem"), STATUSES.values(), ids=STATUSES)
def test_a_run_says_what_ended_it(
    error: BaseException, status: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def conduct(_: object) -> None:
        raise error

    monkeypatch.setattr(run._Conductor, "conduct", conduct)
    plan = plans(load("mass-drop", ["matrix={}"]), repeats=1, directory=tmp_path)[0]
    told = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
    with pytest.raises(type(told)):
        asyncio.run(run.run(plan, lambda _: None))
    written = json.loads((plan.directory / "run.json").read_text(encoding="utf-8"))
    assert (written["status"], written["problem"]) == (status, problem)


def test_a_run_that_cannot_be_written_to_its_end_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def conduct(_: object) -> None: ...

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run._Conductor, "conduct", conduct)
    monkeypatch.setattr(run._Conductor, "write_everything", full)
    plan = plans(load("mass-drop", ["matrix={}"]), repeats=1, directory=tmp_path)[0]
    with pytest.raises(OSError, match="No space"):
        asyncio.run(run.run(plan, lambda _: None))
    assert json.loads((plan.directory / "run.json").read_text(encoding="utf-8"))["status"] == "failed"


@pytest.mark.parametrize("command", ["run", "compare", "rehearse"])
def test_a_part_that_fails_is_told_apart_from_a_run_that_is_invalid(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def conduct(_: object) -> None:
        raise ExceptionGroup("tasks", [StackError(CRASH)])

    monkeypatch.setattr(run._Conductor, "conduct", conduct)
    # What somebody else runs on this machine is another matter.
    monkeypatch.setattr(machine, "leftovers", list)
    result = typed(command, "mass-drop", "--runs", str(tmp_path))
    assert result.exit_code == 5, result.output
    assert result.stderr.splitlines() == [f"reconnect-storm: {CRASH}"]
    (file,) = tmp_path.glob("mass-drop/*/**/run.json")
    assert json.loads(file.read_text(encoding="utf-8"))["status"] == "failed"


def recorded(folder: Path, *runs: dict[str, Any]) -> Path:
    for number, info in enumerate(runs):
        with_seconds(history(storm(lambda t: 0.0 if t < 20 else 100.0), **info), folder / f"{number:02}")
    return folder


FAILED: dict[str, Any] = {"status": "failed", "problem": CRASH}
REPORTED: dict[str, tuple[tuple[dict[str, Any], ...], int]] = {
    "a valid run": (({},), 0),
    "a failed run": ((FAILED,), 5),
    "a failed run in one of two rounds": (({"round": 1}, {"round": 2, **FAILED}), 5),
    "a failed run of one of two arms": (({"arm": "a"}, {"arm": "b", **FAILED}), 5),
    "a failed run that was carried out again": (({"round": 1, **FAILED}, {"round": 1}), 0),
    "an interrupted run": (({"status": "interrupted"},), 3),
    "an interrupted run and a failed one": (({"status": "interrupted"}, {"round": 2, **FAILED}), 5),
}


@pytest.mark.parametrize(("runs", "status"), REPORTED.values(), ids=REPORTED)
def test_a_report_on_failed_runs_tells_them_from_invalid_ones(
    runs: tuple[dict[str, Any], ...], status: int, tmp_path: Path
) -> None:
    result = typed("report", str(recorded(tmp_path / "runs", *runs)))
    assert result.exit_code == status, result.output
    if status == 5:
        assert CRASH in " ".join(result.output.split())


SPOILT: dict[str, tuple[str, bytes]] = {
    "series without its seconds": ("series.csv", b"a,b\n1,2\n"),
    "series of letters": ("series.csv", b"t_s,useful\nx,y\n"),
    "pods without their numbers": ("pods.csv", b"t_s,cpu\n1,2\n"),
    "shared IPs without their sizes": ("shared_ips.csv", b"t_s,clients\n1,2\n"),
    "a histogram that cannot be unpacked": (
        "latency.hlog",
        b"Tag=fanout,1.000,1.000,5.000,HISTFAAAABB42pNpmSzMwMDAxAABzFCaEUoz2X+AsQA/awJ/\n",
    ),
    "a histogram in another alphabet": ("latency.hlog", b"Tag=fanout,1.000,1.000,5.000,====\n"),
    "a histogram of nothing": ("latency.hlog", b"Tag=fanout,1.000,1.000,5.000,AAAA\n"),
    "bytes that are no text": ("events.jsonl", b"\xff\xfe"),
    "an event that is no JSON": ("events.jsonl", b"{t_s}\n"),
    "a run that is a list": ("run.json", b"[]"),
}


@pytest.mark.parametrize(("name", "content"), SPOILT.values(), ids=SPOILT)
def test_a_run_directory_that_is_spoilt_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    folder = recorded(tmp_path / "runs", {})
    (folder / "00" / name).write_bytes(content)
    assert_refused(typed("report", str(folder)), str(folder / "00"))

"""Rehearsals on real nginx, real pods and real clients: chosen, aborted, stopped."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from scenarios.scenario.loader import load
from tests.e2e.command_line import command, last_known, running, started, storm_processes

pytestmark = pytest.mark.e2e

REHEARSAL = (
    "fleet.clients=60",
    "fleet.ramp_per_s=60",
    "fleet.clients_per_ip=1",
    "gateway.handshake_cpu_ms=5",
    "gateway.tick_cpu_us=0",
    "event=["
    '{at_s=3, do="drop_share", share=0.5}, {at_s=4, do="scale", pods=3}, '
    '{at_s=10, do="push_policy", policy="incident", reach_s=1}]',
    "phases.duration_s=17",
    "phases.during_s=4",
    "phases.recovery_window_s=4",
    "phases.rescue_at_s=0",
    'hypothesis={metric="time_to_recover_s", operator="<=", bound=1, statement="It is nothing."}',
    "abort.availability_below=0.01",
    "abort.for_s=60",
    "fleet.connect_timeout_s=3",
    "fleet.stale_after_s=0",
)
"""Overrides of `mass-drop`."""

LONG = ("phases.duration_s=60",)
"""For a rehearsal that ends before its time, however late that is noticed."""

LONGEST_S = 240

# They are out for long enough to be asked about.
SLOW_CLIENTS = ('fleet.policy={name="full-jitter", base_s=60, cap_s=60}',)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Run]:
    """Half of the clients are out and will not be back soon: they get more pods, and then another policy."""
    folder = tmp_path_factory.mktemp("runs")
    done = subprocess.run(
        command(
            *("rehearse", "mass-drop", "--force", "--choose", "scale,push"),
            sets=(*REHEARSAL, *SLOW_CLIENTS),
            runs=folder,
        ),
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    (path,) = find_runs([folder / "latest"])
    return done.returncode, done.stdout + done.stderr, Run.load(path)


def test_what_was_chosen_was_done_and_is_written_down(chosen: tuple[int, str, Run]) -> None:
    _, output, run = chosen
    assert run.info.status == "complete", output
    rehearsal = run.info.rehearsal
    assert rehearsal is not None
    assert rehearsal.interactive
    assert [decision.chosen for decision in rehearsal.decisions] == [
        "scale to 3 pods",
        "push policy incident to all clients",
    ]
    begun, ended = (
        [line["event"] for line in run.events if line.get("phase") == phase] for phase in ("begin", "end")
    )
    assert begun == ["drop_share", "scale", "push_policy"]
    assert sorted(ended) == sorted(begun)
    assert {int(row["pod"] or 0) for row in run.pods} == {0, 1, 2}
    assert last_known(run, "connected") == 60, "the pushed policy brought them back"


def test_the_checks_come_before_the_first_fault(chosen: tuple[int, str, Run]) -> None:
    _, output, run = chosen
    assert run.info.rehearsal is not None
    checks = {check.name: check for check in run.info.rehearsal.prechecks}
    assert checks["all clients joined"].passed
    assert checks["abort conditions armed"].found.startswith("availability < 1.0 %")
    assert output.index("pre-checks") < output.index("fault: drop 50 %")
    assert output.index("your choice:") < output.index("decision: scale to 3 pods")


def test_a_late_choice_gets_its_time(chosen: tuple[int, str, Run]) -> None:
    _, _, run = chosen
    assert run.info.rehearsal is not None
    last = run.info.rehearsal.decisions[-1]
    assert run.info.scenario["phases"]["duration_s"] >= last.t_s + 7, (
        "as much as the script gives its last one"
    )
    assert run.info.phases[-1].to_s == run.info.scenario["phases"]["duration_s"]


def test_a_hypothesis_that_did_not_hold_is_told_by_the_exit_status(chosen: tuple[int, str, Run]) -> None:
    status, output, run = chosen
    valid = json.loads(json.dumps(run.info.validity))["valid"]
    assert status == (1 if valid else 3), output
    assert "hypothesis: time to recover ≤ 1 s" in output


def test_the_choices_are_a_scenario_that_can_be_played_again(chosen: tuple[int, str, Run]) -> None:
    _, _, run = chosen
    replay = load(str(run.directory / "rehearsed.toml"))
    struck = [event for event in replay.event if event.enabled]
    assert [event.name for event in struck] == ["drop_share", "scale", "push_policy"]
    assert replay.phases.duration_s == run.info.scenario["phases"]["duration_s"]


def test_a_breach_ends_a_rehearsal_early_and_it_is_judged_and_reported(tmp_path: Path) -> None:
    breach = ("abort.availability_below=0.9", "abort.for_s=4")
    sets = (*REHEARSAL, *LONG, *SLOW_CLIENTS, *breach)
    with started("rehearse", "mass-drop", "--force", sets=sets, runs=tmp_path) as process:
        output, _ = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 1, output
    assert "abort.availability_below is 0.9, for 4 consecutive seconds" in output
    (path,) = find_runs([tmp_path])
    run = Run.load(path)
    assert run.info.status == "complete"
    assert run.info.rehearsal is not None
    served = re.search(r"([0-9.]+) % of the clients were served", run.info.rehearsal.aborted)
    assert served
    assert float(served[1]) < 60
    assert 4 <= (run.rows[-1]["t_s"] or 0) < 40, "long before the end"
    assert run.info.summary["storm"]["availability"] < 0.95
    assert run.histograms["censored"], "who was out counts, though the generator ended by itself"
    assert (path / "rehearsal.html").exists()
    assert storm_processes() == []


def test_ctrl_c_at_the_keyboard_ends_it_in_order(tmp_path: Path) -> None:
    """By keys, at a terminal: one choice, then Ctrl-C."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    with running(
        command(
            "rehearse",
            "mass-drop",
            "--force",
            "--interactive",
            sets=(*REHEARSAL, *LONG, *SLOW_CLIENTS),
            runs=tmp_path,
        ),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "50"},
    ) as process:
        screen = _read_until(ours, "your choice:")
        os.write(ours, b"w")
        screen += _read_until(ours, "decision: wait")
        process.send_signal(signal.SIGINT)
        screen += _read_until_end(ours, process)
    assert process.returncode == 130, screen
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
    (path,) = find_runs([tmp_path])
    run = Run.load(path)
    assert run.info.rehearsal is not None
    assert run.info.rehearsal.aborted == "stopped by the operator"
    assert [decision.chosen for decision in run.info.rehearsal.decisions] == ["wait"]
    assert run.info.status == "complete"
    assert (path / "rehearsal.html").exists()
    assert storm_processes() == []


def _read_until(descriptor: int, text: str) -> str:
    seen, end = "", time.monotonic() + LONGEST_S
    while text not in seen:
        assert time.monotonic() < end, seen
        if select.select([descriptor], [], [], 0.5)[0]:
            seen += os.read(descriptor, 65_536).decode("utf-8", "replace")
    return seen


def _read_until_end(descriptor: int, process: "subprocess.Popen[str]") -> str:
    seen, end = "", time.monotonic() + LONGEST_S
    while process.poll() is None:
        assert time.monotonic() < end, seen
        if select.select([descriptor], [], [], 0.2)[0]:
            seen += os.read(descriptor, 65_536).decode("utf-8", "replace")
    return seen

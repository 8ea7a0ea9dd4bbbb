"""Runs that something else than the storm has hurt: a generator that stood still, a core that others had."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from tests.e2e.command_line import (
    GOOD_OR_INVALID,
    PATIENCE_S,
    SMALL_STORM,
    started,
    storm_processes,
    wait_for,
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.measures,
    pytest.mark.needs_two_cores,
]

STILL_S = 2.5
"""Longer than clients of `mass-drop` wait for a tick, or for an answer."""
BUSY_S = 8
BUSY = "import os, sys, time\nos.sched_setaffinity(0, {int(sys.argv[1])})\n" + (
    "end = time.monotonic() + float(sys.argv[2])\nwhile time.monotonic() < end: pass"
)


def wait_for_event(runs: Path, name: str) -> None:
    """Returns once the first run has written down that it happened."""

    def happened() -> bool:
        texts = [path.read_text(encoding="utf-8") for path in runs.rglob("events.jsonl")]
        return any(f'"event":"{name}"' in text.replace(" ", "") for text in texts)

    wait_for(name, happened)


@contextlib.contextmanager
def storm(runs: Path, *, retries: int = 0) -> Iterator[None]:
    """A small storm; what is in the block happens while it goes on."""
    sets = (*SMALL_STORM, "matrix={}")
    with started("run", "mass-drop", "--retries", str(retries), sets=sets, runs=runs) as process:
        yield
        output, _ = process.communicate(timeout=(1 + retries) * PATIENCE_S)
    assert process.returncode in GOOD_OR_INVALID, output


def runs_in(runs: Path) -> list[Run]:
    return [Run.load(path) for path in find_runs([runs / "latest"])]


def generator() -> psutil.Process:
    (found,) = (one for one in storm_processes() if "locustfile.py" in " ".join(one.cmdline()))
    return found


def test_a_generator_that_stood_still_hangs_nobody_up_and_the_run_is_invalid(tmp_path: Path) -> None:
    with storm(tmp_path):
        wait_for_event(tmp_path, "drop_all")
        process = generator()
        time.sleep(2)
        process.send_signal(signal.SIGSTOP)
        time.sleep(STILL_S)
        process.send_signal(signal.SIGCONT)
    (run,) = runs_in(tmp_path)
    assert run.info.verdict["name"] == "INVALID"
    assert run.info.validity["invalidated_by_host"]
    assert any("load generator late" in one for one in run.info.validity["problems"])
    assert max(lag for lag in run.column("generator_lag_p99_ms") if lag is not None) > 1000 * STILL_S * 0.9
    # The pods went on sending, so that nobody had a reason to hang up.
    assert sum(count for count in run.column("stale") if count is not None) == 0


def test_a_busy_loop_on_the_pods_core_makes_a_run_invalid_and_it_is_carried_out_again(tmp_path: Path) -> None:
    with storm(tmp_path, retries=1):
        wait_for_event(tmp_path, "drop_all")
        core = str(min(os.sched_getaffinity(0)))
        subprocess.run([sys.executable, "-c", BUSY, core, str(BUSY_S)], check=True)
    first, *again = runs_in(tmp_path)
    assert first.info.machine["stack_cores"] == [int(core)]
    assert first.info.verdict["name"] == "INVALID"
    assert first.info.validity["invalidated_by_host"]
    assert any(f"of core {core} (pods and proxy)" in one for one in first.info.validity["problems"])
    assert len(again) == 1


def test_a_worker_of_nginx_that_is_killed_makes_a_run_invalid(tmp_path: Path) -> None:
    with storm(tmp_path):
        wait_for_event(tmp_path, "drop_all")
        time.sleep(2)
        (nginx,) = (one for one in storm_processes() if "nginx: master" in " ".join(one.cmdline()))
        for worker in nginx.children():
            worker.kill()
    (run,) = runs_in(tmp_path)
    assert run.info.verdict["name"] == "INVALID"
    assert any("a worker of nginx was killed" in one for one in run.info.validity["problems"])

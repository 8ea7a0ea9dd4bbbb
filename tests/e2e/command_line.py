"""The real command line, on a storm of a few seconds."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil

from reports.record import Run, find_runs

MARK = "RECONNECT_STORM_TESTS"
"""Environment variable with the folder of one test session; the processes that it starts inherit it."""

SMALL_STORM = (
    "fleet.clients=60",
    "fleet.ramp_per_s=60",
    "gateway.handshake_cpu_ms=5",
    'event=[{at_s=3, do="drop_all"}]',
    "phases.duration_s=11",
    "phases.during_s=4",
    "phases.recovery_window_s=4",
    "phases.rescue_at_s=0",
)
"""Overrides of `mass-drop` that make it a storm of a few seconds, without a rescue."""


GOOD_OR_INVALID = {0, 3}
"""A busy machine may make a run invalid, which is a result and not a failure. A part that fails is one: 5."""


def command(*arguments: str, sets: tuple[str, ...] = SMALL_STORM, runs: Path) -> list[str]:
    """The command line of `reconnect-storm`, as somebody would type it."""
    overrides = [part for override in sets for part in ("--set", override)]
    return [sys.executable, "-m", "scenarios.cli", *arguments, *overrides, "--runs", str(runs)]


def carried_out(tmp_path: Path, *arguments: str, sets: tuple[str, ...]) -> tuple[str, list[Run]]:
    """Carries it out; returns what it printed, and its runs."""
    done = subprocess.run(
        command(*arguments, sets=sets, runs=tmp_path),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode in GOOD_OR_INVALID, done.stdout + done.stderr
    runs = [Run.load(path) for path in find_runs([tmp_path / "latest"])]
    assert_whole(runs)
    return done.stdout, runs


def assert_whole(runs: list[Run]) -> None:
    """No part failed, and each was carried out to its end."""
    assert [(run.info.status, run.info.problem) for run in runs] == [("complete", "")] * len(runs)


def start(*arguments: str, sets: tuple[str, ...] = SMALL_STORM, runs: Path) -> subprocess.Popen[str]:
    """Starts it in the background."""
    return subprocess.Popen(
        command(*arguments, sets=sets, runs=runs),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def storm_processes() -> list[psutil.Process]:
    """Whatever of a storm these tests have started, whoever its parent is by now."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        ours = (
            *("-m gateway_stub", "-m scenarios.agent", "locustfile.py"),
            *("nginx: master", "nginx: worker", "gateway.conf", "envoy.yaml", "haproxy.cfg"),
            "/sidecars/sidecar-",
        )
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(mark in line for mark in ours):
            with contextlib.suppress(psutil.Error):
                if _is_ours(process):
                    found.append(process)
    return found


def _is_ours(process: psutil.Process) -> bool:
    folder = os.environ[MARK]
    # nginx writes its title over its environment, but keeps its logs open.
    return process.environ().get(MARK) == folder or any(
        file.path.startswith(folder) for file in process.open_files()
    )

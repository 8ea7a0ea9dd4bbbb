"""The real command line, on a storm of a few seconds."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil

MARK = "RECONNECT_STORM_TESTS"
"""Environment variable by which the processes of one test session are known; their children inherit it."""

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


def command(*arguments: str, sets: tuple[str, ...] = SMALL_STORM, runs: Path) -> list[str]:
    """The command line of `reconnect-storm`, as somebody would type it."""
    overrides = [part for override in sets for part in ("--set", override)]
    return [sys.executable, "-m", "scenarios.cli", *arguments, *overrides, "--runs", str(runs)]


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
    """Pods, nginx and generators that these tests have started, whoever their parent is by now."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        ours = ("-m gateway_stub", "locustfile.py", "nginx: master", "nginx: worker", "gateway.conf")
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(mark in line for mark in ours):
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == os.environ.get(MARK):
                    found.append(process)
    return found

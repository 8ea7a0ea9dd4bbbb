"""The real command line, on a storm of a few seconds, and other programs that end with their test."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from scenarios.host.machine import free_ports
from tests.support.gateways import FOLDER as GATEWAYS_FOR_TESTS

MARK = "RECONNECT_STORM_TESTS"
"""Environment variable with the folder of one test session; the processes that it starts inherit it."""

SMALL_STORM = (
    "fleet.clients=60",
    "fleet.clients_per_ip=1",
    "fleet.ramp_per_s=60",
    "fleet.connect_timeout_s=3",
    "gateway.handshake_cpu_ms=2",
    "gateway.tick_cpu_us=0",
    'event=[{at_s=3, do="drop_all"}]',
    "phases.duration_s=11",
    "phases.during_s=4",
    "phases.recovery_window_s=4",
    "phases.rescue_at_s=0",
)
"""Overrides of `mass-drop` that make it a storm of a few seconds, without a rescue.

All its handshakes cost 0.12 s of CPU, a 25th of the clients' patience: clients that do not wait come back on
a machine that gives a pod a tenth of a core as well. Where handshakes cost a third of it, such a machine kept
them out for good.
"""


GOOD_OR_INVALID = {0, 3}
"""A busy machine may make a run invalid, which is a result and not a failure. A part that fails is one: 5."""

PATIENCE_S = 60.0
WHOLE_RUN_S = 180.0
"""For what is bound to happen; on a busy machine that takes its time, on others nobody waits so long."""

_ANSWER_S = 30.0
"""For one answer; what is waited for is asked again."""


def command(*arguments: str, sets: tuple[str, ...] = SMALL_STORM, runs: Path) -> list[str]:
    """The command line of `reconnect-storm`, as somebody would type it."""
    overrides = [part for override in sets for part in ("--set", override)]
    return [sys.executable, "-m", "scenarios.cli", *arguments, *overrides, "--runs", str(runs)]


def carried_out(
    tmp_path: Path, *arguments: str, sets: tuple[str, ...], timeout_s: float = WHOLE_RUN_S
) -> tuple[str, list[Run]]:
    """Carries it out; returns what it printed, and its runs."""
    done = subprocess.run(
        command(*arguments, sets=sets, runs=tmp_path),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode in GOOD_OR_INVALID, done.stdout + done.stderr
    runs = [Run.load(path) for path in find_runs([tmp_path / "latest"])]
    assert_whole(runs)
    return done.stdout, runs


def assert_whole(runs: list[Run]) -> None:
    """No part failed, and each was carried out to its end."""
    assert [(run.info.status, run.info.problem) for run in runs] == [("complete", "")] * len(runs)


def last_known(run: Run, column: str) -> float:
    """The value of the last second of which the generator has told: one that stands still skips seconds."""
    return next(value for row in reversed(run.rows) if (value := row[column]) is not None)


def wait_for(what: str, condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
    """Returns once it holds; a server that does not answer yet, or a process that ends while it is looked at,
    does not count as a failure."""
    end_s = time.monotonic() + patience_s
    while True:
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            if condition():
                return
        assert time.monotonic() < end_s, f"waited {patience_s:g} s in vain for: {what}"
        time.sleep(0.05)


def get(url: str, form: bytes | None = None) -> str:
    """What is answered with, also where that is a complaint. Raises OSError where nobody answers."""
    try:
        with urllib.request.urlopen(url, form, timeout=_ANSWER_S) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


@contextlib.contextmanager
def running(program: Sequence[str], **options: Any) -> "Iterator[subprocess.Popen[str]]":
    """A program in the background that is gone afterwards, however the test ends."""
    with subprocess.Popen(program, text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def started(
    *arguments: str,
    sets: tuple[str, ...] = SMALL_STORM,
    runs: Path,
    environment: dict[str, str] | None = None,
) -> "Iterator[subprocess.Popen[str]]":
    """The command line in the background."""
    with running(
        command(*arguments, sets=sets, runs=runs),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "200", **(environment or {})},
    ) as process:
        yield process


@contextlib.contextmanager
def lone_pod() -> Iterator[str]:
    """A pod that belongs to no stack and is ready; its URL."""
    port, control = free_ports(2)
    options = ["--port", str(port), "--control-port", str(control), "--token", "t"]
    with running([sys.executable, "-m", "gateway_stub", *options], stdout=subprocess.DEVNULL):
        url = f"http://127.0.0.1:{port}"
        wait_for("a pod that is ready", lambda: get(f"{url}/healthz/readiness") == "ready\n")
        yield url


def kill(process: psutil.Process) -> None:
    """Kills a process that need not be a child, and waits for its end: the signal alone only begins it."""

    def has_ended() -> bool:
        try:
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    process.kill()
    wait_for(f"the end of process {process.pid}", has_ended)


def storm_processes() -> list[psutil.Process]:
    """Whatever of a storm these tests have started, whoever its parent is by now."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        ours = (
            *("start.py gateway_stub", "-m gateway_stub", "-m scenarios.agent", "locustfile.py"),
            *("nginx: master", "nginx: worker", "gateway.conf", "envoy.yaml", "haproxy.cfg"),
            *("/sidecars/sidecar-", "host/keeper.py", str(GATEWAYS_FOR_TESTS), "node server.js"),
        )
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(mark in line for mark in ours):
            with contextlib.suppress(psutil.Error):
                if _is_ours(process):
                    found.append(process)
    return found


@contextlib.contextmanager
def nothing_left_behind() -> Iterator[None]:
    """What happens meanwhile neither begins with processes of a storm nor leaves any."""
    assert _that_stay() == [], "processes of an earlier run are in the way"
    yield
    left = _that_stay()
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert left == []


def _that_stay() -> list[psutil.Process]:
    return [process for process in storm_processes() if not _is_killed(process)]


def _is_killed(process: psutil.Process) -> bool:
    """Whether SIGKILL waits for it: it does nothing more, but on a busy machine it is there for a while."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return not process.is_running()
    pending = (line.split()[1] for line in lines if line.startswith(("SigPnd:", "ShdPnd:")))
    return any(int(signals, 16) >> (signal.SIGKILL - 1) & 1 for signals in pending)


def _is_ours(process: psutil.Process) -> bool:
    folder = os.environ[MARK]
    # nginx writes its title over its environment, but keeps its logs open.
    return process.environ().get(MARK) == folder or any(
        file.path.startswith(folder) for file in process.open_files()
    )

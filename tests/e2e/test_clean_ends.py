"""However a run ends, nothing is left running, and what was measured is kept and says how it ended."""

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from scenarios.host.machine import claim
from tests.e2e.command_line import (
    PATIENCE_S,
    SMALL_STORM,
    WHOLE_RUN_S,
    running,
    started,
    storm_processes,
    wait_for,
)

pytestmark = pytest.mark.e2e

LONG_STORM = (
    *SMALL_STORM,
    'event=[{at_s=100, do="drop_all"}]',
    "phases.duration_s=120",
    "mesh.sidecar=envoy",
)
"""Nothing happens of itself while a test has its part in it."""


@contextlib.contextmanager
def in_the_run(runs: Path) -> "Iterator[subprocess.Popen[str]]":
    """A run that has written seconds of steady state."""
    with started("run", sets=LONG_STORM, runs=runs) as process:

        def has_rows() -> bool:
            assert process.poll() is None, process.communicate()[0]
            return any(len(path.read_text().splitlines()) > 7 for path in runs.rglob("series.csv"))

        wait_for("seconds of a run", has_rows)
        yield process


def listening_ports() -> set[int]:
    ports = set()
    for process in storm_processes():
        for connection in process.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN:
                ports.add(connection.laddr.port)
    return ports


def part(mark: str) -> psutil.Process:
    return next(p for p in storm_processes() if mark in " ".join(p.cmdline()))


def kept_run(runs: Path) -> Run:
    (path,) = find_runs([runs])
    return Run.load(path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_stopped_run_cleans_up_and_keeps_what_it_has(tmp_path: Path, number: signal.Signals) -> None:
    with in_the_run(tmp_path) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, output
    assert storm_processes() == []
    run = kept_run(tmp_path)
    assert run.info.status == "interrupted"
    assert "stopped by the user" in run.info.problem
    assert len(run.rows) >= 3
    assert run.info.verdict["name"] == "INVALID"
    assert list(tmp_path.rglob("report.html"))


def noise_probes(program: int) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(program).children(recursive=True):
        # It asks other programs as well, and those soon have ended.
        with contextlib.suppress(psutil.NoSuchProcess):
            if any("noise_probe.py" in part for part in process.cmdline()):
                found.append(process)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "SIGKILL"])
def test_a_stopped_measurement_of_noise_leaves_no_probe(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "scenarios.cli", "doctor", "--noise", "--noise-s", "600"]
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for("probes of noise", lambda: bool(noise_probes(process.pid)))
        probes = noise_probes(process.pid)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == (130 if number == signal.SIGINT else -number), said
    if number == signal.SIGINT:
        assert said.splitlines()[-1] == "reconnect-storm: interrupted"
    wait_for("all probes to end", lambda: not any(probe.is_running() for probe in probes))


def test_even_a_killed_harness_leaves_no_process_and_no_port(tmp_path: Path) -> None:
    with in_the_run(tmp_path) as process:
        ports = listening_ports()
        assert len(ports) >= 3
        process.kill()
        process.communicate()
    wait_for("all parts to end", lambda: not storm_processes())

    def bound(port: int) -> bool:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
        return True

    # A concurrent test that has been given one of them since has bound it, as this one does.
    # A process has no name any more while its sockets are being closed.
    for port in filter(lambda port: claim(f"port {port}"), ports):
        wait_for(f"port {port} to be free", functools.partial(bound, port))
    run = kept_run(tmp_path)
    assert run.info.status == "interrupted"
    assert "died" in run.info.problem
    assert len(run.rows) >= 3


@pytest.mark.parametrize(
    ("mark", "name"),
    [
        pytest.param("gateway_stub", "pod-", id="a pod"),
        pytest.param("nginx: master", "nginx", id="nginx"),
        pytest.param("locustfile.py", "generator", id="the generator"),
    ],
)
def test_a_part_that_dies_ends_the_run_and_is_named(tmp_path: Path, mark: str, name: str) -> None:
    with in_the_run(tmp_path) as process:
        os.kill(part(mark).pid, signal.SIGKILL)
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 5, output
    assert "Traceback" not in output
    run = kept_run(tmp_path)
    assert run.info.status == "failed"
    assert run.info.problem.startswith(name)
    assert "SIGKILL" in run.info.problem
    assert name in output


def test_an_nginx_that_cannot_start_is_explained_and_nothing_stays(tmp_path: Path) -> None:
    false = tmp_path / "nginx"
    false.write_text('#!/bin/sh\n[ "$1" = -t ] && exit 0\necho no luck >&2\nexit 7\n')
    false.chmod(0o755)
    with started("run", "--nginx", str(false), runs=tmp_path / "runs") as process:
        output, _ = process.communicate(timeout=WHOLE_RUN_S)
    assert process.returncode == 5
    assert kept_run(tmp_path / "runs").info.status == "failed"
    assert "nginx ended (exit status 7)" in output
    assert "no luck" in output


POLICY = """
import sys

asked = 0

def delays(rng):
    # Goes well wherever it is tried before the storm.
    global asked
    asked += 1
    yield 0.1
    if asked > 1 and "locust.main" in sys.modules:
        raise RuntimeError("no more ideas")
    yield 0.1
"""


def test_a_policy_that_fails_in_the_storm_ends_the_run_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fails_in_the_storm.py").write_text(POLICY, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    # Pods need 1.2 s for all clients: many have to try once more, which asks their policy.
    patience = ("gateway.handshake_cpu_ms=40", "fleet.connect_timeout_s=0.5")
    policy = ('fleet.policy="fails_in_the_storm:delays"', *patience)
    with started("run", sets=(*SMALL_STORM, *policy), runs=tmp_path / "runs") as process:
        output, _ = process.communicate(timeout=WHOLE_RUN_S)
    assert process.returncode == 3, output
    run = kept_run(tmp_path / "runs")
    assert run.info.status == "interrupted"
    assert "a reconnect policy failed inside a client" in run.info.problem
    assert "'fails_in_the_storm:delays' failed: RuntimeError: no more ideas" in run.info.problem

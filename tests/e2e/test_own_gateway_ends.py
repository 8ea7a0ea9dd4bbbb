"""However a run ends, nothing of an own gateway is left: no child, no daemon, no port, no control group."""

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scenarios.host.control_group import own_folder
from tests.e2e.command_line import PATIENCE_S, started, storm_processes, wait_for
from tests.e2e.own_gateway import OWN_STORM, stormed, toml
from tests.support.gateways import line, words

pytestmark = pytest.mark.e2e

CHILDREN = 1
BEGINS_S = 3 * PATIENCE_S
"""For a storm to begin."""
LONG = (*OWN_STORM, "event=[]", "phases.duration_s=60")


def daemons(pids: Path) -> list[psutil.Process]:
    """The daemons that pods have left, as far as they still run."""
    found = []
    for pid in pids.read_text(encoding="ascii").split():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(pid))
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def pod_ports() -> set[int]:
    """Where the pods listen."""
    ports = set()
    for process in storm_processes():
        # While a run begins, others come and go: nginx has its configuration checked.
        with contextlib.suppress(psutil.Error):
            if "support/gateways" in " ".join(process.cmdline()):
                listening = process.net_connections(kind="tcp")
                ports |= {one.laddr.port for one in listening if one.status == psutil.CONN_LISTEN}
    return ports


def said(runs: Path) -> str:
    """The events so far."""
    return "".join(path.read_text(encoding="utf-8") for path in runs.rglob("events.jsonl"))


def groups_of(pid: int) -> list[Path]:
    """The control groups that a process has made."""
    folder = own_folder()
    return list(folder.glob(f"reconnect-storm-{pid}-*")) if folder else []


def assert_free(ports: set[int]) -> None:
    for port in ports:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    return tmp_path / "pids"


@contextlib.contextmanager
def in_the_storm(runs: Path, pids: Path, *sets: str) -> "Iterator[subprocess.Popen[str]]":
    """A run that has written seconds of steady state, whose two pods have children and daemons."""
    gateway = line("forking", CHILDREN, pids)
    with started("run", "--gateway", gateway, sets=(*LONG, *sets), runs=runs) as process:

        def has_rows() -> bool:
            assert process.poll() is None, process.communicate()[0]
            return any(len(path.read_text().splitlines()) > 7 for path in runs.rglob("series.csv"))

        wait_for("seconds of a run", has_rows, BEGINS_S)
        assert len(daemons(pids)) == 2
        yield process


def test_nothing_is_left_after_the_end_nor_of_kills_and_restarts_before(tmp_path: Path, pids: Path) -> None:
    kill = '{at_s=1, do="kill_pod", pod=1, restart_after_s=0.5}'
    # It begins with the other pod: the one that was killed has as long again to come back.
    event = f'event=[{kill}, {{at_s=5, do="rolling_restart", gap_s=0.1}}]'
    stormed(tmp_path / "runs", line("forking", CHILDREN, pids), event, "phases.duration_s=28")
    assert len(pids.read_text().split()) == 5
    assert daemons(pids) == []
    assert storm_processes() == []


FROZEN = 'event=[{at_s=1, do="pause_pod", pod=0, for_s=40}]'


@pytest.mark.parametrize(
    ("number", "sets"),
    [(signal.SIGINT, ()), (signal.SIGTERM, (FROZEN,))],
    ids=["Ctrl-C", "SIGTERM while a pod is frozen"],
)
def test_nothing_is_left_after_a_run_was_stopped(
    tmp_path: Path, pids: Path, number: signal.Signals, sets: tuple[str, ...]
) -> None:
    with in_the_storm(tmp_path / "runs", pids, *sets) as process:
        if sets:
            wait_for("a pod that is frozen", lambda: "pause_pod" in said(tmp_path / "runs"), BEGINS_S)
        ports = pod_ports()
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, output
    assert daemons(pids) == []
    assert storm_processes() == []
    assert groups_of(process.pid) == []
    assert_free(ports)


def test_pods_services_and_publisher_end_with_a_harness_that_was_killed(tmp_path: Path, pids: Path) -> None:
    publisher = words("publisher", "{gateway.ports}", "{rate_hz}", tmp_path / "count")
    service = f'[{{name="store", ready_path="/readyz", command={toml(words("silent"))}}}]'
    sets = (f"feed.command={toml(publisher)}", f"service={service}")
    with in_the_storm(tmp_path / "runs", pids, *sets) as process:
        lines = [" ".join(found.cmdline()) for found in storm_processes()]
        assert any("gateways publisher" in text for text in lines)
        assert any("gateways silent" in text for text in lines)
        ports = pod_ports()
        assert len(ports) == 3, "the service is a gateway as well"
        process.kill()
        process.communicate()
    wait_for("all parts to end", lambda: not storm_processes() and not daemons(pids))
    assert groups_of(process.pid) == []
    assert_free(ports)


def test_a_gateway_that_ignores_sigterm_does_not_delay_ctrl_c_for_long(tmp_path: Path) -> None:
    sets = (*LONG, "gateway.stop_grace_s=1")
    with started("run", "--gateway", line("stubborn"), sets=sets, runs=tmp_path) as process:
        wait_for("pods that listen", lambda: len(pod_ports()) == 2, BEGINS_S)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, output
    assert storm_processes() == []

"""The gateways in tests/support/gateways do what their names say, without this program."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import socketio

from scenarios.host.machine import free_ports
from tests.e2e.command_line import PATIENCE_S, get, kill, running, wait_for
from tests.support.gateways import GATEWAYS, words

pytestmark = pytest.mark.e2e

ARGUMENTS = {
    "slow": ("0.5",),
    "crashing": ("600",),
    "forking": ("2",),
    "unwelcoming": ("1",),
    "abrupt": ("1", "0.05"),
    "slots": ("1", "1", "1", "leaking"),
}
UPGRADE = (
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
)
MORE_THAN_THE_KERNEL_KEEPS = 24
"""Ticks of almost a megabyte that nobody reads."""

LISTENING = sorted(set(GATEWAYS) - {"never_ready", "exiting", "publisher", "elsewhere"})


@contextlib.contextmanager
def gateway(name: str, *arguments: object, log: Path) -> "Iterator[tuple[subprocess.Popen[str], int]]":
    """A gateway that runs, and its port; what it prints goes into the log."""
    (port,) = free_ports(1)
    with (
        log.open("w") as stream,
        running(
            words(name, *arguments),
            stdout=stream,
            stderr=stream,
            env={**os.environ, "PORT": str(port), "API_TOKEN": "s3cret-token"},
        ) as process,
    ):
        yield process, port
        process.kill()


def wait_until_ready(port: int) -> None:
    wait_for("a gateway that is ready", lambda: get(f"http://127.0.0.1:{port}/readyz") == "ready\n")


def listening(process: "subprocess.Popen[str]") -> list[tuple[str, int]]:
    """Addresses and ports that a process listens on."""
    connections = psutil.Process(process.pid).net_connections(kind="tcp4")
    return [(one.laddr.ip, one.laddr.port) for one in connections if one.status == psutil.CONN_LISTEN]


@contextlib.contextmanager
def connected(port: int) -> Iterator["socketio.SimpleClient"]:
    """A client that has joined."""
    with socketio.SimpleClient() as client:
        client.connect(f"http://127.0.0.1:{port}", transports=["websocket"], wait_timeout=int(PATIENCE_S))
        yield client


def arguments_of(name: str, tmp_path: Path) -> tuple[object, ...]:
    return (*ARGUMENTS.get(name, ()), *((tmp_path / "pids",) if name == "forking" else ()))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture(autouse=True)
def _no_daemon_is_left(tmp_path: Path) -> Iterator[None]:
    """Nobody keeps a daemon here but the test."""
    yield
    if (tmp_path / "pids").exists():
        for pid in (tmp_path / "pids").read_text().split():
            kill(psutil.Process(int(pid)))


@pytest.mark.parametrize("name", LISTENING)
def test_it_is_ready_sends_ticks_and_ends_on_sigterm(name: str, tmp_path: Path, log: Path) -> None:
    with gateway(name, *arguments_of(name, tmp_path), log=log) as (process, port):
        wait_until_ready(port)
        for path, answer in (("healthz", "alive\n"), ("metrics", "gateway_clients 0\n")):
            assert get(f"http://127.0.0.1:{port}/{path}") == answer
        with connected(port) as client:
            if name == "silent":
                with pytest.raises(socketio.exceptions.TimeoutError):
                    client.receive(timeout=1.5)
            else:
                first, second, third = (client.receive(timeout=PATIENCE_S)[1]["seq"] for _ in range(3))
                assert (second, third) == (first + 1, first + 2)
        children = psutil.Process(process.pid).children()
        process.terminate()
        if name == "stubborn":
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
        else:
            assert process.wait(PATIENCE_S) == 0
            assert "drains" in log.read_text()
        for child in children:
            kill(child)


def join(port: int) -> None:
    """A client that stays, by polling."""
    url = f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling"
    session = json.loads(get(url)[1:])["sid"]
    assert get(f"{url}&sid={session}", b"40") == "OK"


def test_a_crash_has_a_traceback_and_a_status(log: Path) -> None:
    with gateway("crashing", 0.2, 1, 1, log=log) as (process, port):
        wait_until_ready(port)
        assert process.poll() is None
        join(port)
        assert process.wait(PATIENCE_S) == 1
    assert log.read_text().endswith("RuntimeError: the cache is inconsistent\n")


def test_only_one_pod_crashes_where_one_is_named(log: Path) -> None:
    with gateway("crashing", 0, 0, 1, log=log) as (process, port):
        wait_until_ready(port)
        join(port)
        time.sleep(0.3)
        assert process.poll() is None


def test_children_burn_cpu_and_a_daemon_has_left(tmp_path: Path, log: Path) -> None:
    pids = tmp_path / "pids"
    with gateway("forking", 2, pids, log=log) as (process, port):
        wait_until_ready(port)
        daemon = psutil.Process(int(pids.read_text()))
        burning = psutil.Process(process.pid).children()
        assert len(burning) == 2
        assert daemon.ppid() != process.pid
        assert os.getsid(daemon.pid) != os.getsid(process.pid)
        for child in burning:
            wait_for("CPU that a child uses", lambda child=child: child.cpu_times().user > 0.1)  # type: ignore[misc]
            kill(child)


def test_megabytes_are_printed(log: Path) -> None:
    with gateway("chatty", log=log) as (_, port):
        wait_until_ready(port)
        wait_for("megabytes of a log", lambda: log.stat().st_size > 3_000_000)


def test_arguments_and_a_token_are_printed(log: Path) -> None:
    with gateway("leaky", "--password=hunter2", log=log) as (_, port):
        wait_until_ready(port)
    assert "starts with ['--password=hunter2'] and API_TOKEN=s3cret-token" in log.read_text()


def test_the_wrong_port_is_another_one(log: Path) -> None:
    with gateway("elsewhere", log=log) as (process, port):
        wait_for("a port", lambda: listening(process))
        ((_, other),) = listening(process)
        assert other != port


@pytest.mark.parametrize(("name", "address"), [("healthy", "127.0.0.1"), ("exposed", "0.0.0.0")])
def test_it_listens_on_this_address(log: Path, name: str, address: str) -> None:
    with gateway(name, log=log) as (process, port):
        wait_until_ready(port)
        assert listening(process) == [(address, port)]


def test_one_is_never_ready_for_anything(log: Path) -> None:
    with gateway("never_ready", log=log) as (_, port):
        for path in ("readyz", "socket.io/?EIO=4&transport=polling"):
            url = f"http://127.0.0.1:{port}/{path}"
            wait_for("an answer", lambda url=url: get(url) == "waits for the database\n")  # type: ignore[misc]


def test_one_exits_at_once_with_a_message(log: Path) -> None:
    with gateway("exiting", log=log) as (process, _):
        assert process.wait(PATIENCE_S) == 3
    assert log.read_text() == "config.yaml: DATABASE_URL is not set\n"


def numbers(client: "socketio.SimpleClient") -> Iterator[int]:
    """The number of each tick that comes in."""
    while True:
        yield client.receive(timeout=PATIENCE_S)[1]["seq"]


def test_a_publisher_can_be_stalled_and_started_again_at_another_rate(tmp_path: Path, log: Path) -> None:
    def publisher(port: int, rate_hz: int) -> "contextlib.AbstractContextManager[subprocess.Popen[str]]":
        program = words("publisher", port, rate_hz, tmp_path / "count", PATIENCE_S)
        return running(program, stdout=subprocess.DEVNULL)

    with gateway("silent", log=log) as (_, port):
        wait_until_ready(port)
        with connected(port) as client:
            received = numbers(client)
            with publisher(port, 10) as process:
                assert [next(received) for _ in range(3)] == [1, 2, 3]
                process.send_signal(signal.SIGSTOP)
                time.sleep(0.5)
                process.send_signal(signal.SIGCONT)
                assert [next(received) for _ in range(5)] == [4, 5, 6, 7, 8]
            counted = int((tmp_path / "count").read_text())
            with publisher(port, 40):
                assert next(number for number in received if number > counted) == counted + 1


def test_a_tick_that_is_posted_is_sent(log: Path) -> None:
    with gateway("silent", log=log) as (_, port):
        wait_until_ready(port)
        with connected(port) as client:
            tick = json.dumps({"seq": 7}).encode()
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ticks", tick, timeout=PATIENCE_S).close()
            assert client.receive(timeout=PATIENCE_S) == ["tick", {"seq": 7}]


def test_it_ends_on_sigterm_also_when_a_client_reads_nothing(log: Path) -> None:
    with gateway("silent", log=log) as (process, port), socket.socket() as client:
        wait_until_ready(port)
        client.connect(("127.0.0.1", port))
        request = UPGRADE.format(port=port, key=base64.b64encode(os.urandom(16)).decode())
        client.sendall(request.encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        # A text frame, masked with zeros: Socket.IO's CONNECT.
        client.sendall(b"\x81\x82" + bytes(4) + b"40")
        wait_for("a client", lambda: get(f"http://127.0.0.1:{port}/metrics") == "gateway_clients 1\n")
        tick = json.dumps({"seq": 1, "text": "x" * 900_000}).encode()
        for _ in range(MORE_THAN_THE_KERNEL_KEEPS):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ticks", tick, timeout=PATIENCE_S).close()
        process.terminate()
        assert process.wait(PATIENCE_S) == 0

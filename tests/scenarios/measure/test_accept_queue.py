"""The accept queue is counted while a server is stopped, and its way of emptying it is recognised."""

import contextlib
import fcntl
import signal
import socket
import subprocess
import sys
import termios
import threading
from array import array
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.measure.accept_queue import Connections, Look, accepts, queue_now, waiting

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:0000000C 00:00000000 00000000     0        0 1461
   1: 00000000:0BB8 00000000:0000 0A 00000000:00000001 00:00000000 00000000     0        0 1462
   2: 0100007F:0BB9 00000000:0000 0A 00000000:00000005 00:00000000 00000000     0        0 1463
   3: 0100007F:0BB8 0100007F:C350 01 00000000:00000063 00:00000000 00000000     0        0 1464
"""


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (3000, 13),  # two listeners; what a connection has received does not count
        (3001, 5),
        (3002, None),
    ],
)
def test_the_queues_of_a_port_are_read_off_the_kernels_table(port: int, expected: int | None) -> None:
    assert waiting(TABLE, port) == expected


def test_a_table_without_sockets_has_no_queue() -> None:
    assert waiting(TABLE.splitlines()[0], 3000) is None


@given(st.integers(10, 500))
def test_a_queue_that_shrinks_answer_by_answer_is_one_per_turn(connections: int) -> None:
    looks = [Look(connections - answered - 1, answered) for answered in range(connections)]
    assert accepts(looks, connections) == "one per turn"


@given(st.integers(10, 500))
def test_a_queue_that_is_empty_before_the_answers_is_all_at_once(connections: int) -> None:
    looks = [Look(connections, 0), *(Look(0, answered) for answered in range(connections))]
    assert accepts(looks, connections) == "all at once"


@pytest.mark.parametrize(
    "looks",
    [
        [],
        [Look(100, 0), Look(0, 100)],  # the answers came faster than anybody could look
        [Look(30, 20), Look(25, 30)],  # in batches
    ],
)
def test_what_cannot_be_told_is_not_told(looks: list[Look]) -> None:
    assert accepts(looks, 100) is None


SERVER = """
import selectors, socket, sys
backlog, all_at_once = int(sys.argv[1]), sys.argv[2] == "all"
listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
listener.setblocking(False)
print(listener.getsockname()[1], flush=True)
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            while True:
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    break
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_READ)
                if not all_at_once:
                    break
            continue
        connection = key.fileobj
        try:
            data = connection.recv(100)
        except OSError:
            data = b""
        if data:
            sys.stdin.buffer.read(1)
            connection.send(data)
        else:
            selector.unregister(connection)
            connection.close()
"""
"""A server that answers each request when it is told to: whoever looks at its queue may be slow."""


@contextlib.contextmanager
def server(backlog: int, way: str) -> Iterator[tuple["subprocess.Popen[str]", tuple[str, int]]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(backlog), way],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process, ("127.0.0.1", int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's tables are Linux's")


@linux
@pytest.mark.parametrize("backlog", [1, 7, 64])
def test_a_stopped_server_has_as_many_connections_as_its_backlog_says(backlog: int) -> None:
    with server(backlog, "one") as (process, address), Connections(address) as connections:
        process.send_signal(signal.SIGSTOP)
        opened = connections.open(200)
        assert opened - 1 == backlog
        assert queue_now(address[1]) == opened
        process.send_signal(signal.SIGCONT)


def queue_before_an_answer(process: "subprocess.Popen[str]", port: int) -> int | None:
    """Looks at the queue, and then has the server answer once more, unless it still has to."""
    found = queue_now(port)
    assert process.stdin is not None
    unread = array("i", [0])
    fcntl.ioctl(process.stdin, termios.FIONREAD, unread)
    if not unread[0]:
        process.stdin.write(".")
        process.stdin.flush()
    return found


@linux
@pytest.mark.parametrize(("way", "expected"), [("one", "one per turn"), ("all", "all at once")])
def test_a_real_server_is_recognised(way: str, expected: str) -> None:
    with server(128, way) as (process, address), Connections(address) as connections:
        process.send_signal(signal.SIGSTOP)
        opened = connections.open(60, b"hello")
        assert opened == 60
        go_on = threading.Timer(0.1, process.send_signal, (signal.SIGCONT,))
        go_on.start()
        looks = connections.watch(lambda: queue_before_an_answer(process, address[1]), 60.0)
        go_on.join()
        assert looks[-1].answered == 60
        assert accepts(looks, opened) == expected


def test_nobody_listens_on_a_port_that_was_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with Connections(address) as connections:
        assert connections.open(5) == 0
    assert queue_now(address[1]) is None

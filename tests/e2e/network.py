"""Hosts on one machine: each is a network namespace, with a link to the others, a name and a clock."""

import contextlib
import fcntl
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from tests.support.on_host import NEW_NETWORK, enter, leave

SUPPORT = Path(__file__).parents[1] / "support"
TUN = "/dev/net/tun"

_SET_INTERFACE = 0x4004_54CA
_DEVICE = "tun0"
_PACKETS_ALONE = 0x1001
_QUEUE = 10_000
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Host(Struct, frozen=True):
    """What there is to be. addresses: of one network, which all hosts are in."""

    name: str
    addresses: tuple[str, ...]
    ahead_s: int = 0
    """By how much its monotonic clock is ahead of this machine's."""


class Carried(Struct, frozen=True):
    """What became of a host's packets so far."""

    carried: int
    """Packets that it has received."""
    lost: int
    """Packets to or from it that its link lost."""


class Network:
    """Hosts that have been made."""

    def __init__(self, hosts: Sequence[Host], relay: "subprocess.Popen[str]", ends: dict[str, "End"]) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._relay = relay
        self._ends = ends

    def link(self, name: str, *, up_ms: float = 0.0, down_ms: float = 0.0, loss: float = 0.0) -> Carried:
        """From now on a host has a link with these delays and that share of losses on each way.

        loss: 1 cuts it off, and nobody is told.
        """
        order = {"device": self._ends[name].device, "up_ms": up_ms, "down_ms": down_ms, "loss": loss}
        assert self._relay.stdin is not None
        assert self._relay.stdout is not None
        self._relay.stdin.write(json.dumps(order) + "\n")
        self._relay.stdin.flush()
        return Carried(**json.loads(self._relay.stdout.readline()))

    def command(self, name: str, program: Sequence[str]) -> list[str]:
        """The command line of a program on a host."""
        host = self._hosts[name]
        start = [sys.executable, str(SUPPORT / "on_host.py"), self._ends[name].path, name]
        return [*start, str(host.ahead_s), *program]

    def inside(self, name: str) -> contextlib.AbstractContextManager[None]:
        """As long as this lasts, what this thread opens and starts is on that host."""
        return _inside(self._ends[name].path)


class End(Struct, frozen=True):
    """A host's namespace, as a file that stands for it, and the relay's end of its link."""

    path: str
    device: int


@contextlib.contextmanager
def network(hosts: Sequence[Host], prefix: int = 24) -> Iterator[Network]:
    """Makes hosts with links that neither delay nor lose anything; nothing of them is left in the end.

    prefix: length of the network's prefix. The namespaces have no names: they are gone with this process and
    those that run in them.
    """
    with contextlib.ExitStack() as stack:
        ends = {host.name: _end(host, prefix, stack) for host in hosts}
        addresses = {ends[host.name].device: host.addresses for host in hosts}
        relay = subprocess.Popen(
            [sys.executable, str(SUPPORT / "relay.py"), json.dumps(addresses)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=tuple(addresses),
        )
        stack.enter_context(relay)
        stack.callback(relay.kill)
        yield Network(hosts, relay, ends)


def available() -> bool:
    """Whether this process may make hosts."""
    if shutil.which("ip", path=_PATH) is None or not os.access(TUN, os.R_OK | os.W_OK):
        return False
    with contextlib.ExitStack() as stack:
        try:
            _end(Host("probe", ("10.213.7.1",)), 24, stack)
        except (OSError, subprocess.CalledProcessError):
            return False
    return Path("/proc/self/ns/time_for_children").exists()


def _end(host: Host, prefix: int, stack: contextlib.ExitStack) -> End:
    here = _own_network()
    with _inside(here):
        leave(NEW_NETWORK)
        path = _own_network()
        namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, namespace)
        device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        stack.callback(os.close, device)
        fcntl.ioctl(device, _SET_INTERFACE, struct.pack("16sH22x", _DEVICE.encode(), _PACKETS_ALONE))
        for address in host.addresses:
            _ip("address", "add", f"{address}/{prefix}", "dev", _DEVICE)
        _ip("link", "set", _DEVICE, "up", "txqueuelen", str(_QUEUE))
        _ip("link", "set", "lo", "up")
    return End(f"/proc/{os.getpid()}/fd/{namespace}", device)


@contextlib.contextmanager
def _inside(path: str) -> Iterator[None]:
    here = os.open(_own_network(), os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(path, NEW_NETWORK)
        yield
    finally:
        enter(f"/proc/self/fd/{here}", NEW_NETWORK)
        os.close(here)


def _own_network() -> str:
    return f"/proc/self/task/{threading.get_native_id()}/ns/net"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, env={**os.environ, "PATH": _PATH})

"""Carries packets between the hosts of a test, over links that have delay and loss.

    python relay.py '{"7": ["10.213.7.10"], "8": ["10.213.7.20", "10.213.7.21"]}'

Each number is an open tun device: the host at its other end sends and receives IPv4 packets there, for these
addresses. A packet waits for the delay of its sender's link and of its receiver's, and may be lost on either.
All of it is done here, because `tc netem` is not in every kernel.

Each line on standard input changes a link, and is answered by a line with what that link has carried and lost
since the beginning:

    {"device": 7, "up_ms": 3, "down_ms": 3, "loss": 0.005}
    {"carried": 1234, "lost": 5}

It ends with its standard input.
"""

import contextlib
import json
import os
import random
import select
import socket
import sys
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from time import monotonic_ns

_LONGEST_PACKET = 65_536
_IPV4 = 4
_RECEIVER = slice(16, 20)


class Link:
    """Between a host and all others. up: of what the host sends, down: of what it receives."""

    def __init__(self) -> None:
        self.up_ns = self.down_ns = 0
        self.loss = 0.0
        """The share of packets that are lost, on each way."""
        self.carried = self.lost = 0

    def change(self, *, up_ms: float, down_ms: float, loss: float) -> None:
        """Of packets that come from now on."""
        self.up_ns, self.down_ns, self.loss = int(up_ms * 1e6), int(down_ms * 1e6), loss


class Relay:
    """Which packet goes where, and when. links: by device. devices: by packed address."""

    def __init__(self, links: Mapping[int, Link], devices: Mapping[bytes, int]) -> None:
        self.links = links
        self._devices = devices
        self._random = random.Random(1)
        self._waiting: list[tuple[int, int, int, bytes]] = []
        """Due time, order of arrival, device, packet."""
        self._arrived = 0

    def take(self, packet: bytes, sender: int, now_ns: int) -> None:
        """A packet from a device; one for an address that nobody has is nobody's business."""
        receiver = self._devices.get(packet[_RECEIVER]) if packet[0] >> 4 == _IPV4 else None
        if receiver is None:
            return
        up, down = self.links[sender], self.links[receiver]
        for link in (up, down):
            if self._random.random() < link.loss:
                link.lost += 1
                return
        self._arrived += 1
        heappush(self._waiting, (now_ns + up.up_ns + down.down_ns, self._arrived, receiver, packet))

    def due(self, now_ns: int) -> Iterator[tuple[int, bytes]]:
        """Device and packet of all that have waited long enough, in order."""
        while self._waiting and self._waiting[0][0] <= now_ns:
            _, _, receiver, packet = heappop(self._waiting)
            self.links[receiver].carried += 1
            yield receiver, packet

    def next_ms(self, now_ns: int) -> int | None:
        """When the next packet is due, in whole milliseconds, rounded up; None where none waits."""
        return max(0, -((now_ns - self._waiting[0][0]) // 1_000_000)) if self._waiting else None


def main() -> None:
    """Carries packets until standard input ends."""
    addresses = {int(device): found for device, found in json.loads(sys.argv[1]).items()}
    devices = {socket.inet_aton(name): device for device, found in addresses.items() for name in found}
    relay = Relay({device: Link() for device in addresses}, devices)
    orders = sys.stdin.fileno()
    poll = select.poll()
    for descriptor in (orders, *addresses):
        poll.register(descriptor, select.POLLIN)
    while True:
        for ready, _ in poll.poll(relay.next_ms(monotonic_ns())):
            if ready != orders:
                _read(relay, ready)
            elif not (line := sys.stdin.readline()):
                return
            else:
                order = json.loads(line)
                link = relay.links[order.pop("device")]
                link.change(**order)
                sys.stdout.write(json.dumps({"carried": link.carried, "lost": link.lost}) + "\n")
                sys.stdout.flush()
        for device, packet in relay.due(monotonic_ns()):
            # A host that is gone receives nothing.
            with contextlib.suppress(OSError):
                os.write(device, packet)


def _read(relay: Relay, device: int) -> None:
    """All packets that are there."""
    with contextlib.suppress(BlockingIOError):
        while True:
            relay.take(os.read(device, _LONGEST_PACKET), device, monotonic_ns())


if __name__ == "__main__":
    main()

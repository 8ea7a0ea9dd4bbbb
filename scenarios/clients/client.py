"""One simulated client: a session, a reconnect policy and a watchdog on a non-blocking socket.

    waiting ── delay over ──► trying ── joined ──► connected
       ▲                        │ an outcome                   │ a disconnect
       └────────────────────────┴──────────────────────────────┘

`messages.py` says what each of them means.

There is no greenlet per client: callbacks on the hub's own I/O and timer watchers do all the work, so a
client costs a few objects and a tick costs a few microseconds. A client waits for one thing at a time and
therefore needs one timer.
"""

import contextlib
import errno
import random
import socket
from collections.abc import Callable, Iterator
from time import monotonic_ns
from typing import Any

from gevent.monkey import get_original

from scenarios.clients.recorder import Recorder
from scenarios.clients.session import (
    Broken,
    Decoded,
    Dropped,
    Joined,
    Opened,
    Refused,
    Rejected,
    Session,
    Tick,
    Upgrade,
)
from scenarios.model import Fleet
from scenarios.policies import Policy

# The plain socket: gevent's own would bring a hub watcher and a greenlet switch to every call.
_plain_socket: Any = get_original("socket", "socket")

ROUND_TRIPS_PER_TRY = 3
"""TCP, TLS 1.3 and the upgrade: what a client pays in round trips before a gateway sees its request."""

_RECEIVE_BYTES = 65_536
_IP_BIND_ADDRESS_NO_PORT = 24
_READ = 1
_WRITE = 2
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM))


def outcome_of_status(status: int) -> str:
    """How an attempt ended that was answered with this HTTP status."""
    if status in {429, 503}:
        return "limited"
    return "refused" if status in {502, 504} else "rejected"


class Population:
    """What the clients of one process share.

    loop: gevent's event loop. source_address: client index → address to bind to, or None for any.
    """

    def __init__(
        self,
        *,
        loop: Any,
        fleet: Fleet,
        policy: Policy,
        address: tuple[str, int],
        upgrade: Upgrade,
        decoded: Decoded,
        recorder: Recorder,
        source_address: Callable[[int], str | None],
    ) -> None:
        self.loop = loop
        self.fleet = fleet
        self.policy = policy
        self.address = address
        self.upgrade = upgrade
        self.decoded = decoded
        self.recorder = recorder
        self.source_address = source_address
        self.clients: list[Client] = []

    def add(self) -> "Client":
        """A new client with the next index; it does nothing until it is started."""
        client = Client(self, len(self.clients))
        self.clients.append(client)
        self.recorder.started = len(self.clients)
        return client

    def push_policy(self, policy: Policy) -> None:
        """Every client follows `policy` from now on; those without a connection start over with it."""
        self.policy = policy
        for client in self.clients:
            client.follow_new_policy()


class Client:
    """One client. `start()` makes it connect; it then comes back by itself until `stop()`."""

    __slots__ = (
        "_delays",
        "_ends_ns",
        "_index",
        "_io",
        "_last_tick_ns",
        "_population",
        "_rng",
        "_round_trip_s",
        "_session",
        "_socket",
        "_started_ns",
        "_stopped",
        "_timer",
    )

    def __init__(self, population: Population, index: int) -> None:
        self._population = population
        self._index = index
        # Clients draw apart, so that one client's number of tries does not shift the others' delays.
        self._rng = random.Random((population.fleet.seed << 32) + index)  # noqa: S311
        self._round_trip_s = population.fleet.rtt_ms / 1000 * self._rng.uniform(0.5, 1.5)
        self._delays: Iterator[float] = population.policy.delays(self._rng)
        self._session: Session | None = None
        self._socket: Any = None
        self._io: Any = None
        self._timer: Any = None
        self._started_ns = 0
        self._last_tick_ns = 0
        self._ends_ns = 0
        self._stopped = False

    def start(self) -> None:
        """Begins the first try now."""
        self._after(0.0, self._begin_try)

    def stop(self) -> None:
        """Leaves for good."""
        self._stopped = True
        if self._session is not None and self._socket is not None:
            self._send(self._session.closing())
        self._close()

    def follow_new_policy(self) -> None:
        """Takes the population's policy; a client without a connection gives up its try and starts over."""
        self._delays = self._population.policy.delays(self._rng)
        if not self._stopped and not self._population.recorder.joined[self._index]:
            if self._started_ns:
                self._attempt_ended("abandoned")
            else:
                self._come_back()

    # -- one try ------------------------------------------------------------------------------------

    def _come_back(self) -> None:
        self._close()
        if self._stopped:
            return
        delay = next(self._delays)
        self._ends_ns = monotonic_ns() + int(delay * 1e9)
        self._after(delay, self._begin_try)

    def _begin_try(self) -> None:
        recorder = self._population.recorder
        recorder.attempts_in_slot += 1
        self._started_ns = now = monotonic_ns()
        if self._ends_ns:
            recorder.retry_late_ns.append(now - self._ends_ns)
        self._after(self._round_trip_s * ROUND_TRIPS_PER_TRY, self._dial)

    def _dial(self) -> None:
        population = self._population
        try:
            self._socket = sock = _plain_socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            source = population.source_address(self._index)
            if source is not None:
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((source, 0))
            error = sock.connect_ex(population.address)
        except OSError as problem:
            error = problem.errno or errno.EIO
        if error not in {0, errno.EINPROGRESS}:
            self._attempt_ended("exhausted" if error in _EXHAUSTED else "refused")
            return
        self._session = Session(population.upgrade, population.decoded)
        self._io = population.loop.io(sock.fileno(), _WRITE)
        self._io.start(self._on_connected)
        elapsed = (monotonic_ns() - self._started_ns) / 1e9
        self._after(max(0.0, population.fleet.connect_timeout_s - elapsed), self._on_connect_timeout)

    def _on_connected(self) -> None:
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._attempt_ended("exhausted" if error in _EXHAUSTED else "refused")
            return
        self._io.close()
        self._io = self._population.loop.io(self._socket.fileno(), _READ)
        self._io.start(self._on_readable)
        assert self._session is not None  # noqa: S101
        self._send(self._session.take_to_send())

    def _on_connect_timeout(self) -> None:
        self._attempt_ended("timeout")

    def _attempt_ended(self, outcome: str) -> None:
        self._population.recorder.attempt_ended(outcome, monotonic_ns() - self._started_ns)
        self._started_ns = 0
        if outcome != "joined":
            self._come_back()

    # -- one session --------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._lost("reset")
            return
        session = self._session
        assert session is not None  # noqa: S101
        now = monotonic_ns()
        for event in session.receive(data):
            if type(event) is Tick:
                recorder, index = self._population.recorder, self._index
                self._last_tick_ns = now
                if event.seq == recorder.held_seq[index] + 1:
                    recorder.latency_ns.append(now - event.due_ns)
                    recorder.due_ns.append(event.due_ns)
                    recorder.held_seq[index] = event.seq
                    recorder.held_due_ns[index] = event.due_ns
                else:
                    recorder.tick_out_of_order(index, event.seq, event.due_ns, now)
            else:
                self._on_event(event, now)
        if session.to_send and self._socket is not None:
            self._send(session.take_to_send())

    def _on_event(self, event: Any, now: int) -> None:
        fleet = self._population.fleet
        match event:
            case Opened():
                if fleet.reset_backoff == "open":
                    self._delays = self._population.policy.delays(self._rng)
            case Joined():
                if fleet.reset_backoff == "joined":
                    self._delays = self._population.policy.delays(self._rng)
                self._attempt_ended("joined")
                self._population.recorder.joined[self._index] = 1
                self._last_tick_ns = now
                self._watch()
            case Refused(status):
                self._attempt_ended(outcome_of_status(status))
            case Rejected():
                self._attempt_ended("rejected")
            case Dropped():
                self._lost("dropped")
            case Broken():
                self._lost("broken")

    def _watch(self) -> None:
        stale_after_s = self._population.fleet.stale_after_s
        if not stale_after_s:
            self._cancel_timer()
            return
        quiet_s = (monotonic_ns() - self._last_tick_ns) / 1e9
        if quiet_s >= stale_after_s:
            self._lost("stale")
        else:
            # One timer for many ticks: a tick only moves the deadline, which is checked when it comes.
            self._after(stale_after_s - quiet_s, self._watch)

    def _lost(self, reason: str) -> None:
        recorder = self._population.recorder
        if recorder.joined[self._index]:
            recorder.joined[self._index] = 0
            recorder.disconnects[reason] += 1
            if reason == "stale" and self._session is not None:
                self._send(self._session.closing())
            self._come_back()
        elif self._started_ns:
            self._attempt_ended("broken" if reason == "broken" else "reset")

    # -- plumbing -----------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        # A few bytes on a socket that only ever carries a few bytes: if they do not fit, the peer is stuck,
        # and the time-out or the watchdog finds out.
        with contextlib.suppress(OSError):
            self._socket.send(data)

    def _after(self, seconds: float, callback: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = timer = self._population.loop.timer(seconds)
        timer.start(callback, update=True)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _close(self) -> None:
        self._cancel_timer()
        self._population.recorder.joined[self._index] = 0
        if self._io is not None:
            self._io.close()
            self._io = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._session = None

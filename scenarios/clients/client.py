"""One simulated client: a session, a reconnect policy and its timers on non-blocking connections.

    waiting ── delay over ──► trying ── joined ──► connected
       ▲                        │ an outcome                   │ a disconnect
       └────────────────────────┴──────────────────────────────┘

Callbacks on the hub's own I/O and timer watchers do all the work, without a greenlet per client. A client
costs a few objects; it waits for one thing at a time and therefore needs one timer.
"""

import errno
import math
import random
from collections.abc import Callable, Iterator
from time import monotonic_ns

from scenarios.clients.addresses import Seat
from scenarios.clients.connection import EXHAUSTED, Connection
from scenarios.clients.population import FollowedPolicy, Population
from scenarios.clients.protocol import packets
from scenarios.clients.protocol.packets import Event, Events
from scenarios.clients.protocol.session import Session
from scenarios.clients.protocol.ticks import Tick
from scenarios.clients.ramp import RAMP_PAUSE_NS, RAMP_TIMEOUT_S
from scenarios.clients.timers import Timer, cancel
from scenarios.policies.throttles import Throttle
from scenarios.wire.interval import outcome_of_status

ROUND_TRIPS_PER_ATTEMPT = 3
"""TCP, TLS 1.3 and the upgrade: what a client pays in round trips before a gateway sees its request."""


class Client:
    """One client. `start()` makes it connect; it then comes back by itself until `stop()`."""

    __slots__ = (
        "_bucket",
        "_connection",
        "_delays",
        "_first",
        "_index",
        "_joined_ns",
        "_last_ping_ns",
        "_last_tick_ns",
        "_passed",
        "_ping_patience_ns",
        "_place_ns",
        "_policy",
        "_population",
        "_ramp",
        "_recorder",
        "_rng",
        "_round_trip_s",
        "_seat",
        "_session",
        "_started_ns",
        "_stopped",
        "_throttle",
        "_timer",
        "_wanted_ns",
    )

    def __init__(self, population: Population, index: int, seat: Seat) -> None:
        self._population = population
        self._recorder = population.recorder
        self._bucket = population.recorder.bucket_of(index)
        self._index = index
        self._seat = seat
        # Clients draw apart, so that one client's number of attempts does not shift the others' delays.
        self._rng = random.Random((population.fleet.seed << 32) + population.first_index + index)  # noqa: S311
        self._round_trip_s = population.fleet.rtt_ms / 1000 * self._rng.uniform(0.5, 1.5)
        self._follow_from_now(population.policy_for(self))
        # The throttle that let the present attempt through, until it is told how the attempt ended.
        self._passed: Throttle | None = None
        self._first = True
        # Until the first join of a client that is brought up gently.
        self._ramp = population.ramp
        self._session: Session | None = None
        self._connection: Connection | None = None
        self._timer: Timer | None = None
        self._started_ns = 0
        self._wanted_ns = 0
        # When an attempt may begin that the cap makes wait; 0 where none does.
        self._place_ns = 0
        self._joined_ns = self._last_tick_ns = self._last_ping_ns = 0
        self._ping_patience_ns = 0
        self._stopped = False

    def start(self) -> None:
        """Begins the first attempt now, or as soon as the ramp has room for it."""
        if self._ramp is None:
            self.begin_attempt()
        else:
            self._ramp.wait(self)

    def begin_attempt(self) -> None:
        """Begins an attempt now, unless the client has left meanwhile."""
        if self._stopped:
            return
        self._wanted_ns = monotonic_ns()
        self._at(self._wanted_ns, self._begin_try)

    def stop(self) -> None:
        """Leaves for good."""
        self._stopped = True
        self._leave_queue()
        self._tell_throttle(joined=False)
        if self._session is not None and self._connection is not None:
            self._connection.send(self._session.closing())
        self._close()

    @property
    def joined(self) -> bool:
        """Whether it has a session."""
        return bool(self._recorder.joined[self._index])

    def cut(self) -> None:
        """Loses its connection, as by a network that has gone."""
        if self.joined:
            assert self._connection is not None  # noqa: S101
            self._connection.close(reset=True)
            self._lost("cut")

    def follow(self, followed: FollowedPolicy) -> None:
        """Takes another policy; a client without a connection gives up its attempt and starts over."""
        if self._stopped:
            return
        if self._started_ns:
            self._count_attempt("abandoned")
        # An attempt that the cap made wait has not begun, yet its throttle waits for the end of it.
        self._leave_queue()
        self._tell_throttle(joined=False)
        self._follow_from_now(followed)
        if not self.joined:
            self._come_back()

    def _follow_from_now(self, followed: FollowedPolicy) -> None:
        self._policy = followed
        self._throttle: Throttle | None = None
        with self._population.policy_guarded():
            self._throttle = followed.throttle()
        self._start_policy_over()

    def _start_policy_over(self) -> None:
        self._delays: Iterator[float] = iter(())
        with self._population.policy_guarded():
            self._delays = self._policy.delays(self._rng)

    # -- one attempt ------------------------------------------------------------------------------------

    def _come_back(self) -> None:
        self._close()
        if self._stopped:
            return
        delay_ns = None
        with self._population.policy_guarded():
            delay = next(self._delays, None)
            delay_ns = None if delay is None else int(delay * 1e9)
        if delay_ns is None:
            self._recorder.gave_up += 1  # without a timer, only a pushed policy brings it back
            return
        self._wanted_ns = monotonic_ns() + delay_ns
        self._at(self._wanted_ns, self._begin_try)

    def _begin_try(self) -> None:
        now = monotonic_ns()
        if self._throttle is not None and not self._is_let_through(self._throttle, now):
            return
        wait_ns = self._population.attempts_cap.wait_ns(now)
        if wait_ns:
            self._recorder.held_back += 1
            self._wanted_ns = self._place_ns = now + wait_ns
            self._at(self._wanted_ns, self._begin_admitted_try)
        else:
            self._begin_admitted_try()

    def _is_let_through(self, throttle: Throttle, now_ns: int) -> bool:
        wait_ns: float = math.inf
        with self._population.policy_guarded():
            wait_s = throttle.wait_s(now_ns / 1e9, self._rng, self._first)
            # Rounded up: asked a nanosecond too early, a throttle would say no once more.
            wait_ns = wait_s if wait_s == math.inf else math.ceil(wait_s * 1e9)
        if wait_ns == math.inf:
            self._recorder.gave_up += 1  # without a timer, only a pushed policy brings it back
        elif wait_ns > 0:
            self._wanted_ns = now_ns + int(wait_ns)
            self._at(self._wanted_ns, self._begin_try)
        else:
            self._passed = throttle
            return True
        return False

    def _tell_throttle(self, *, joined: bool) -> None:
        throttle, self._passed = self._passed, None
        if throttle is not None:
            with self._population.policy_guarded():
                throttle.ended(joined, monotonic_ns() / 1e9)

    def _leave_queue(self) -> None:
        """An attempt that the cap makes wait will not begin: others may have its place."""
        place_ns, self._place_ns = self._place_ns, 0
        if place_ns:
            self._population.attempts_cap.give_back(place_ns)

    def _begin_admitted_try(self) -> None:
        self._first = False
        self._place_ns = 0
        self._started_ns = monotonic_ns()
        self._recorder.attempt_began(self._index, self._started_ns)
        latency_s = self._round_trip_s * ROUND_TRIPS_PER_ATTEMPT
        # From when the attempt was wanted: the machine's lateness is not the network's.
        self._wanted_ns += int(latency_s * 1e9)
        if latency_s:
            self._at(self._wanted_ns, self._dial)
        else:
            self._dial()

    def _dial(self) -> None:
        now = monotonic_ns()
        self._recorder.retry_late_ns.append(now - self._wanted_ns)
        self._session = self._new_session()
        # The round trips come off the gateway's time to answer, this process's lateness does not.
        patience_s = RAMP_TIMEOUT_S if self._ramp else self._population.fleet.connect_timeout_s
        timeout_s = patience_s - self._round_trip_s * ROUND_TRIPS_PER_ATTEMPT
        self._at(now + int(timeout_s * 1e9), self._on_connect_timeout)
        self._open_connection()

    def _open_connection(self) -> None:
        self._connection = self._population.connection(self._on_open, self._on_data, self._on_error)
        if error := self._connection.open(self._population.dial(self._index, self._seat)):
            self._on_error(error)

    def _new_session(self) -> Session:
        return Session(self._population.upgrade_request(self._seat), self._population.subscription)

    def _on_connect_timeout(self) -> None:
        self._drain()
        if self._started_ns:
            self._attempt_ended("timeout")

    def _drain(self) -> None:
        """Takes in what has arrived unread: a process that is late sees its timers before its sockets."""
        if self._connection is not None:
            self._connection.drain()

    def _count_attempt(self, outcome: str) -> None:
        self._recorder.attempt_ended(self._index, outcome, self._started_ns, monotonic_ns())
        self._started_ns = 0
        self._tell_throttle(joined=outcome == "joined")

    def _attempt_ended(self, outcome: str) -> None:
        ramp, took_ns, joined = self._ramp, monotonic_ns() - self._started_ns, outcome == "joined"
        self._count_attempt(outcome)
        if joined:
            self._ramp = None
        elif ramp is None:
            self._come_back()
        else:
            self._close()
            self._at(monotonic_ns() + RAMP_PAUSE_NS, lambda: ramp.wait(self))
        if ramp is not None:
            ramp.ended(joined=joined, took_ns=took_ns)

    # -- one session --------------------------------------------------------------------------------

    def _on_open(self) -> None:
        assert self._session is not None and self._connection is not None  # noqa: S101, PT018
        self._connection.send(self._session.take_to_send())

    def _on_data(self, data: bytes, received_ns: int) -> None:
        session = self._session
        self._handle(session.receive(data, received_ns), received_ns)  # type: ignore[union-attr]
        if session.to_send and self._connection is not None:  # type: ignore[union-attr]
            self._connection.send(session.take_to_send())  # type: ignore[union-attr]
        self._population.run_due_timers()

    def _handle(self, events: Events, received_ns: int) -> None:
        session = self._session
        for event in events:
            if type(event) is Tick:
                bucket, index = self._bucket, self._index
                self._last_tick_ns = received_ns
                seq, due_ns = event.seq, event.due_ns
                if seq == bucket.held_seq[index] + 1:
                    bucket.latency_ns.append(received_ns - due_ns)
                    bucket.due_ns.append(due_ns)
                    bucket.held_seq[index] = seq
                    bucket.held_due_ns[index] = due_ns
                else:
                    self._recorder.tick_out_of_order(index, seq, due_ns, received_ns)
            else:
                self._on_event(event, received_ns)
                if self._session is not session:
                    return

    def _on_event(self, event: Event, received_ns: int) -> None:
        fleet = self._population.fleet
        match event:
            case packets.Opened(interval_s, timeout_s):
                self._ping_patience_ns = int((interval_s + timeout_s) * 1e9)
                self._last_ping_ns = received_ns
                if fleet.reset_backoff == "open":
                    self._start_policy_over()
            case packets.Pinged():
                self._last_ping_ns = received_ns
            case packets.Joined():
                if fleet.reset_backoff == "joined":
                    self._start_policy_over()
                self._attempt_ended("joined")
                self._recorder.joined[self._index] = 1
                self._joined_ns = self._last_tick_ns = received_ns
                # By a timer even where it is due: what came in behind the join has to be handled first.
                self._at(self._patience()[0], self._watch)
            case packets.Refused(status):
                self._lost(outcome_of_status(status), "refused")
            case packets.Rejected():
                self._say_goodbye()
                self._lost("rejected", "dropped")
            case packets.Dropped():
                self._say_goodbye()
                self._lost("reset", "dropped")
            case packets.Broken(reason):
                self._lost(self._population.broken(reason))

    def _say_goodbye(self) -> None:
        """A session that ended in order has last words."""
        if self._session is not None and self._connection is not None:
            self._connection.send(self._session.take_to_send() + self._session.last_words)

    def _watch(self) -> None:
        """Hangs up once the feed is stale or the server's ping is overdue; until then, waits for that."""
        due_ns, _ = self._patience()
        if due_ns <= monotonic_ns():
            session = self._session
            self._drain()
            if self._session is not session:
                return
            due_ns, reason = self._patience()
            if due_ns <= monotonic_ns():
                self._lost(reason)
                return
        # One timer for many ticks: a tick only moves the deadline, which is checked when it comes.
        self._at(due_ns, self._watch)

    def _patience(self) -> tuple[int, str]:
        """When the session is to be given up by what has been read so far, and for what reason."""
        ping = (self._last_ping_ns + self._ping_patience_ns, "ping_timeout")
        fleet = self._population.fleet
        if not fleet.stale_after_s:
            return ping
        if fleet.stale_by == "gap":
            fresh_ns = self._last_tick_ns
        else:
            # A client knows the stamp alone. What it held before this session does not count against it.
            held_ns = self._recorder.schedule.stamp_ns(self._recorder.held_due_ns[self._index])
            fresh_ns = max(self._joined_ns, held_ns)
        return min(ping, (fresh_ns + int(fleet.stale_after_s * 1e9), "stale"))

    def _lost(self, outcome: str, reason: str = "") -> None:
        """Ends the attempt with that outcome or, if it had joined, the session for that reason."""
        recorder = self._recorder
        if recorder.joined[self._index]:
            recorder.disconnects[reason or outcome] += 1
            self._first = True
            fleet = self._population.fleet
            stable_ns = self._joined_ns + fleet.stable_after_s * 1e9
            if fleet.reset_backoff == "stable" and monotonic_ns() >= stable_ns:
                self._start_policy_over()
            if outcome in {"stale", "ping_timeout"} and self._session is not None:
                assert self._connection is not None  # noqa: S101
                self._connection.send(self._session.closing())
            self._come_back()
        elif self._started_ns:
            self._attempt_ended(outcome)

    def _on_error(self, error: int) -> None:
        if not error:
            self._lost("tls", "broken")
        elif error in EXHAUSTED:
            if self.joined:
                self._recorder.unopened += 1
            self._lost("exhausted", "reset")
        else:
            opened = self._connection is not None and self._connection.is_open
            self._lost("reset" if opened or error == errno.ECONNRESET else "refused", "reset")
        self._population.run_due_timers()

    # -- plumbing -----------------------------------------------------------------------------------

    def _at(self, due_ns: int, callback: Callable[[], None]) -> None:
        cancel(self._timer)
        self._timer = self._population.timers.at(due_ns, callback)

    def _close(self) -> None:
        cancel(self._timer)
        self._recorder.joined[self._index] = 0
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._session = None

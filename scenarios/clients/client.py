"""One simulated client: a session, a reconnect policy and its timers on non-blocking connections.

    waiting ── delay over ──► trying ── joined ──► connected
       ▲                        │ an outcome                   │ a disconnect
       └────────────────────────┴──────────────────────────────┘

Callbacks on the hub's own I/O and timer watchers do all the work, without a greenlet per client. A client
costs a few objects; it waits for one thing at a time and therefore needs one timer. What it does while it
waits for its next attempt is in `reconnecting.py`.
"""

import errno
from collections.abc import Mapping
from functools import partial
from time import monotonic_ns
from typing import ClassVar

from scenarios.clients import endings
from scenarios.clients.addresses import Seat
from scenarios.clients.connection import EXHAUSTED, Connection
from scenarios.clients.endings import Ending
from scenarios.clients.population import Population
from scenarios.clients.protocol import packets
from scenarios.clients.protocol.identity import Identity
from scenarios.clients.protocol.packets import Event, Events
from scenarios.clients.protocol.recovery import Recovery
from scenarios.clients.protocol.round_trips import ROUND_TRIPS_PER_ATTEMPT
from scenarios.clients.protocol.session import Session
from scenarios.clients.protocol.ticks import Tick
from scenarios.clients.ramp import RAMP_PAUSE_NS, RAMP_TIMEOUT_S
from scenarios.clients.reconnecting import Reconnecting, lasted_s
from scenarios.clients.timers import cancel
from scenarios.policies.following import FollowedPolicy
from scenarios.policies.outcome import Transport


class Client(Reconnecting):
    """One client. `start()` makes it connect; it then comes back by itself until `stop()`."""

    __slots__ = (
        *("_bucket", "_connection", "_identity", "_joined_ns", "_last_ping_ns", "_last_tick_ns"),
        *("_on_first_attempt", "_ping_patience_ns", "_ramp", "_recovery", "_round_trip_s", "_seat"),
        *("_session", "_started_ns", "_tls_memory"),
    )

    _requests: ClassVar[Transport] = "websocket"
    """The transport of the requests that it cannot do without."""

    def __init__(self, population: Population, index: int, seat: Seat) -> None:
        super().__init__(population, index)
        self._bucket = population.recorder.bucket_of(index)
        self._seat = seat
        self._tls_memory = population.tls_memory(index)
        self._round_trip_s = population.fleet.rtt_ms / 1000 * self._rng.uniform(0.5, 1.5)
        self._follow_from_now(population.policy_for(self))
        # Until the first join of a client that is brought up gently.
        self._ramp = population.ramp
        self._identity: Identity | None = None
        self._recovery = Recovery() if population.fleet.recovery else None
        self._session: Session | None = None
        self._connection: Connection | None = None
        self._started_ns = 0
        self._on_first_attempt = False
        self._joined_ns = self._last_tick_ns = self._last_ping_ns = 0
        self._ping_patience_ns = 0

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
        self._at(self._wanted_ns, self._ask_cap)

    def stop(self) -> None:
        """Leaves for good."""
        self._stopped = True
        self._leave_policy()
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
            self._lost(endings.CUT)

    def follow(self, followed: FollowedPolicy) -> None:
        """Takes another policy; a client without a connection gives up its attempt and starts over."""
        if self._stopped:
            return
        if self._started_ns:
            self._count_attempt("abandoned")
        self._leave_policy()
        self._follow_from_now(followed)
        if not self.joined:
            self._close()
            self._come_back_by_push()

    # -- one attempt ------------------------------------------------------------------------------------

    def _begin_admitted_attempt(self) -> None:
        self._on_first_attempt, self._first = self._first, False
        self._place_ns = 0
        self._started_ns = monotonic_ns()
        self._recorder.attempt_began(self._index, self._started_ns, first=self._on_first_attempt)
        issuer = self._population.issuer
        if issuer is None or (issuer.once and self._identity is not None):
            self._set_out()
            return
        self._at(self._started_ns + int(issuer.timeout_s * 1e9), self._on_no_credentials)
        issuer.ask(self._population.first_index + self._index, partial(self._log_in, self._started_ns))

    def _log_in(self, began_ns: int, identity: Identity | None) -> None:
        """Goes on with credentials, unless they were for an attempt that is over."""
        if self._stopped or self._started_ns != began_ns:
            return
        if identity is None:
            self._on_no_credentials()
            return
        self._identity = identity
        self._wanted_ns = monotonic_ns()
        self._set_out()

    def _on_no_credentials(self) -> None:
        self._attempt_failed(endings.NO_CREDENTIALS)

    def _set_out(self) -> None:
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
        dial = self._population.dial(self._index, self._seat, self._tls_memory)
        if error := self._connection.open(dial):
            self._on_error(error)

    def _new_session(self) -> Session:
        population = self._population
        return Session(population.upgrade_request(self._headers), population.subscription, self._join)

    @property
    def _headers(self) -> Mapping[str, str]:
        return self._population.headers(self._seat, self._identity)

    @property
    def _join(self) -> bytes:
        """The packet by which it joins; empty: that of all clients."""
        identity, recovery = self._identity, self._recovery
        subscription = self._population.subscription
        if identity is None and recovery is None:
            return b""
        auth = subscription.auth if identity is None else identity.auth
        return subscription.join_with(auth if recovery is None else recovery.payload(auth))

    def _on_connect_timeout(self) -> None:
        self._drain()
        if self._started_ns:
            self._attempt_failed(endings.TIMED_OUT)

    def _drain(self) -> None:
        """Takes in what has arrived unread: a process that is late sees its timers before its sockets."""
        if self._connection is not None:
            self._connection.drain()

    def _count_attempt(self, outcome: str) -> None:
        self._recorder.attempt_ended(
            self._index, outcome, self._started_ns, monotonic_ns(), first=self._on_first_attempt
        )
        self._started_ns = 0

    def _attempt_joined(self) -> None:
        took_ns = monotonic_ns() - self._started_ns
        self._count_attempt("joined")
        self._tell_policy_of_join()
        ramp, self._ramp = self._ramp, None
        if ramp is not None:
            ramp.ended(joined=True, took_ns=took_ns)

    def _attempt_failed(self, ending: Ending) -> None:
        ramp, took_ns = self._ramp, monotonic_ns() - self._started_ns
        self._count_attempt(ending.attempt)
        self._close()
        if ramp is None:
            self._come_back_after(ending.outcome)
        else:
            self._at(monotonic_ns() + RAMP_PAUSE_NS, lambda: ramp.wait(self))
            ramp.ended(joined=False, took_ns=took_ns)

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
        if self._recovery is not None:
            events = self._recovery.take(events)
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
        match event:
            case packets.Opened(interval_s, timeout_s):
                self._ping_patience_ns = int((interval_s + timeout_s) * 1e9)
                self._last_ping_ns = received_ns
                self._population.note_open()
                if self._reset == "open":
                    self._start_policy_over()
            case packets.Pinged():
                self._last_ping_ns = received_ns
            case packets.Joined():
                if self._reset == "joined":
                    self._start_policy_over()
                self._attempt_joined()
                self._recorder.joined[self._index] = 1
                self._joined_ns = self._last_tick_ns = received_ns
                # By a timer even where it is due: what came in behind the join has to be handled first.
                self._at(self._patience()[0], self._watch)
                if self._recovery is not None and self._recovery.asked:
                    self._recorder.asked_for_recovery(self._recovery.recovered, event.replayed)
            case packets.Refused(status):
                self._lost(endings.answered(status, self._said.retry_after_s, self._requests))
            case packets.Rejected():
                self._say_goodbye()
                self._lost(endings.rejected(self._said))
            case packets.Dropped():
                self._say_goodbye()
                self._lost(endings.dropped(self._said))
            case packets.Broken(reason):
                self._population.note_broken(reason)
                self._lost(endings.BROKEN)

    @property
    def _said(self) -> packets.Said:
        return packets.NOTHING_SAID if self._session is None else self._session.said

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
            due_ns, ending = self._patience()
            if due_ns <= monotonic_ns():
                self._lost(ending)
                return
        # One timer for many ticks: a tick only moves the deadline, which is checked when it comes.
        self._at(due_ns, self._watch)

    def _patience(self) -> tuple[int, Ending]:
        """When the session is to be given up by what has been read so far, and how it ends then."""
        ping_ns = self._last_ping_ns + self._ping_patience_ns
        fleet = self._population.fleet
        if not fleet.stale_after_s:
            return ping_ns, endings.PING_TIMEOUT
        if fleet.stale_by == "gap":
            fresh_ns = self._last_tick_ns
        else:
            # A client knows the stamp alone. What it held before this session does not count against it.
            held_ns = self._recorder.schedule.stamp_ns(self._recorder.held_due_ns[self._index])
            fresh_ns = max(self._joined_ns, held_ns)
        stale_ns = fresh_ns + int(fleet.stale_after_s * 1e9)
        return (ping_ns, endings.PING_TIMEOUT) if ping_ns <= stale_ns else (stale_ns, endings.STALE)

    def _lost(self, ending: Ending) -> None:
        """Ends the session, or the attempt if it has not joined."""
        if self.joined:
            self._recorder.disconnects[ending.session] += 1
            self._first = True
            now_ns = monotonic_ns()
            session_s = lasted_s(self._joined_ns, now_ns)
            if ending is not endings.STALE and ending is not endings.CUT:
                self._recorder.session_ages_ns.append(now_ns - self._joined_ns)
            if isinstance(self._reset, float | int) and session_s >= self._reset:
                self._start_policy_over()
            given_up = ending is endings.STALE or ending is endings.PING_TIMEOUT
            if given_up and self._session is not None:
                assert self._connection is not None  # noqa: S101
                self._connection.send(self._session.closing())
            self._close()
            self._come_back_after(ending.outcome, session_s)
        elif self._started_ns:
            self._attempt_failed(ending)

    def _on_error(self, error: int) -> None:
        if not error:
            self._lost(endings.TLS_FAILED)
        elif error in EXHAUSTED:
            if self.joined:
                self._recorder.unopened += 1
            self._lost(endings.EXHAUSTED)
        else:
            opened = self._connection is not None and self._connection.is_open
            self._lost(endings.RESET if opened or error == errno.ECONNRESET else endings.REFUSED)
        self._population.run_due_timers()

    # -- plumbing -----------------------------------------------------------------------------------

    def _close(self) -> None:
        cancel(self._timer)
        self._recorder.joined[self._index] = 0
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._session = None

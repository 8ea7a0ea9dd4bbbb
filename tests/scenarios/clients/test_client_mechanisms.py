"""What makes clients leave, wait, give up and come back: our real clients against good servers on loopback.

Clients and servers share a hub in a process of their own, patched as under Locust: `drive` below is what runs
there. It plays all scenes at once and says what was seen; the tests say what should have been.
"""

import contextlib
import os
import random
import socket as sockets
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from time import monotonic, monotonic_ns
from typing import Any

import msgspec
import pytest
from engineio import packet as engineio
from socketio import packet as socketio

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.policies.following import Policy
from scenarios.policies.orders import Told
from scenarios.policies.outcome import Outcome, OutcomeKind, Reset, Sees
from scenarios.policies.throttled import Throttled
from scenarios.policies.throttles import Throttle
from scenarios.scenario.model import Fleet, Scenario, Target
from scenarios.wire.interval import Interval
from scenarios.wire.orders import (
    Cut,
    Finalise,
    GeneratorSettings,
    Message,
    PushPolicy,
    SetFeed,
    decode,
    encode,
)
from tests.support.server_bytes import (
    HANDSHAKE,
    HEAD,
    JOIN,
    OPEN,
    body,
    engine,
    open_packet,
    response,
    socket,
    socket_packets,
)

TICK_S = 0.05
DEADLINE_S = 60.0
REFUSAL = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
AT_ONCE = {"name": "naive"}
AWAY = {"name": "spread", "hold_s": 3600.0}
"""Whoever follows this does not come back while a scene lasts."""

Seen = dict[str, Any]


# -- policies that keep count -----------------------------------------------------------------------


class Counted:
    """A policy of these delays that counts how often it is started over, and makes throttles of one kind."""

    def __init__(self, delays_s: Callable[[], Iterator[float]] = lambda: repeat(0.01)) -> None:
        self.starts = self.throttles = 0
        self.shared = False
        self.new_throttle: Callable[[], Throttle] | None = None
        self.reset: Reset = "open"
        self.stops_on: frozenset[OutcomeKind] = frozenset()
        self.sees: Sees = "all"
        self._delays_s = delays_s

    def delays(self, rng: random.Random) -> Iterator[float]:
        self.starts += 1
        return self._delays_s()

    def for_clients(self) -> Callable[[], Policy]:
        if self.new_throttle is None:
            return lambda: self
        if self.shared:
            every = self._throttled()
            return lambda: every
        return self._throttled

    def _throttled(self) -> Policy:
        assert self.new_throttle is not None
        self.throttles += 1
        return Throttled(self, self.new_throttle())


class LoggedThrottle:
    """Says these waiting times, then 0, and writes down what it is asked and told."""

    def __init__(self, log: list[str], *waits_s: float) -> None:
        self._log = log
        self._waits_s = list(waits_s)

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:
        wait_s = self._waits_s.pop(0) if self._waits_s else 0.0
        self._log.append(f"{'first ' if first else ''}asked: {'wait' if wait_s else 'go'}")
        return wait_s

    def ended(self, joined: bool, now_s: float) -> None:
        self._log.append("joined" if joined else "failed")


def gated(*waits_s: float, log: list[str] | None = None, shared: bool = False) -> tuple[Counted, list[str]]:
    """A policy whose throttles share one log."""
    log = [] if log is None else log
    kept = log
    policy = Counted()
    policy.shared = shared
    policy.new_throttle = lambda: LoggedThrottle(kept, *waits_s)
    return policy, log


# -- a server and its clients -----------------------------------------------------------------------


class Server:
    """A gateway that joins whoever asks and sends ticks, unless it is told otherwise."""

    def __init__(self, feed: FeedSchedule | None, log: list[str]) -> None:
        import gevent
        from gevent.server import StreamServer

        self.mode = "join"
        """`join`, `poll`, `refuse` or `ignore`."""
        self.opening = OPEN
        self.refusal = REFUSAL
        self.ticking = True
        self.says_in_the_end: bytes | None = None
        """What it says to a client that has joined; None if the session goes on."""
        self.heard_in_the_end = b""
        self.pinging = False
        self.sent_seq = self.next_seq = -1
        """The latest tick that went out, and the one that it would send next."""
        self.late_s = 0.0
        """How late a tick goes out; it is sent in time, and says that it was due earlier."""
        self.feed = feed or FeedSchedule.of(monotonic_ns(), 1 / TICK_S)
        self.requests = 0
        self.refused_at_s: list[float] = []
        self.sessions_s: list[float] = []
        """How long each session lasted that has ended."""
        self._log = log
        self._joined: dict[Any, float] = {}
        self._ignored: list[Any] = []
        self._polls: list[Any] = []
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port: int = self._server.server_port
        self._ticker = gevent.spawn(self._tick)

    def drop(self) -> None:
        """Ends all sessions."""
        for connection in list(self._joined):
            with contextlib.suppress(OSError):
                connection.shutdown(sockets.SHUT_RDWR)

    def answer(self, data: bytes) -> None:
        """Tells those something who were ignored; without data, that this is the end."""
        for connection in self._ignored:
            connection.sendall(data) if data else connection.shutdown(sockets.SHUT_RDWR)

    @property
    def polls(self) -> int:
        """How many clients wait for the answer to a poll."""
        return len(self._polls)

    def send_tick(self, seq: int, due_ns: int) -> None:
        """Sends a tick to everybody, now."""
        self.sent_seq = seq
        content = ["tick", {"seq": seq, "due_ns": due_ns}]
        data = socket(socketio.EVENT, content) + (engine(engineio.PING) if self.pinging else b"")
        polls, self._polls = self._polls, []
        answer = response(body(*socket_packets(socketio.EVENT, content))) if polls else b""
        for connection, what in [*((c, data) for c in self._joined), *((c, answer) for c in polls)]:
            with contextlib.suppress(OSError):
                connection.sendall(what)

    def close(self) -> None:
        self._ticker.kill()
        self._server.stop(timeout=0)

    def _serve(self, connection: Any, _address: Any) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._hear(connection, b"\r\n\r\n")
            self.requests += 1
            self._log.append("request")
            if self.mode == "refuse":
                connection.sendall(self.refusal)
                self.refused_at_s.append(monotonic())
            elif self.mode == "join":
                connection.sendall(HEAD + self.opening)
                self._hear(connection, b"40")
                began = monotonic()
                connection.sendall(JOIN)
                self._joined[connection] = began
                if self.says_in_the_end is not None:
                    connection.sendall(self.says_in_the_end)
                    if not self.says_in_the_end:
                        connection.shutdown(sockets.SHUT_WR)
                with contextlib.suppress(OSError):
                    while more := connection.recv(65_536):
                        self.heard_in_the_end += more
                del self._joined[connection]
                self.sessions_s.append(monotonic() - began)
            elif self.mode == "poll":
                connected = socket_packets(socketio.CONNECT, {"sid": "b"})
                for said in (body(open_packet()), b"ok", body(*connected)):
                    connection.sendall(response(said))
                    self._hear(connection, b"\r\n\r\n")
                self._polls.append(connection)
                while connection.recv(65_536):
                    self._polls.append(connection)
            else:
                self._ignored.append(connection)
                while connection.recv(65_536):
                    pass

    @staticmethod
    def _hear(connection: Any, wanted: bytes) -> None:
        said = b""
        while wanted not in said:
            more = connection.recv(65_536)
            if not more:
                raise EOFError
            said += more

    def _tick(self) -> None:
        import gevent

        late_ns = int(self.late_s * 1e9)
        seq = self.feed.first_seq_from(monotonic_ns() - late_ns)
        while True:
            self.next_seq = seq
            gevent.sleep(max(0, self.feed.due_ns(seq) - monotonic_ns()) / 1e9)
            if self.ticking:
                self.send_tick(seq, self.feed.due_ns(seq) - int(self.late_s * 1e9))
            seq += 1


def totals(intervals: list[Interval]) -> Seen:
    """What these say together: a second may end between any two events."""
    kinds = {
        kind: dict(sum((Counter(getattr(part, kind)) for part in intervals), Counter()))
        for kind in ("outcomes", "disconnects")
    }
    names = ("attempts", "held_back", "unopened", "gave_up", "ticks", "missed")
    return {**kinds, **{name: sum(getattr(part, name) for part in intervals) for name in names}}


class World:
    """A server and the clients of one generator process. fleet: what the clients of the scene differ in."""

    def __init__(
        self,
        clients: int = 1,
        policy: Policy | None = None,
        log: list[str] | None = None,
        feed_hz: float | None = None,
        **fleet: Any,
    ) -> None:
        from scenarios.clients.protocol.target import resolve
        from scenarios.generator.process import Generator

        epoch_ns = monotonic_ns()
        feed = None if feed_hz is None else FeedSchedule.of(epoch_ns, feed_hz)
        self.server = Server(feed, [] if log is None else log)
        everybody: dict[str, Any] = {
            "policy": AT_ONCE,
            "rtt_ms": 0,
            "connect_timeout_s": DEADLINE_S,
            "stale_after_s": DEADLINE_S,
        }
        scenario = Scenario(
            fleet=Fleet(**{**everybody, **fleet}), target=Target(url=f"http://127.0.0.1:{self.server.port}")
        )
        if feed_hz is not None:
            scenario = msgspec.structs.replace(
                scenario, feed=msgspec.structs.replace(scenario.feed, rate_hz=feed_hz)
            )
        settings = GeneratorSettings(scenario=scenario, epoch_ns=epoch_ns, own_stack=feed_hz is not None)
        self.intervals: list[Interval] = []
        self.generator = Generator(settings, resolve(scenario.target), self.intervals.append)
        if policy is not None:
            self.push(policy)
        self.clients = [self.generator.add_client() for _ in range(clients)]

    def start(self) -> None:
        for client in self.clients:
            client.start()

    def order(self, order: Message) -> None:
        """Gives an order as it comes from a master or a runner."""
        self.generator.obey(decode(encode(order)))

    def push(self, policy: Policy) -> None:
        """What an order does, for a policy without a name."""
        self.generator.populations[0].push(policy, 0.0, self.generator.clients)

    @property
    def joined(self) -> list[bool]:
        return [client.joined for client in self.clients]

    def until_joined(self) -> None:
        until(lambda: all(self.joined))

    def count(self) -> Seen:
        """All that has happened up to now."""
        self.order(Finalise())
        return totals(self.intervals)

    def close(self) -> None:
        for client in self.clients:
            client.stop()
        self.generator.stop()
        self.server.close()


@contextlib.contextmanager
def world(*args: Any, **options: Any) -> Iterator[World]:
    """A world that ends with the scene."""
    made = World(*args, **options)
    try:
        yield made
    finally:
        made.close()


def until(condition: Callable[[], bool]) -> None:
    """Waits for something that is bound to happen."""
    import gevent

    began = monotonic()
    while not condition():
        if monotonic() - began > DEADLINE_S:
            raise TimeoutError
        gevent.sleep(0.002)


def rest(seconds: float) -> None:
    """Gives something that must not happen the time to happen."""
    import gevent

    gevent.sleep(seconds)


# -- the watchdog -----------------------------------------------------------------------------------


STALE_S = 0.4
LONG_STALE_S = 4.0
"""For those who must not become stale: this process may stand still for a while, with its servers."""


def watchdogs() -> Seen:
    with contextlib.ExitStack() as stack:
        late_by_age, late_by_gap, good_by_age = worlds = [
            stack.enter_context(world(stale_after_s=stale_s, stale_by=stale_by))
            for stale_s, stale_by in ((STALE_S, "age"), (LONG_STALE_S, "gap"), (LONG_STALE_S, "age"))
        ]
        late_by_age.server.late_s = late_by_gap.server.late_s = 60.0
        for each in worlds:
            each.start()
        for each in (late_by_gap, good_by_age):
            each.until_joined()
        rest(LONG_STALE_S + STALE_S)
        until(lambda: len(late_by_age.server.sessions_s) >= 2)
        return {
            "late by age": late_by_age.count()["disconnects"],
            "late by gap": late_by_gap.count()["disconnects"],
            "good by age": good_by_age.count()["disconnects"],
            "shortest session": min(late_by_age.server.sessions_s),
        }


def test_a_feed_that_is_late_but_steady_is_stale_by_its_age_and_not_by_its_gaps(seen: Seen) -> None:
    found = seen["watchdogs"]
    assert found["late by age"].keys() == {"stale"}
    assert found["late by gap"] == found["good by age"] == {}


def test_what_a_client_held_before_does_not_make_a_new_session_stale_at_once(seen: Seen) -> None:
    # The server's clock starts before the client's, and stops after it.
    assert seen["watchdogs"]["shortest session"] >= STALE_S


# -- the back-off -----------------------------------------------------------------------------------


def starts_after_three_sessions(own: Reset = "open", **fleet: Any) -> int:
    """How often a policy with that rule of its own is started anew by three sessions."""
    policy = Counted()
    policy.reset = own
    with world(policy=policy, **fleet) as scene:
        scene.start()
        for sessions in range(1, 4):
            until(lambda n=sessions: scene.server.requests == n and scene.clients[0].joined)  # type: ignore[misc]
            rest(0.05)
            if sessions == 3:
                scene.server.mode = "ignore"
            scene.server.drop()
        until(lambda: scene.server.requests == 4)
        return policy.starts - 1


def back_offs() -> Seen:
    return {
        "open": starts_after_three_sessions(reset_backoff="open"),
        "joined": starts_after_three_sessions(reset_backoff="joined"),
        "stable, after longer than they last": starts_after_three_sessions(
            reset_backoff="stable", stable_after_s=60.0
        ),
        "stable, after less than they last": starts_after_three_sessions(
            reset_backoff="stable", stable_after_s=0.02
        ),
        "never": starts_after_three_sessions(reset_backoff="never"),
        "the policy's: open": starts_after_three_sessions(),
        "the policy's: joined": starts_after_three_sessions("joined"),
        "the policy's: never": starts_after_three_sessions("never"),
        "the policy's: longer than they last": starts_after_three_sessions(60.0),
        "the policy's: less than they last": starts_after_three_sessions(0.02),
        "the scenario's, whatever the policy says": starts_after_three_sessions(
            "open", reset_backoff="never"
        ),
    }


@pytest.mark.parametrize(
    ("reset", "starts"),
    [
        ("open", 3),
        ("joined", 3),
        ("stable, after longer than they last", 0),
        ("stable, after less than they last", 3),
        ("never", 0),
        ("the policy's: open", 3),
        ("the policy's: joined", 3),
        ("the policy's: never", 0),
        ("the policy's: longer than they last", 0),
        ("the policy's: less than they last", 3),
        ("the scenario's, whatever the policy says", 0),
    ],
)
def test_a_policy_starts_over_when_the_back_off_is_said_to_reset(seen: Seen, reset: str, starts: int) -> None:
    assert seen["back_offs"][reset] == starts


# -- what policies are told ---------------------------------------------------------------------------


class Listening(Counted):
    """A policy that writes down what it is told, and waits for Retry-After."""

    def __init__(self, sees: Sees) -> None:
        super().__init__()
        self.sees = sees
        self.heard: list[Outcome] = []

    def delays(self, rng: random.Random) -> Told:
        outcome = yield
        while True:
            self.heard.append(outcome)
            outcome = yield 0.05 if outcome.retry_after_s is None else outcome.retry_after_s


POLLING: dict[str, Any] = {"transport": "polling-upgrade"}
BUSY_SERVER: dict[str, Any] = {"mode": "refuse", "refusal": BUSY}

Heard = tuple[str, int | None, float | None, int | None, str, bool]
"""Kind, status, Retry-After, close code and reason that a policy is told, and whether a session had ended."""

TOLD: dict[str, tuple[Sees, dict[str, Any], dict[str, Any], Heard]] = {
    "a refused upgrade": ("all", {}, BUSY_SERVER, ("http_status", 503, 1.0, None, "", False)),
    "a refused upgrade, in a browser": (
        "browser",
        {},
        BUSY_SERVER,
        ("closed", None, None, 1006, "", False),
    ),
    "a refused poll": ("all", POLLING, BUSY_SERVER, ("http_status", 503, 1.0, None, "", False)),
    "a refused poll, in a browser": (
        "browser",
        POLLING,
        BUSY_SERVER,
        ("http_status", 503, 1.0, None, "", False),
    ),
    "no Retry-After": ("all", {}, {"mode": "refuse"}, ("http_status", 503, None, None, "", False)),
    "no answer": (
        "all",
        {"connect_timeout_s": 0.3},
        {"mode": "ignore"},
        ("timeout", None, None, None, "", False),
    ),
    "a Close frame, in a browser": (
        "browser",
        {},
        {"says_in_the_end": b"\x88\x0b\x03\xf5try later"},
        ("closed", None, None, 1013, "try later", True),
    ),
    "an end without a Close frame": (
        "all",
        {},
        {"says_in_the_end": b""},
        ("closed", None, None, None, "", True),
    ),
    "a DISCONNECT": (
        "browser",
        {},
        {"says_in_the_end": b"\x81\x0241"},
        ("namespace_disconnect", None, None, None, "", True),
    ),
    "a CONNECT_ERROR": (
        "browser",
        {},
        {"says_in_the_end": b'\x81\x1244{"message":"no"}'},
        ("connect_error", None, None, None, "no", True),
    ),
    "a stale feed": (
        "all",
        {"stale_after_s": 0.3},
        {"ticking": False},
        ("stale", None, None, None, "", True),
    ),
}


def tellings() -> Seen:
    found: Seen = {}
    with contextlib.ExitStack() as stack:
        policies = {name: Listening(sees) for name, (sees, *_) in TOLD.items()}
        scenes = {
            name: stack.enter_context(world(policy=policies[name], **fleet))
            for name, (_, fleet, *_) in TOLD.items()
        }
        for name, scene in scenes.items():
            for key, value in TOLD[name][2].items():
                setattr(scene.server, key, value)
            scene.start()
        for name in scenes:
            heard = policies[name].heard
            until(lambda heard=heard: len(heard) >= 2)  # type: ignore[misc]
            first = heard[0]
            found[name] = [
                first.kind,
                first.status,
                first.retry_after_s,
                first.close_code,
                first.reason,
                first.had_session,
            ]
        refused_at_s = scenes["a refused upgrade"].server.refused_at_s
        return {"told": found, "between refusals_s": refused_at_s[1] - refused_at_s[0]}


@pytest.mark.parametrize(("name", "told"), [(name, told) for name, (*_, told) in TOLD.items()])
def test_a_policy_is_told_of(seen: Seen, name: str, told: Heard) -> None:
    assert seen["tellings"]["told"][name] == list(told)


def test_a_policy_can_wait_as_long_as_retry_after_says(seen: Seen) -> None:
    assert seen["tellings"]["between refusals_s"] >= 0.9


# -- giving up --------------------------------------------------------------------------------------


def gives_up(policy: Policy, tries: int) -> Seen:
    """A client that gives up after so many tries, and what a pushed policy then does."""
    with world(policy=policy) as scene:
        scene.server.mode = "refuse"
        scene.start()
        until(lambda: scene.count()["gave_up"] > 0)
        rest(0.1)
        seen = {"requests": scene.server.requests - tries, **scene.count()}
        scene.server.mode = "join"
        scene.order(PushPolicy(policy=AT_ONCE))
        scene.until_joined()
        return {**seen, "gave_up afterwards": scene.count()["gave_up"]}


def ends() -> Seen:
    # The first connection of a client is no reconnect, and needs no leave of its policy.
    throttle, _ = gated(0.0, float("inf"))
    return {
        "no delay left": gives_up(Counted(lambda: iter([0.01, 0.01])), 3),
        "no delay at all": gives_up(Counted(lambda: iter([])), 1),
        "the throttle never opens": gives_up(throttle, 2),
    }


@pytest.mark.parametrize("end", ["no delay left", "no delay at all", "the throttle never opens"])
def test_a_client_that_gives_up_stays_away_until_it_is_given_another_policy(seen: Seen, end: str) -> None:
    found = seen["ends"][end]
    assert found["requests"] == 0
    assert found["gave_up"] == found["gave_up afterwards"] == 1
    assert found["outcomes"].keys() == {"limited"}


# -- throttles ------------------------------------------------------------------------------------------


def asking() -> Seen:
    policy, log = gated(0.02, 0.0, 0.02, 0.02)
    with world(policy=policy, log=log) as scene:
        scene.start()
        scene.until_joined()
        first_connection = list(log)
        log.clear()
        scene.server.mode = "refuse"
        scene.server.drop()
        until(lambda: "failed" in log)
        scene.server.mode = "join"
        scene.until_joined()
        log.append("dropped")
        scene.server.drop()
        until(lambda: log.count("joined") == 2)
        return {"log": list(log), "throttles": policy.throttles, "at first": first_connection}


def test_a_gate_is_asked_before_each_try_and_told_how_those_ended_that_it_let_through(seen: Seen) -> None:
    assert seen["asking"]["log"] == [
        *("first asked: wait", "first asked: go", "request", "failed"),
        *("asked: wait", "asked: wait", "asked: go", "request", "joined"),
        *("dropped", "first asked: go", "request", "joined"),
    ]


def test_a_gate_is_not_asked_about_the_first_connection_of_a_client(seen: Seen) -> None:
    assert seen["asking"]["at first"] == ["request"]


def test_a_gate_outlives_the_resets_of_the_back_off(seen: Seen) -> None:
    assert seen["asking"]["throttles"] == 1


def sharing() -> Seen:
    throttles = {}
    for shared in (False, True):
        policy, _ = gated(shared=shared)
        with world(3, policy=policy) as scene:
            scene.start()
            scene.until_joined()
            throttles[str(shared)] = policy.throttles
    return throttles


def test_clients_have_a_gate_each_unless_their_policy_shares_one(seen: Seen) -> None:
    assert seen["sharing"] == {"False": 3, "True": 1}


def leaving() -> Seen:
    found = {}
    for name, fleet in {"trying": {}, "held back": {"max_attempts_per_s": 1}}.items():
        old, log = gated(shared=True)
        with world(3, policy=old, **fleet) as scene:
            scene.start()
            scene.until_joined()
            scene.server.mode = "ignore"
            scene.server.drop()
            until(lambda log=log: log.count("first asked: go") == 3)  # type: ignore[misc]
            until(lambda scene=scene: scene.server.requests > 3)  # type: ignore[misc]
            log.append("pushed")
            scene.push(Counted(lambda: repeat(3600.0)))
            counts = scene.count()
            joined = counts["outcomes"].pop("joined")
            found[name] = {"log": list(log), **counts, "attempts": counts["attempts"] - joined}
    with world(policy=(stopping := gated())[0]) as scene:
        scene.start()
        scene.until_joined()
        scene.server.mode = "ignore"
        scene.server.drop()
        until(lambda: scene.server.requests == 2)
    found["stopped"] = {"log": stopping[1]}
    return found


@pytest.mark.parametrize("state", ["trying", "held back"])
def test_a_client_that_goes_over_to_another_policy_leaves_no_try_open_at_its_gate(
    seen: Seen, state: str
) -> None:
    log = seen["leaving"][state]["log"]
    assert log == ["first asked: go"] * 3 + ["pushed"] + ["failed"] * 3


@pytest.mark.parametrize("state", ["trying", "held back"])
def test_only_a_try_that_has_begun_is_abandoned(seen: Seen, state: str) -> None:
    found = seen["leaving"][state]
    assert found["outcomes"] == {"abandoned": found["attempts"]}
    assert (found["held_back"] > 0) == (state == "held back")


def test_a_client_that_is_stopped_leaves_no_try_open_at_its_gate(seen: Seen) -> None:
    assert seen["leaving"]["stopped"]["log"] == ["first asked: go", "failed"]


def queueing() -> Seen:
    with world(60, max_attempts_per_s=5, policy=Counted(lambda: repeat(0.0))) as scene:
        scene.server.mode = "ignore"
        scene.start()
        # Of how many the first seconds take at once depends on how long it takes all of them to ask.
        until(lambda: (counts := scene.count())["held_back"] + counts["attempts"] >= 60)
        waits_s = []
        for _ in range(3):
            scene.push(Counted(lambda: repeat(0.0)))
            rest(0.05)
            waits_s.append(scene.generator.populations[0].attempts_cap.wait_ns(monotonic_ns()) / 1e9)
        return {"waits_s": waits_s, "seconds": 60 / 5}


def test_places_before_the_cap_do_not_stay_taken_by_tries_that_a_pushed_policy_gave_up(seen: Seen) -> None:
    # Twelve seconds for those who are there, and no more for policies that they have left.
    assert max(seen["queueing"]["waits_s"]) < seen["queueing"]["seconds"] + 3


# -- policies that fail -----------------------------------------------------------------------------


class Raising:
    """A policy of a user's own that fails in one place."""

    reset: Reset = "open"
    stops_on: frozenset[OutcomeKind] = frozenset()
    sees: Sees = "all"

    def __init__(self, where: str) -> None:
        self.where = where

    def _fail(self, where: str) -> None:
        if where == self.where:
            raise LookupError("no such delay")

    def delays(self, rng: random.Random) -> Iterator[float]:
        self._fail("delays")
        return self._delays()

    def _delays(self) -> Iterator[Any]:
        odd: dict[str, Any] = {"text": "1", "none": [], "nan": float("nan"), "infinity": float("inf")}
        yield 0.01
        self._fail("a later delay")
        while True:
            yield odd.get(self.where, 0.01)

    def for_clients(self) -> Callable[[], Policy]:
        return self._throttled

    def _throttled(self) -> Policy:
        self._fail("making a throttle")
        return Throttled(self, self)

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:
        self._fail("asking the throttle")
        return 0.0

    def ended(self, joined: bool, now_s: float) -> None:
        self._fail("telling the throttle")


FAILURES = {
    **dict.fromkeys(
        ("delays", "a later delay", "making a throttle", "asking the throttle", "telling the throttle"),
        "LookupError: no such delay (test_client_mechanisms.py, line ",
    ),
    "text": "TypeError: ",
    "none": "TypeError: ",
    "nan": "ValueError: ",
    "infinity": "OverflowError: ",
}
"""Where a policy fails, and how what is said of it begins."""


def failures_of_policies() -> Seen:
    import logging

    # It is said in full, once, to whoever looks at the generator's log.
    logging.getLogger("reconnect_storm").addHandler(logging.NullHandler())
    logging.getLogger("reconnect_storm").propagate = False
    found = {}
    for where in FAILURES:
        with world(2, policy=Raising(where)) as scene:
            scene.server.mode = "refuse"
            scene.start()
            recorder = scene.generator.recorder
            until(lambda recorder=recorder: bool(recorder.client_error))  # type: ignore[misc]
            scene.count()
            found[where] = {"said": scene.intervals[-1].client_error}
            scene.server.mode = "join"
            # The clients are still there.
            scene.push(Counted())
            scene.until_joined()
    return found


@pytest.mark.parametrize("where", FAILURES)
def test_a_policy_that_fails_inside_a_client_is_named_and_leaves_the_client_alive(
    seen: Seen, where: str
) -> None:
    begin = f"a reconnect policy failed inside a client: {FAILURES[where]}"
    assert seen["failures_of_policies"][where]["said"].startswith(begin)


# -- no more ports ----------------------------------------------------------------------------------


def polling_gateway(upgrades: str, close: str, on_join: Callable[[], None]) -> Any:
    """A gateway that joins polling clients, and has nothing to tell them."""
    import gevent
    from gevent.server import StreamServer

    opened = f'0{{"sid":"a","upgrades":[{upgrades}],"pingInterval":25000,"pingTimeout":20000}}'

    def serve(connection: Any, _address: Any) -> None:
        with contextlib.suppress(OSError, EOFError):
            for content in (opened, "ok", '40{"sid":"b"}'):
                Server._hear(connection, b"\r\n\r\n")
                headers = f"Content-Length: {len(content)}\r\n"
                if content.startswith("40"):
                    on_join()
                    headers += close
                connection.sendall(f"HTTP/1.1 200 OK\r\n{headers}\r\n{content}".encode())
            gevent.sleep(DEADLINE_S)

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    return server


def exhaustion() -> Seen:
    """What is counted where a client that has joined by polling can open no further connection."""
    from scenarios.clients.protocol.target import resolve
    from scenarios.generator.process import Generator

    found = {}
    for name, upgrades, close in (
        ("the next poll", "", "Connection: close\r\n"),
        ("the upgrade", '"websocket"', ""),
    ):
        generators: list[Generator] = []

        def no_ports(generators: list[Generator] = generators) -> None:
            # An address that this machine does not have is refused as a port is that it has no more.
            population = generators[0].populations[0]
            population._plain = [
                msgspec.structs.replace(dial, bind="192.0.2.1") for dial in population._plain
            ]

        server = polling_gateway(upgrades, close, no_ports)
        fleet = Fleet(transport="polling-upgrade", source="same", policy=AWAY, rtt_ms=0, connect_timeout_s=9)
        target = Target(url=f"http://127.0.0.1:{server.server_port}")
        settings = GeneratorSettings(scenario=Scenario(fleet=fleet, target=target), epoch_ns=monotonic_ns())
        intervals: list[Interval] = []
        generators.append(generator := Generator(settings, resolve(target), intervals.append))
        client = generator.add_client()
        generator.populations[0].push(Counted(lambda: repeat(3600.0)), 0.0, [])
        client.start()

        def counts(generator: Generator = generator, intervals: list[Interval] = intervals) -> Seen:
            generator.obey(Finalise())
            return totals(intervals)

        until(lambda counts=counts: counts()["unopened"] > 0)  # type: ignore[misc]
        seen = counts()
        found[name] = {
            **{what: seen[what] for what in ("unopened", "outcomes", "disconnects")},
            "joined": client.joined,
        }
        client.stop()
        generator.stop()
        server.stop(timeout=0)
    return found


def test_a_joined_client_that_can_open_no_connection_is_counted_and_ends_for_a_reason_that_there_is(
    seen: Seen,
) -> None:
    assert seen["exhaustion"] == {
        "the next poll": {
            "unopened": 1,
            "outcomes": {"joined": 1},
            "disconnects": {"reset": 1},
            "joined": False,
        },
        "the upgrade": {"unopened": 1, "outcomes": {"joined": 1}, "disconnects": {}, "joined": True},
    }


# -- goodbyes ---------------------------------------------------------------------------------------

GOODBYES: dict[str, tuple[bytes, bytes]] = {
    "a close frame": (b"\x88\x02\x03\xe9", b"\x88\x82\0\0\0\0\x03\xe9"),
    "a close frame without a code": (b"\x88\x00", b"\x88\x80\0\0\0\0"),
    "a disconnect": (b"\x81\x0241", b"\x88\x82\0\0\0\0\x03\xe8"),
    "an end of the Engine.IO session": (b"\x81\x011", b"\x88\x82\0\0\0\0\x03\xe8"),
    "an end of the connection": (b"", b""),
}


def goodbyes() -> Seen:
    """What a client says to a server that ends its session in order."""
    heard: dict[str, list[int]] = {}
    for name, (said, _) in GOODBYES.items():
        with world(policy=Counted(lambda: repeat(3600.0))) as scene:
            scene.server.ticking = False
            scene.server.says_in_the_end = said
            scene.start()
            until(lambda scene=scene: bool(scene.server.sessions_s))  # type: ignore[misc]
            heard[name] = list(scene.server.heard_in_the_end)
    return heard


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, (_, answer) in GOODBYES.items()])
def test_a_client_answers_an_orderly_end_before_it_goes(seen: Seen, name: str, answer: bytes) -> None:
    assert bytes(seen["goodbyes"][name]) == answer


# -- orders -----------------------------------------------------------------------------------------


def pushes() -> Seen:
    with world(12) as scene:
        scene.start()
        scene.until_joined()
        scene.order(PushPolicy(policy=AWAY, reach_s=86_400.0))
        scene.order(Cut())
        away = scene.joined.count(False)
        scene.until_joined()
        scene.order(PushPolicy(policy=AWAY))
        kept = scene.joined.count(True)
        scene.order(Cut())
        rest(0.1)
        seen = {"cut": away, "joined through the push": kept, "stayed away": scene.joined.count(False)}
        # Those who wait start over with what reaches them.
        scene.order(PushPolicy(policy=AT_ONCE, reach_s=0.1))
        scene.until_joined()
        return seen


def test_a_client_keeps_its_policy_until_the_pushed_one_reaches_it(seen: Seen) -> None:
    assert seen["pushes"]["cut"] == 12


def test_a_policy_that_is_pushed_without_reach_is_everybodys_and_overrides_one_on_its_way(seen: Seen) -> None:
    assert seen["pushes"]["joined through the push"] == 12
    assert seen["pushes"]["stayed away"] == 12


def cuts() -> Seen:
    found: Seen = {"left": [], "after": []}
    for seed in (1, 1, 2):
        with world(14, policy=Counted(lambda: repeat(3600.0)), seed=seed) as scene:
            scene.start()
            scene.until_joined()
            scene.order(Cut(share=0.3))
            found["after"].append(scene.joined)
            left = [sum(scene.joined)]
            for share in (0.5, 0.0, 1.0, 1.0):
                scene.order(Cut(share=share))
                left.append(sum(scene.joined))
            found["left"].append((left, scene.count()["disconnects"]))
    return found


def test_a_cut_takes_the_nearest_whole_number_of_those_who_are_joined(seen: Seen) -> None:
    for left in seen["cuts"]["left"]:
        assert left == [[10, 5, 5, 0, 0], {"cut": 14}]


def test_who_is_cut_depends_on_the_seed_alone(seen: Seen) -> None:
    first, again, other = seen["cuts"]["after"]
    assert first == again != other


def feeds() -> Seen:
    with world(feed_hz=20.0) as scene:
        scene.start()
        recorder, server = scene.generator.recorder, scene.server
        until(lambda: recorder.held_seq[0] > 0)
        server.ticking = False
        until(lambda: recorder.held_seq[0] == server.sent_seq)
        received = scene.count()["ticks"]
        # Finalised accounting takes the client to hold all that was due by now.
        held = recorder.held_seq[0]
        at_ns = monotonic_ns() + 50_000_000
        feed = server.feed.changed(at_ns, 200.0).changed(at_ns + 200_000_000, 20.0)
        scene.order(SetFeed(feed))
        server.feed = feed
        until(lambda: feed.latest_due(monotonic_ns()) > held + 42 and server.next_seq > held)
        server.ticking = True
        until(lambda: recorder.held_seq[0] > held + 42)
        server.ticking = False
        until(lambda: recorder.held_seq[0] == server.sent_seq)
        newest, counts = recorder.held_seq[0], scene.count()
        expected = [counts["missed"] + counts["ticks"] - received, newest - held]
        least = feed.latest_due(monotonic_ns())
        scene.order(Finalise())
        return {
            "expected": expected,
            "closed": [least, recorder.held_seq[0], feed.latest_due(monotonic_ns())],
        }


def test_ticks_of_a_burst_are_received_or_missed_by_its_own_schedule(seen: Seen) -> None:
    counted, due = seen["feeds"]["expected"]
    assert counted == due > 40


def test_what_no_client_holds_at_the_end_is_counted_by_the_schedule_of_that_time(seen: Seen) -> None:
    least, closed, most = seen["feeds"]["closed"]
    assert least <= closed <= most


# -- a process that stands still --------------------------------------------------------------------

STILL_S = 4.5
LAST_S = 0.1
PATIENCE_S = 4.0
"""Less than the process stands still, and far more than until it looks at what is sent towards the end."""


def stand_still(*meanwhile: Callable[[], None]) -> None:
    """Stops everything in this process, as SIGSTOP would, but for what the servers send towards the end."""
    from gevent.monkey import get_original

    sleep = get_original("time", "sleep")
    sleep(STILL_S - LAST_S)
    for each in meanwhile:
        each()
    sleep(LAST_S)


SHORT_PINGS = engine(
    engineio.OPEN,
    {**HANDSHAKE, "pingInterval": int(PATIENCE_S * 500), "pingTimeout": int(PATIENCE_S * 500)},
)
ENDURED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ticks, watched by their gaps": ({"stale_after_s": PATIENCE_S}, {}),
    "ticks, watched by their age": ({"stale_after_s": PATIENCE_S, "stale_by": "age"}, {}),
    "ticks, by polling": ({"stale_after_s": PATIENCE_S, "transport": "polling-upgrade"}, {"mode": "poll"}),
    "pings": ({}, {"opening": SHORT_PINGS, "pinging": True}),
}
SILENT: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no ticks": ({"stale_after_s": PATIENCE_S}, {}, "stale"),
    "no ticks, by polling": (
        {"stale_after_s": PATIENCE_S, "transport": "polling-upgrade"},
        {"mode": "poll"},
        "stale",
    ),
    "no pings": ({}, {"opening": SHORT_PINGS}, "ping_timeout"),
}
ANSWERED: dict[str, tuple[bytes | None, str]] = {
    "the join": (HEAD + OPEN + JOIN, "joined"),
    "a refusal": (REFUSAL, "limited"),
    "the end": (b"", "reset"),
    "half of an answer": (HEAD, "timeout"),
    "nothing": (None, "timeout"),
}


def still() -> Seen:
    """Everybody joined, or waiting for an answer, when the process stands still; then what came of it."""
    away = Counted(lambda: repeat(3600.0))
    kinds = ENDURED | {name: (fleet, server) for name, (fleet, server, _) in SILENT.items()}
    with contextlib.ExitStack() as stack:
        sessions = {
            name: stack.enter_context(world(5, policy=away, **fleet)) for name, (fleet, _) in kinds.items()
        }
        tries = {
            name: stack.enter_context(world(5, policy=away, connect_timeout_s=PATIENCE_S))
            for name in ANSWERED
        }
        for name, (_, server) in kinds.items():
            for key, value in server.items():
                setattr(sessions[name].server, key, value)
            sessions[name].start()
        for each in sessions.values():
            each.until_joined()
        for each in tries.values():
            each.server.mode = "ignore"
            each.start()
        for each in tries.values():
            until(lambda each=each: each.server.requests == 5)  # type: ignore[misc]
        # A client between two polls has nothing that can arrive.
        polled = [sessions[name] for name, (_, server) in ENDURED.items() if server.get("mode") == "poll"]
        for each in polled:
            each.server.ticking = False
            until(lambda each=each: each.server.polls == 5)  # type: ignore[misc]

        def meanwhile() -> None:
            now_ns = monotonic_ns()
            for name in ENDURED:
                sessions[name].server.send_tick(10**6, now_ns)
            for name, (answer, _) in ANSWERED.items():
                if answer is not None:
                    tries[name].server.answer(answer)

        stand_still(meanwhile)
        for each in sessions.values():
            each.server.ticking = False
        # What any client's event does: all timers that are due run before the other sockets are looked at.
        for each in (*sessions.values(), *tries.values()):
            each.generator.populations[0].run_due_timers()
        # The first that the process does about its clock: nothing has measured its lag yet.
        counts = {name: each.count() for name, each in {**sessions, **tries}.items()}
        lags_ms = [max(part.lag_p99_ms or 0.0 for part in each.intervals) for each in tries.values()]
        return {"counts": counts, "lags_ms": lags_ms}


@pytest.mark.parametrize("name", ENDURED)
def test_what_arrived_while_the_process_stood_still_keeps_a_session(seen: Seen, name: str) -> None:
    assert seen["still"]["counts"][name]["disconnects"] == {}


@pytest.mark.parametrize(("name", "reason"), [(name, reason) for name, (*_, reason) in SILENT.items()])
def test_a_session_of_which_nothing_arrived_meanwhile_is_given_up(seen: Seen, name: str, reason: str) -> None:
    assert seen["still"]["counts"][name]["disconnects"] == {reason: 5}


@pytest.mark.parametrize(("name", "outcome"), [(name, outcome) for name, (_, outcome) in ANSWERED.items()])
def test_a_try_ends_by_what_arrived_while_the_process_stood_still(
    seen: Seen, name: str, outcome: str
) -> None:
    assert seen["still"]["counts"][name]["outcomes"] == {outcome: 5}


def test_a_process_that_stood_still_says_how_long_even_where_an_order_is_what_it_sees_first(
    seen: Seen,
) -> None:
    assert min(seen["still"]["lags_ms"]) > STILL_S * 900


SCENES: dict[str, Callable[[], Seen]] = {
    scene.__name__: scene
    for scene in (
        watchdogs,
        back_offs,
        tellings,
        ends,
        asking,
        sharing,
        leaving,
        queueing,
        failures_of_policies,
        exhaustion,
        goodbyes,
        pushes,
        cuts,
        feeds,
    )
}


def drive() -> None:
    """Plays all scenes, and writes what was seen on stdout."""
    import gevent

    failures: list[str] = []

    def play(scene: Callable[[], Seen]) -> Seen:
        try:
            return scene()
        except Exception:
            failures.append(traceback.format_exc())
            return {}

    playing = {name: gevent.spawn(play, scene) for name, scene in SCENES.items()}
    gevent.joinall(list(playing.values()))
    seen = {name: greenlet.value for name, greenlet in playing.items()}
    # Alone, because it stands still for all.
    seen["still"] = play(still)
    sys.stdout.buffer.write(msgspec.json.encode({**seen, "failures": failures}))


@pytest.fixture(scope="module")
def seen() -> Seen:
    played = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-m", "gevent.monkey", __file__],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert played.returncode == 0, played.stderr.decode()
    found: Seen = msgspec.json.decode(played.stdout)
    found["stderr"] = played.stderr.decode()
    return found


def test_every_scene_was_played_to_its_end_and_nothing_was_logged(seen: Seen) -> None:
    assert seen["failures"] == []
    assert seen["stderr"] == ""


if __name__ == "__main__":
    drive()

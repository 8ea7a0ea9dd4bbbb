"""What the clients of one process share: how they connect, and one alarm for all their timers."""

import random
import socket as sockets
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scenarios.clients import population, timers
from scenarios.clients.addresses import Seat
from scenarios.clients.client import Client
from scenarios.clients.clock import Clock
from scenarios.clients.connection import Connection, TlsConnection
from scenarios.clients.population import AttemptsCap, Population
from scenarios.clients.protocol.packets import Subscription
from scenarios.clients.protocol.schedule import ObservedSchedule
from scenarios.clients.protocol.target import resolve
from scenarios.clients.protocol.ticks import Tick, TickReader
from scenarios.clients.recorder import Recorder
from scenarios.clients.timers import LoopTimers
from scenarios.policies.following import FollowedPolicy, Policy
from scenarios.policies.outcome import Outcome, OutcomeKind, Reset, Sees
from scenarios.policies.registry import policy
from scenarios.policies.throttled import Throttled
from scenarios.policies.throttles import AdaptiveThrottle
from scenarios.scenario.model import Feed, Fleet, Part, Target
from scenarios.wire.tick_counts import TickCounts

MS = 1_000_000
SEAT = Seat("127.10.10.1", 1)


class Alarm:
    """A timer of the event loop that rings when the test says so."""

    def __init__(self, after_s: float) -> None:
        self.after_ms = round(after_s * 1000)
        self.closed = False

    def start(self, callback: Callable[[], None], *, update: bool) -> None:
        self.ring = callback

    def close(self) -> None:
        self.closed = True


class Loop:
    """As much of gevent's event loop as a population uses."""

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []

    def timer(self, after_s: float) -> Alarm:
        self.alarms.append(Alarm(after_s))
        return self.alarms[-1]


def population_of(
    source: str = "same",
    url: str = "http://127.0.0.1:3000",
    loop: Any = None,
    *,
    seed: int = 1,
    first_index: int = 0,
) -> Population:
    schedule = ObservedSchedule()
    return Population(
        loop=loop,
        timers=LoopTimers(loop),
        part=Part(name="", share=1.0, fleet=Fleet(seed=seed)),
        policy=policy("naive"),
        endpoint=resolve(Target(url=url, insecure=True)),
        source=source,
        subscription=Subscription(TickReader(Feed(), schedule)),
        recorder=Recorder(0, schedule),
        attempts_cap=AttemptsCap(0),
        clock=Clock(),
        first_index=first_index,
    )


def test_a_client_writes_its_ticks_into_the_bucket_of_the_clients_with_as_many_on_their_ip() -> None:
    population = population_of()
    recorder = population.recorder
    alone, shared = (
        Client(population, recorder.add_client(size), Seat(SEAT.address, size)) for size in (1, 40)
    )
    recorder.schedule.learn(0, 0)
    for second in range(2):
        for client, ticks, late_ms in ((alone, 4, 10), (shared, 3, 1500)):
            first = ticks * second
            events = tuple(Tick(seq, seq * MS) for seq in range(first, first + ticks))
            client._handle(events, (first + ticks - 1 + late_ms) * MS)
        lengths = [len(recorder.bucket_of(index).latency_ns) for index in range(2)]
        assert lengths == [len(recorder.bucket_of(index).due_ns) for index in range(2)] == [4, 3]
        assert list(recorder.held_seq) == [4 * second + 3, 3 * second + 2]
        assert recorder.take_interval(second).group_ticks == {
            1: {0: TickCounts(in_time=4)},
            40: {0: TickCounts(late=3)},
        }, "a client goes on with its bucket when a second is over"


@pytest.mark.parametrize(
    ("source", "bind", "preamble", "header"),
    [
        pytest.param("same", None, b"", b"", id="same"),
        pytest.param("bind", SEAT.address, b"", b"", id="bind"),
        pytest.param(
            "proxy-protocol",
            None,
            b"PROXY TCP4 127.10.10.1 127.0.0.1 1029 3000\r\n",
            b"",
            id="proxy-protocol",
        ),
        pytest.param("x-forwarded-for", None, b"", b"X-Forwarded-For: 127.10.10.1\r\n", id="x-forwarded-for"),
    ],
)
def test_a_source_address_is_told_in_one_way(
    source: str, bind: str | None, preamble: bytes, header: bytes
) -> None:
    clients = population_of(source)
    dial = clients.dial(5, SEAT)
    assert (dial.bind, dial.preamble) == (bind, preamble)
    assert dial.address == ("127.0.0.1", 3000)
    request = clients.upgrade_request(clients.headers(SEAT))
    assert request.replace(header, b"") == clients.endpoint.upgrade.request
    assert (b"Forwarded" in request) == bool(clients.headers(SEAT)) == bool(header)


def test_ports_in_proxy_headers_stay_within_range() -> None:
    clients = population_of("proxy-protocol")
    ports = {int(clients.dial(index, SEAT).preamble.split()[4]) for index in range(0, 1_000_000, 997)}
    assert 1_024 <= min(ports) < max(ports) < 65_536


@pytest.mark.parametrize(
    ("url", "kind"),
    [("http://127.0.0.1:3000", Connection), ("wss://127.0.0.1:3000", TlsConnection)],
    ids=["plain", "TLS"],
)
def test_connections_are_of_the_kind_that_the_target_wants(url: str, kind: type[Connection]) -> None:
    clients = population_of(url=url)
    connection = clients.connection(lambda: None, lambda _data, _at: None, lambda _: None)
    assert type(connection) is kind
    dial = clients.dial(0, SEAT)
    assert dial.tls is clients.endpoint.tls
    assert (dial.tls is not None) == (kind is TlsConnection)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time in milliseconds, to be set."""
    now_ms = [1_000]
    for module in (population, timers):
        monkeypatch.setattr(module, "monotonic_ns", lambda: now_ms[0] * MS)
    return now_ms


def test_one_alarm_rings_for_the_timer_that_is_due_first(clock: list[int]) -> None:
    loop, rung = Loop(), list[int]()
    queue = population_of(loop=loop).timers
    for due_ms in (1_050, 1_080, 1_020, 900):
        queue.at(due_ms * MS, lambda due_ms=due_ms: rung.append(due_ms))  # type: ignore[misc]
    assert [(alarm.after_ms, alarm.closed) for alarm in loop.alarms] == [(50, True), (20, True), (0, False)]
    loop.alarms[-1].ring()
    assert rung == [900]
    clock[0] = 1_060
    loop.alarms[-1].ring()
    assert rung == [900, 1_020, 1_050]
    assert (loop.alarms[-1].after_ms, loop.alarms[-1].closed) == (20, False)


def test_due_timers_are_run_between_events_and_the_alarm_for_them_finds_nothing(clock: list[int]) -> None:
    loop, rung = Loop(), list[int]()
    clients = population_of(loop=loop)
    for due_ms in (1_020, 1_070):
        clients.timers.at(due_ms * MS, lambda due_ms=due_ms: rung.append(due_ms))  # type: ignore[misc]
    clock[0] = 1_019
    clients.run_due_timers()
    assert rung == []
    clock[0] = 1_021
    clients.run_due_timers()
    assert rung == [1_020]
    assert len(loop.alarms) == 1
    clock[0] = 1_022
    loop.alarms[0].ring()
    assert rung == [1_020]
    assert loop.alarms[-1].after_ms == 48


def test_a_population_that_has_stopped_calls_nobody_back(clock: list[int]) -> None:
    population_of(loop=Loop()).timers.stop()
    loop, rung = Loop(), list[int]()
    clients = population_of(loop=loop)
    clients.timers.at(1_020 * MS, lambda: rung.append(1))
    clients.timers.stop()
    assert loop.alarms[0].closed
    clock[0] = 2_000
    clients.run_due_timers()
    clients.timers.at(2_010 * MS, lambda: rung.append(2))
    assert len(loop.alarms) == 1
    assert rung == []


# -- policies ---------------------------------------------------------------------------------------


ENDED = Outcome(kind=OutcomeKind.CLOSED)


class Named:
    """A policy that is told from others by its one delay; gated: it makes throttles."""

    reset: Reset = "open"
    stops_on: frozenset[OutcomeKind] = frozenset()
    sees: Sees = "all"

    def __init__(self, delay_s: float, *, gated: bool = False, shared: bool = False) -> None:
        self.delay_s = delay_s
        self.gated = gated
        self.shared = shared

    def delays(self, rng: random.Random) -> Iterator[float]:
        yield self.delay_s

    def for_clients(self) -> Callable[[], Policy]:
        if not self.gated:
            return lambda: self
        every = self._throttled()
        return (lambda: every) if self.shared else self._throttled

    def _throttled(self) -> Policy:
        return Throttled(self, AdaptiveThrottle(k=2.0, window_s=120.0, ask_again_s=1.0))


@pytest.mark.parametrize(
    ("kind", "throttles"),
    [
        pytest.param(Named(1, gated=True), 2, id="throttles of their own"),
        pytest.param(Named(1, gated=True, shared=True), 1, id="a shared throttle"),
        pytest.param(Named(1), 0, id="no throttle"),
        pytest.param(Named(1, shared=True), 0, id="no throttle to share"),
    ],
)
def test_who_follows_a_policy_gets_a_gate_as_it_says(kind: Policy, throttles: int) -> None:
    for_client = kind.for_clients()
    # Kept until they are counted: equal addresses would mean nothing otherwise.
    given = [followed.throttle for _ in range(2) if isinstance(followed := for_client(), Throttled)]
    assert len({id(throttle) for throttle in given}) == throttles


class Follower:
    """Writes down when which policy reached it, by the policy's delay."""

    def __init__(self, clock: list[int]) -> None:
        self.reached: list[tuple[int, float]] = []
        self._clock = clock

    def follow(self, followed: FollowedPolicy) -> None:
        self.reached.append((self._clock[0], delay_of(followed)))


def delay_of(followed: FollowedPolicy) -> float:
    delay_s = followed.course(random.Random(1)).after(ENDED, 1.0, 0.0)
    assert isinstance(delay_s, float)
    return delay_s


def pass_time(clients: Population, clock: list[int], until_ms: int) -> None:
    while clock[0] < until_ms:
        clock[0] += 1
        clients.run_due_timers()


def test_a_policy_that_is_pushed_without_reach_is_everybodys_at_once(clock: list[int]) -> None:
    clients = population_of(loop=Loop())
    followers = [Follower(clock) for _ in range(3)]
    clients.push(Named(7.0), 0.0, followers)
    assert [follower.reached for follower in followers] == [[(1_000, 7.0)]] * 3
    assert delay_of(clients.policy_for(Follower(clock))) == 7.0


def pushed_moments(clock: list[int], *, seed: int = 1, first_index: int = 0) -> list[int]:
    clock[0] = 1_000
    clients = population_of(loop=Loop(), seed=seed, first_index=first_index)
    followers = [Follower(clock) for _ in range(400)]
    clients.push(Named(7.0), 2.0, followers)
    assert not any(follower.reached for follower in followers)
    pass_time(clients, clock, 4_000)
    assert {delay for follower in followers for _, delay in follower.reached} == {7.0}
    assert {len(follower.reached) for follower in followers} == {1}
    return [follower.reached[0][0] for follower in followers]


def test_a_pushed_policy_reaches_each_client_at_a_moment_of_its_own(clock: list[int]) -> None:
    moments_ms = pushed_moments(clock)
    assert 1_000 < min(moments_ms) < max(moments_ms) <= 3_001
    # Uniform: a Kolmogorov-Smirnov distance that one sample of 400 in a thousand exceeds.
    places = [(moment - 1_000) / 2_000 for moment in sorted(moments_ms)]
    assert max(abs(place - n / 400) for n, place in enumerate(places)) < 1.95 / 400**0.5


def test_the_moments_depend_on_the_seed_and_differ_from_process_to_process(clock: list[int]) -> None:
    once, again = pushed_moments(clock), pushed_moments(clock)
    reseeded, elsewhere = pushed_moments(clock, seed=2), pushed_moments(clock, first_index=100_000)
    assert once == again
    assert once != reseeded
    assert once != elsewhere


@pytest.mark.parametrize("reach_s", [0.0, 1.0], ids=["at once", "in its own time"])
def test_a_later_push_overrides_one_that_is_on_its_way(clock: list[int], reach_s: float) -> None:
    clients = population_of(loop=Loop())
    followers = [Follower(clock) for _ in range(50)]
    clients.push(Named(7.0), 2.0, followers)
    pass_time(clients, clock, 1_500)
    early = [follower for follower in followers if follower.reached]
    assert 0 < len(early) < len(followers)
    clients.push(Named(8.0), reach_s, followers)
    pass_time(clients, clock, 9_000)
    for follower in followers:
        before = [7.0] if follower in early else []
        assert [delay for _, delay in follower.reached] == [*before, 8.0]
    assert delay_of(clients.policy_for(Follower(clock))) == 8.0


def test_a_client_that_comes_during_a_push_keeps_the_old_policy_until_its_moment(clock: list[int]) -> None:
    clients = population_of(loop=Loop())
    clients.push(Named(7.0), 0.0, [])
    clients.push(Named(8.0), 2.0, [])
    pass_time(clients, clock, 2_000)
    newcomers = [Follower(clock) for _ in range(50)]
    begun = [delay_of(clients.policy_for(newcomer)) for newcomer in newcomers]
    assert set(begun) == {7.0, 8.0}
    pass_time(clients, clock, 4_000)
    for newcomer, delay_s in zip(newcomers, begun, strict=True):
        # Whose moment had passed begins with the new policy, and is not told of it once more.
        assert [delay for _, delay in newcomer.reached] == ([8.0] if delay_s == 7.0 else [])
    assert delay_of(clients.policy_for(Follower(clock))) == 8.0


@pytest.mark.parametrize("source", ["same", "proxy-protocol", "x-forwarded-for"])
@pytest.mark.parametrize("first_index", [0, 100_000, 300_000])
def test_clients_are_spread_evenly_over_the_addresses_of_a_gateway_and_each_keeps_to_its_own(
    source: str, first_index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = [f"127.0.0.{last}" for last in (3, 1, 2)]
    found = [(sockets.AF_INET, sockets.SOCK_STREAM, 6, "", (host, 80)) for host in hosts]
    monkeypatch.setattr(sockets, "getaddrinfo", lambda *_, **__: found)
    clients = population_of(source, url="http://gateway", first_index=first_index)
    dials = [clients.dial(index, SEAT) for index in range(10)]
    assert sorted(Counter(dial.address[0] for dial in dials).values()) == [3, 3, 4]
    assert [clients.dial(index, SEAT) for index in range(10)] == dials
    for dial in dials:
        assert not dial.preamble or dial.preamble.split()[3].decode() == dial.address[0]

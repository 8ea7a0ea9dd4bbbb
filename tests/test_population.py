"""What the clients of one process share: how they connect, and one alarm for all their timers."""

from collections.abc import Callable
from typing import Any

import pytest

from scenarios.clients import population
from scenarios.clients.addresses import Seat
from scenarios.clients.clock import Clock
from scenarios.clients.connection import Connection, TlsConnection
from scenarios.clients.conversation import Subscription
from scenarios.clients.population import AttemptsCap, Population
from scenarios.clients.recorder import Recorder
from scenarios.clients.schedule import ObservedSchedule
from scenarios.clients.target import resolve
from scenarios.clients.ticks import TickReader
from scenarios.model import Feed, Fleet, Target
from scenarios.policies import policy

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


def population_of(source: str = "same", url: str = "http://127.0.0.1:3000", loop: Any = None) -> Population:
    schedule = ObservedSchedule()
    return Population(
        loop=loop,
        fleet=Fleet(),
        policy=policy("naive"),
        endpoint=resolve(Target(url=url, insecure=True)),
        source=source,
        subscription=Subscription(TickReader(Feed(), schedule)),
        recorder=Recorder(0, schedule),
        attempts_cap=AttemptsCap(0),
        clock=Clock(),
    )


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
    request = clients.upgrade_request(SEAT)
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
    monkeypatch.setattr(population, "monotonic_ns", lambda: now_ms[0] * MS)
    return now_ms


def test_one_alarm_rings_for_the_timer_that_is_due_first(clock: list[int]) -> None:
    loop, rung = Loop(), list[int]()
    timers = population_of(loop=loop).timers
    for due_ms in (1_050, 1_080, 1_020, 900):
        timers.at(due_ms * MS, lambda due_ms=due_ms: rung.append(due_ms))  # type: ignore[misc]
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
    population_of(loop=Loop()).stop()
    loop, rung = Loop(), list[int]()
    clients = population_of(loop=loop)
    clients.timers.at(1_020 * MS, lambda: rung.append(1))
    clients.stop()
    assert loop.alarms[0].closed
    clock[0] = 2_000
    clients.run_due_timers()
    clients.timers.at(2_010 * MS, lambda: rung.append(2))
    assert len(loop.alarms) == 1
    assert rung == []

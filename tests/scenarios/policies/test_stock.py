"""Models of client libraries: names, versions, options, and what they make of outcomes."""

import math
import random
import re
from collections import Counter
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.policies.following import Course, PolicyError, delays_if_all_fail
from scenarios.policies.orders import Stop
from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.registry import policy
from scenarios.policies.stock.catalogue import STOCK
from scenarios.policies.stock.client import StockClient
from scenarios.scenario.loader import load

CLIENTS = 1_000


def delays_of(spec: str | dict[str, Any], attempts: int, clients: int = CLIENTS) -> "np.ndarray[Any, Any]":
    """Seconds, of shape (clients, attempts), where every attempt fails."""
    chosen = policy(spec)
    return np.array(
        [list(islice(delays_if_all_fail(chosen, random.Random(seed)), attempts)) for seed in range(clients)]
    )


def order_after(spec: str | dict[str, Any], *ends: tuple[Outcome, float]) -> Any:
    """What a client does after these ends of attempts or of sessions, each with the length of its session."""
    course = Course(policy(spec), random.Random(1))
    order: Any = None
    for ended, session_s in ends:
        order = course.after(ended, session_s, 0.0)
    return order


# -- names and versions -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", STOCK)
def test_a_client_has_its_name_with_and_without_the_version_that_was_read(name: str) -> None:
    version = STOCK[name].version
    parts = version.split(".")
    expected = policy(name)
    for count in range(1, len(parts) + 1):
        assert policy(f"{name}@{'.'.join(parts[:count])}") == expected


@pytest.mark.parametrize("version", ["", "4.7", "4.8.40", "4.8.", "5", "latest"])
def test_another_version_is_refused(version: str) -> None:
    message = f"invalid value 'socketio-js@{version}': expected socketio-js or socketio-js@4.8.4"
    with pytest.raises(PolicyError, match=re.escape(message)):
        policy(f"socketio-js@{version}")


def test_every_stock_client_is_an_arm_of_the_same_outage() -> None:
    assert load("stock-fleets").matrix == {"fleet.policy": (*STOCK,)}


def test_only_stock_clients_have_versions() -> None:
    with pytest.raises(PolicyError):
        policy("naive@1")


def test_parameters_of_older_scenario_files_keep_their_meaning() -> None:
    old = {"name": "socketio-js", "min_ms": 200, "max_ms": 30_000, "jitter": 0.2}
    new = {"reconnectionDelay": 200, "reconnectionDelayMax": 30_000, "randomizationFactor": 0.2}
    assert policy(old) == policy({"name": "socketio-js", **new})
    old = {"name": "socketio-python", "min_s": 0.2, "max_s": 30, "jitter_s": 0.1}
    new = {"reconnection_delay": 0.2, "reconnection_delay_max": 30, "randomization_factor": 0.1}
    assert policy(old) == policy({"name": "socketio-python", **new})


def test_former_names_are_those_of_fields() -> None:
    for kind in STOCK.values():
        assert set(kind.former.values()) <= set(kind.__struct_fields__)
        assert not set(kind.former) & set(kind.__struct_fields__)


# -- formulas ---------------------------------------------------------------------------------------

EXACT: dict[str, list[float]] = {
    "socketio-cpp": [5, 7.5, 11.25, 16.875, 25, 25],
    "phoenix": [0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1, 2, 5, 5],
    "signalr": [0, 2, 10, 30],
    "paho-java": [1, 2, 4, 8, 16, 32, 64, 128, 128],
    "paho-python": [1, 2, 4, 8, 16, 32, 64, 120, 120],
    "react-use-websocket": [5] * 20,
    "eventsource-chromium": [3, 3, 3],
    "eventsource-firefox": [5, 5, 5],
    "fetch-event-source": [1, 1, 1],
    "liveview": [0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1, 2, 5, 5],
    "pusher": [1, 0, 15, 30, 60, 60],
}


@pytest.mark.parametrize("name", EXACT)
def test_clients_without_jitter_wait_exactly_this(name: str) -> None:
    expected = EXACT[name]
    found = delays_of(name, len(expected) + (name in {"signalr", "react-use-websocket"}), clients=2)
    assert found.tolist() == [pytest.approx(expected)] * 2


ATOMS = [
    ("socketio-java", 0, 1.0, 0.5),
    ("socketio-java", 4, 5.0, 1.0),
    ("socketio-dart", 3, 5.0, 0.9),
    ("socketio-dart", 60, 5.0, 1.0),
    ("socketio-go", 0, 1.0, 0.5),
    ("socketio-go", 9, 5.0, 0.5),
    ("socketio-swift", 0, 0.0, 1.0),
    ("socketio-swift", 3, 30.0, 1.0),
    ("ably", 0, 0.0, 1.0),
    ("ably", 12, 30.0, 1.0),
    ("aws-iot", 7, 120.0, 8 / 128),
    ("centrifuge", 9, 20.0, 500 / 20_000),
    ("hivemq", 9, 120.0, 0.0),
    ("centrifuge-go", 7, 20.0, 1 - (20 - 0.2) / (0.2 * 2**8 - 0.2)),
    ("centrifuge-go", 30, 20.0, 1.0),
    ("socketio-rust", 9, 5.0, 0.0),
]


@pytest.mark.parametrize(("name", "n", "value", "share"), ATOMS)
def test_so_many_clients_wait_exactly_this(name: str, n: int, value: float, share: float) -> None:
    found = np.isclose(delays_of(name, n + 1)[:, n], value, atol=1e-9).mean()
    assert found == pytest.approx(share, abs=0.05 if 0 < share < 1 else 0)


BOUNDS = [
    ("socketio-swift", 1, 15.0, 22.5),
    ("hivemq", 9, 90.0, 150.0),
    ("aws-iot", 3, 0.0, 8.0),
    ("livekit", 0, 0.0, 0.5),
    ("livekit", 5, 3.5, 10.5),
    ("actioncable", 4, 6 * 1.15**4, 6 * 1.15**5),
    ("nats-go", 0, 2.0, 2.1),
    ("centrifuge-go", 0, 0.2, 0.4),
    ("centrifuge-python", 3, 0.1, 0.9),
    ("socketio-rust", 0, 0.5, 1.5),
    ("socketio-rust", 9, 2.5, 7.5),
]


@pytest.mark.parametrize(("name", "n", "low", "high"), BOUNDS)
def test_delays_fill_these_bounds(name: str, n: int, low: float, high: float) -> None:
    found = delays_of(name, n + 1)[:, n]
    assert low <= found.min() < low + 0.03 * (high - low)
    assert high - 0.03 * (high - low) < found.max() <= high


@given(st.integers(0, 2_000), st.sampled_from(sorted(STOCK)))
def test_no_delay_is_negative_or_endless(seed: int, name: str) -> None:
    found = list(islice(delays_if_all_fail(policy(name), random.Random(seed)), 1_100))
    assert all(delay_s >= 0 and math.isfinite(delay_s) for delay_s in found)


def test_a_page_has_one_first_delay_and_grows_it() -> None:
    for chain in delays_of("reconnecting-websocket", 12, clients=50):
        assert 1 <= chain[0] < 5
        assert all(later == pytest.approx(min(1.3 * one, 10)) for one, later in pairwise(chain))


# -- options ----------------------------------------------------------------------------------------

ENDS = {
    "reconnection off": ({"name": "socketio-js", "reconnection": False}, 0),
    "three attempts": ({"name": "socketio-js", "reconnectionAttempts": 3}, 3),
    "Swift": ({"name": "socketio-swift", "reconnectAttempts": 2}, 2),
    "Swift off": ({"name": "socketio-swift", "reconnects": False}, 0),
    "C++": ({"name": "socketio-cpp", "reconnect_attempts": 2}, 2),
    "Python": ({"name": "socketio-python", "reconnection_attempts": 4}, 4),
    "Python off": ({"name": "socketio-python", "reconnection": False}, 0),
    "AnyCable": ({"name": "anycable", "maxReconnectAttempts": 6}, 6),
    "SignalR": ({"name": "signalr", "retryDelays": [0, 1000]}, 2),
    "graphql-ws, which retries no error": ("graphql-ws", 1),
    "graphql-ws, which retries all": ({"name": "graphql-ws", "shouldRetry": True}, 5),
    "NATS": ({"name": "nats-js", "maxReconnectAttempts": 3}, 3),
    "NATS off": ({"name": "nats-js", "reconnect": False}, 0),
    "nats.go": ({"name": "nats-go", "MaxReconnect": 3}, 3),
    "nats.go off": ({"name": "nats-go", "AllowReconnect": False}, 0),
    "Rust": ({"name": "socketio-rust", "max_reconnect_attempts": 3}, 3),
    "Rust off": ({"name": "socketio-rust", "reconnect": False}, 0),
    "SockJS": ("sockjs", 0),
    "nats-py": ({"name": "nats-python", "max_reconnect_attempts": 3}, 4),
    "MQTT.js off": ({"name": "mqtt-js", "reconnectPeriod": 0}, 0),
    "paho off": ({"name": "paho-python", "reconnect_on_failure": False}, 0),
    "STOMP off": ({"name": "stompjs", "reconnectDelay": 0}, 0),
    "partysocket": ({"name": "partysocket", "maxRetries": 3}, 3),
}


@pytest.mark.parametrize(("spec", "attempts"), ENDS.values(), ids=ENDS)
def test_a_client_stops_after_its_last_attempt(spec: Any, attempts: int) -> None:
    assert delays_of(spec, 50, clients=3).shape == (3, attempts)


def test_options_change_delays() -> None:
    capped = delays_of({"name": "anycable", "maxInterval": 20_000}, 9, clients=20)
    assert set(capped[:, 8]) == {20.0}
    growing = {"name": "stompjs", "reconnectTimeMode": "EXPONENTIAL", "reconnectDelay": 1000}
    assert delays_of(growing, 12, clients=1)[0].tolist() == [2.0**n for n in range(10)] + [900, 900]
    with_all = {"name": "launchdarkly-eventsource", "maxBackoffMillis": 30_000, "jitterRatio": 0.5}
    found = delays_of(with_all, 8)
    assert found[:, 7].min() == pytest.approx(15, abs=0.3)
    assert found[:, 7].max() == pytest.approx(30, abs=0.3)
    table = {"name": "phoenix", "reconnectAfterMs": [100, 1000]}
    assert delays_of(table, 4, clients=1)[0].tolist() == [0.1, 1, 1, 1]


def test_when_attempts_start_over_may_be_an_option() -> None:
    assert policy({"name": "partysocket", "minUptime": 20_000}).reset == 20
    assert policy("launchdarkly-eventsource").reset == "never"
    with_reset = {"name": "launchdarkly-eventsource", "retryResetIntervalMillis": 60_000}
    assert policy(with_reset).reset == 60
    assert policy("aws-iot").reset == 30


# -- what they make of outcomes -----------------------------------------------------------------------

LOST = (Outcome(kind=OutcomeKind.CLOSED), 60.0)


def closed(code: int, reason: str = "") -> tuple[Outcome, float]:
    return Outcome(kind=OutcomeKind.CLOSED, close_code=code, reason=reason), 60.0


def status(code: int) -> tuple[Outcome, float]:
    return Outcome(kind=OutcomeKind.HTTP_STATUS, status=code), 0.0


REFUSED = (Outcome(kind=OutcomeKind.CONNECT_ERROR), 0.0)
DISCONNECTED = (Outcome(kind=OutcomeKind.NAMESPACE_DISCONNECT), 60.0)

STOPS: dict[str, tuple[Any, list[tuple[Outcome, float]], bool]] = {
    "socket.io-client after 44": ("socketio-js", [LOST, REFUSED], True),
    "socket.io-client after 41": ("socketio-js", [DISCONNECTED], True),
    "socket.io-client after a status": ("socketio-js", [LOST, status(403)], False),
    "python-socketio after 44": ("socketio-python", [LOST, REFUSED], False),
    "python-socketio after 41": ("socketio-python", [DISCONNECTED], True),
    "phoenix after any close": ("phoenix", [closed(4403)], False),
    "websockets after 403": ("websockets-python", [LOST, status(403)], True),
    "websockets after 503": ("websockets-python", [LOST, status(503)], False),
    "centrifuge after 3500 with a reason": ("centrifuge", [closed(3500, "no")], True),
    "centrifuge after 3500 without": ("centrifuge", [closed(3500)], False),
    "centrifuge-go after 4499": ("centrifuge-go", [closed(4499)], False),
    "centrifuge-go after 4500": ("centrifuge-go", [closed(4500)], True),
    "nats.go after a refused CONNECT": ("nats-go", [LOST, REFUSED], False),
    "nats.go after another one": ("nats-go", [LOST, REFUSED, status(503), REFUSED], True),
    "nats.go told to go on": (
        {"name": "nats-go", "IgnoreAuthErrorAbort": True},
        [LOST, REFUSED, REFUSED],
        False,
    ),
    "rust_socketio after 41": ("socketio-rust", [DISCONNECTED], True),
    "rust_socketio told to go on": (
        {"name": "socketio-rust", "reconnect_on_disconnect": True},
        [DISCONNECTED],
        False,
    ),
    "rust_socketio after 44": ("socketio-rust", [LOST, REFUSED], True),
    "fetch-event-source after a proper end": ("fetch-event-source", [closed(1000)], True),
    "fetch-event-source after a broken stream": ("fetch-event-source", [LOST], False),
    "fetch-event-source after 503": ("fetch-event-source", [LOST, status(503)], False),
    "pusher after 4001": ("pusher", [closed(4001)], True),
    "MQTT.js after a refused CONNECT": ("mqtt-js", [LOST, REFUSED], True),
    "MQTT.js told to go on": ({"name": "mqtt-js", "reconnectOnConnackError": True}, [LOST, REFUSED], False),
    "EventSource after 503": ("eventsource-chromium", [LOST, status(503)], True),
    "launchdarkly after 503": ("launchdarkly-eventsource", [LOST, status(503)], False),
    "launchdarkly after 401": ("launchdarkly-eventsource", [LOST, status(401)], True),
    "graphql-ws after 4401": ("graphql-ws", [closed(4401)], True),
    "graphql-ws after 4403": ("graphql-ws", [closed(4403)], False),
}


@pytest.mark.parametrize(("spec", "ends", "stops"), STOPS.values(), ids=STOPS)
def test_what_is_final(spec: Any, ends: list[tuple[Outcome, float]], stops: bool) -> None:
    assert isinstance(order_after(spec, *ends), Stop) == stops


DELAYS: dict[str, tuple[Any, list[tuple[Outcome, float]], Callable[[float], bool]]] = {
    "pusher after 4200": ("pusher", [closed(4200)], lambda s: s == 0),
    "pusher after 4100": ("pusher", [closed(4100)], lambda s: s == 1),
    "graphql-ws after 1000": ("graphql-ws", [closed(1000)], lambda s: s == 0),
    "graphql-ws after 1001": ("graphql-ws", [closed(1001)], lambda s: 1.3 <= s < 4),
    "firebase after an hour": ("firebase-database", [closed(1001)], lambda s: s == 0),
    "firebase after a moment": ("firebase-database", [(closed(1001)[0], 0.1)], lambda s: 0 < s < 0.9),
    "NATS after an hour": ("nats-js", [closed(1001)], lambda s: s == 0),
    "NATS after half a second": ("nats-js", [(closed(1001)[0], 0.5)], lambda s: 1.5 <= s <= 1.6),
    "nats-py after half a second": ("nats-python", [(closed(1001)[0], 0.5)], lambda s: s == 2),
}


@pytest.mark.parametrize(("spec", "ends", "fits"), DELAYS.values(), ids=DELAYS)
def test_a_first_delay_depends_on_what_has_ended(
    spec: Any, ends: list[tuple[Outcome, float]], fits: Callable[[float], bool]
) -> None:
    assert fits(order_after(spec, *ends))


def test_firebase_starts_over_by_itself_after_half_a_minute() -> None:
    failed = (Outcome(kind=OutcomeKind.REFUSED), 0.0)
    outage = [LOST, *[failed] * 12]
    ceilings = []
    for last in (31.0, 29.0):
        found: list[float] = []
        for _ in range(300):
            course = Course(policy("firebase-database"), random.Random(len(found)))
            for ended, session_s in [*outage, (LOST[0], last), failed]:
                order = course.after(ended, session_s, 0.0)
            found.append(float(order))  # type: ignore[arg-type]
        ceilings.append(max(found))
    assert ceilings[0] <= 1.3
    assert ceilings[1] > 20


def test_rust_socketio_grows_its_delay_over_outages_and_loses_it_after_a_quarter_of_an_hour() -> None:
    course = Course(policy("socketio-rust"), random.Random(1))
    lost, failed = LOST[0], Outcome(kind=OutcomeKind.REFUSED)
    for _ in range(6):
        course.after(failed, 0.0, 0.0)
    later = course.after(lost, 100.0, 800.0)
    assert isinstance(later, float)
    assert 2.5 <= later <= 7.5
    assert course.after(failed, 0.0, 901.0) == 0.0
    assert course.after(lost, 5_000.0, 6_000.0) == 0.0


def test_a_live_view_counts_its_reloads_until_it_has_joined() -> None:
    course = Course(policy("liveview").for_clients()(), random.Random(1))

    def refused() -> Any:
        course.start_over()
        return course.after(REFUSED[0], 0.0, 0.0)

    course.after(*LOST, 0.0)
    assert all(5 <= refused() <= 10 for _ in range(10))
    assert [refused(), refused()] == [30, 30]
    course.start_over()
    assert course.after(*LOST, 0.0) == 0.01
    assert 5 <= refused() <= 10


def test_clients_in_the_catalogue_are_complete() -> None:
    assert Counter(kind.package for kind in STOCK.values() if kind.package).most_common(1)[0][1] == 1
    for name, kind in STOCK.items():
        assert issubclass(kind, StockClient)
        assert kind.library
        assert re.fullmatch(r"\d+(\.\d+)*", kind.version), name
        assert msgspec.convert({}, kind) == kind()

"""What stock clients can do of recommended settings."""

from typing import Any

import pytest

from reports.tuning.result import StockSettings
from scenarios.policies.registry import policy
from scenarios.policies.stock.catalogue import STOCK
from scenarios.scenario.loader import load
from scenarios.scenario.stability import TICK_CPU_S
from scenarios.tuning.candidate import Candidate, ResetBackoff
from scenarios.tuning.distance import distance, outage, profile
from scenarios.tuning.space import units
from scenarios.tuning.stock_options import FUNCTIONS
from scenarios.tuning.stock_settings import stock_settings

SCENARIO = load("production", ["matrix={}"])
SCALE = units(SCENARIO, TICK_CPU_S)


def settings_for(
    spec: Any, reset: ResetBackoff = "open", after_s: float | None = None
) -> dict[str, StockSettings]:
    chosen = Candidate(name="c", policy=spec, limit="none", reset_backoff=reset, stable_after_s=after_s)
    return {one.client: one for one in stock_settings(chosen, SCENARIO.fleet, SCALE)}


@pytest.fixture(scope="module")
def full_jitter() -> dict[str, StockSettings]:
    return settings_for({"name": "full-jitter", "base_s": 5.0, "cap_s": 60.0}, "stable", 20.0)


def test_every_stock_client_has_settings_that_it_takes(full_jitter: dict[str, StockSettings]) -> None:
    assert [*full_jitter] == [*STOCK]
    for name, one in full_jitter.items():
        policy({"name": name, **one.options})
        assert (one.function == "") == (name not in FUNCTIONS)


def test_a_client_with_jitter_that_stays_and_a_reset_option_expresses_full_jitter(
    full_jitter: dict[str, StockSettings],
) -> None:
    one = full_jitter["launchdarkly-eventsource"]
    assert one.options["retryResetIntervalMillis"] == 20_000
    assert one.options["jitterRatio"] > 0.9
    assert one.lost == ()


LOST = {
    "a cap after the jitter": ("socketio-js", "every client waits exactly"),
    "no jitter": ("mqtt-js", "No jitter"),
    "an early reset": ("phoenix", "attempts start over at the open, not after 20 s of connection"),
    "an end": ("nats-js", "clients stop for good after 10 attempts"),
    "no attempt": ("sockjs", "clients make no attempt"),
    "no option": ("pusher", "delays differ by "),
}


@pytest.mark.parametrize(("client", "text"), LOST.values(), ids=LOST)
def test_what_a_client_cannot_do_is_named(
    full_jitter: dict[str, StockSettings], client: str, text: str
) -> None:
    assert text in "; ".join(full_jitter[client].lost)


def test_a_client_that_starts_over_later_than_recommended_loses_nothing() -> None:
    found = settings_for({"name": "full-jitter", "base_s": 5.0, "cap_s": 60.0})
    assert found["signalr"].lost == ()
    assert found["launchdarkly-eventsource"].lost == ()


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("incident", {"reconnectionDelay": 200, "reconnectionDelayMax": 30_000, "randomizationFactor": 0.5}),
        ({"name": "socketio-js@4.8", "max_ms": 9_000}, {"reconnectionDelayMax": 9_000}),
        ("socketio-js", {}),
    ],
)
def test_a_clients_own_options_are_given_back_and_its_translations_take_the_same(
    spec: Any, options: dict[str, float]
) -> None:
    found = settings_for(spec)
    assert found["socketio-js"].options == options
    assert found["socketio-js"].lost == found["socketio-dart"].lost == ()


# -- the distance -----------------------------------------------------------------------------------


def apart(found: Any, wanted: Any) -> Any:
    return distance(*(profile(outage(policy(spec), 8)) for spec in (found, wanted)))


def test_ten_clients_fill_a_distribution_evenly_at_each_attempt() -> None:
    even = {"name": "spread", "hold_s": 0, "window_s": 10, "base_s": 10, "cap_s": 10}
    for column in profile(outage(policy(even), 3, clients=10)).columns:
        assert column == pytest.approx([n + 0.5 for n in range(10)])


def test_a_policy_is_no_distance_from_itself() -> None:
    assert apart("full-jitter", "full-jitter").whole == 0


def test_twice_the_delay_is_as_far_as_the_delay() -> None:
    found = apart(
        {"name": "mqtt-js", "reconnectPeriod": 8_000}, {"name": "mqtt-js", "reconnectPeriod": 4_000}
    )
    assert (found.delays, found.on_one_value, found.stopped) == (1, 0, 0)


@pytest.mark.parametrize(("table", "expected"), [([9_000, 5_000], 8 / 15), ([5_000, 9_000], 4 / 15)])
def test_an_early_attempt_weighs_more_than_a_late_one(table: list[float], expected: float) -> None:
    found, wanted = ({"name": "phoenix", "reconnectAfterMs": each} for each in (table, [5_000]))
    chains = (outage(policy(spec), 2) for spec in (found, wanted))
    assert distance(*map(profile, chains)).whole == pytest.approx(expected)


def test_clients_on_one_value_count_where_they_are_not_wanted() -> None:
    assert apart("mqtt-js", "full-jitter").on_one_value > 0.9
    assert apart("full-jitter", "mqtt-js").on_one_value == 0


def test_clients_that_stop_count_for_every_attempt_that_they_do_not_make() -> None:
    weights = [1 / (n + 1) for n in range(8)]
    assert apart("signalr", "mqtt-js").stopped == pytest.approx(sum(weights[4:]) / sum(weights))
    assert apart({"name": "socketio-js", "reconnection": False}, "mqtt-js").stopped == 1

"""Objectives while a run goes on: every metric from its seconds, and whether its bound holds."""

import pytest

from reports.rundir.schema import Tag
from reports.rundir.slo_metrics import SLO_METRICS
from scenarios.rehearsal.live_slo import State, measured, recovery_state, state
from scenarios.runner.operator import Row
from scenarios.scenario.slo import Objective

ROWS: list[Row] = [
    {
        "t_s": 6,
        "clients": 100,
        "useful": 100.0,
        "attempts": 4,
        "disconnects": 2,
        "limited": 1,
        "pod_cpu": 0.2,
        "pod_loop": 0.3,
        "nginx_cpu": 0.1,
        "stale_client_s": 5.0,
        "missed": 7,
        "gave_up": 0,
        "gone_early": 1,
        "short_sessions": 2,
        "handshakes": 6,
    },
    {
        "t_s": 7,
        "clients": 100,
        "useful": 50.0,
        "attempts": 8,
        "disconnects": 2,
        "limited": 2,
        "pod_cpu": 0.4,
        "pod_loop": 0.5,
        "nginx_cpu": 0.3,
        "stale_client_s": 25.0,
        "missed": 3,
        "gave_up": 1,
        "gone_early": 0,
        "short_sessions": 0,
        "handshakes": 6,
    },
]
FOUND: dict[str, float | None] = {
    "availability": 0.75,
    "effective_p99_ms": 81.0,
    "fanout_p50_ms": 30.5,
    "fanout_p99_ms": 79.5,
    "staleness_p99_ms": 279.0,
    "attempts_per_s": 6.0,
    "attempts_peak_per_s": 8.0,
    "limited": 3.0,
    "pod_cpu": 0.3,
    "pod_loop": 0.4,
    "nginx_cpu": 0.2,
    "stale_client_s": 30.0,
    "missed": 10.0,
    "amplification": 3.0,
    "gave_up": 1.0,
    "wasted_work": 0.25,
    **dict.fromkeys(("ticks_in_time", "ticks_late", "ticks_never", "ticks_lost")),
    **dict.fromkeys(("ticks_in_time_alone", "ticks_in_time_shared")),
    **dict.fromkeys(("back_50_s", "back_95_s", "back_99_s", "back_100_s", "never_returned")),
    "time_to_recover_s": None,
}


def percentile(tag: Tag, percent: float) -> float | None:
    bases: dict[str, float] = {"effective": -18.0, "fanout": -19.5, "staleness": 180.0}
    return bases[tag] + percent if percent == 99 else 30.5


def test_every_metric_that_an_objective_may_have_is_known_here() -> None:
    assert {*FOUND} == {*SLO_METRICS}


@pytest.mark.parametrize(("metric", "value"), FOUND.items())
def test_a_metric_is_measured_so_far(metric: str, value: float | None) -> None:
    found = measured(metric, ROWS, percentile)
    assert found == (value if value is None else pytest.approx(value))


def test_clients_count_for_the_availability_where_it_is_known_how_many_are_served() -> None:
    unknown: Row = {"t_s": 8, "clients": 100}
    assert measured("availability", [*ROWS, unknown], percentile) == FOUND["availability"]


@pytest.mark.parametrize("metric", FOUND)
def test_without_a_second_nothing_is_known(metric: str) -> None:
    assert measured(metric, [], lambda _tag, _percent: None) is None


@pytest.mark.parametrize(
    ("operator", "kept"), [("<", {1.0}), ("<=", {1.0, 2.0}), (">", {3.0}), (">=", {2.0, 3.0})]
)
def test_a_bound_is_kept(operator: str, kept: set[float]) -> None:
    objective = Objective(metric="availability", operator=operator, bound=2)  # type: ignore[arg-type]
    for value in (1.0, 2.0, 3.0):
        assert state(objective, value) == ("met" if value in kept else "violated")
    assert state(objective, None) == "undecided"


RECOVERIES: dict[str, tuple[str, float | None, float | None, State]] = {
    "in time": ("<=", 12, None, "met"),
    "too late": ("<=", 31, None, "violated"),
    "not yet": ("<=", None, 12, "undecided"),
    "not yet, and too late already": ("<=", None, 31, "violated"),
    "the fault still goes on": ("<=", None, None, "undecided"),
    "not yet, as it should be": (">=", None, 31, "undecided"),
}


@pytest.mark.parametrize(("operator", "after_s", "waited_s", "found"), RECOVERIES.values(), ids=RECOVERIES)
def test_a_bound_on_the_recovery(
    operator: str, after_s: float | None, waited_s: float | None, found: State
) -> None:
    objective = Objective(metric="time_to_recover_s", operator=operator, bound=30)  # type: ignore[arg-type]
    assert recovery_state(objective, after_s, waited_s) == found

"""The arithmetic of a calibration, and where its checks read their figures."""

import json
import random
import time
from itertools import islice
from statistics import fmean
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reports.rundir.reader import Run
from scenarios.limits.leaky_bucket import BucketRule
from scenarios.scenario.loader import load
from scenarios.scenario.stability import stability
from scenarios.scenario.validate import build
from scenarios.selftest import policies
from scenarios.selftest.aa import OVERRIDES, SCENARIO, Verdicts, as_dict, called, draws
from scenarios.selftest.checks import BURN_S, CHECKS, DELAYS_NS
from scenarios.selftest.readings import (
    Absence,
    Reading,
    Sawtooth,
    all_good,
    as_dicts,
    burned_s,
    injected_delays_ns,
    percentile,
    refused_attempts,
)
from scenarios.wire.orders import GENERATOR_VARIABLE
from tests.support.histories import history, pod_second, second


def reading(found: float | None, known: float = 100.0) -> Reading:
    return Reading(check="delay", what="p50", unit="ms", known=known, found=found)


# -- readings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "error", "good"),
    [
        (100.0, 0.0, True),
        (101.9, 0.019, True),
        (98.1, -0.019, True),
        (102.1, 0.021, False),
        (0.0, -1.0, False),
    ],
)
def test_a_reading_is_good_within_two_per_cent(found: float, error: float, good: bool) -> None:
    assert reading(found).error == pytest.approx(error)
    assert reading(found).good is good


def test_a_figure_that_is_not_there_is_not_good() -> None:
    assert reading(None).error is None
    assert not reading(None).good
    assert not all_good([reading(100.0), reading(None)])


def test_nothing_read_back_is_not_good() -> None:
    assert not all_good([])
    assert all_good([reading(100.0)])


def test_readings_are_written_with_their_errors() -> None:
    (table,) = json.loads(json.dumps(as_dicts([reading(101.0)])))
    assert table["error"] == pytest.approx(0.01)
    assert (table["check"], table["known"], table["found"], table["good"]) == ("delay", 100.0, 101.0, True)
    assert table["allowed"] == 0.02


# -- delays -----------------------------------------------------------------------------------------


@given(st.integers(101, 2_001), st.floats(1, 50), st.floats(0.1, 1), st.integers(0, 9))
def test_injected_delays_have_the_percentiles_of_their_formula(
    count: int, median_ms: float, spread: float, seed: int
) -> None:
    delays = injected_delays_ns(count, median_ms=median_ms, spread=spread, rng=random.Random(seed))
    assert len(delays) == count
    assert percentile(50, delays) == pytest.approx(median_ms * 1e6, rel=0.05)
    assert sorted(delays) == sorted(
        injected_delays_ns(count, median_ms=median_ms, spread=spread, rng=random.Random(seed + 1))
    )


def test_a_percentile_is_one_of_the_values() -> None:
    values = [5.0, 1.0, 3.0, 2.0, 4.0]
    assert [percentile(p, values) for p in (0, 1, 50, 99, 100)] == [1.0, 1.0, 3.0, 5.0, 5.0]


# -- refusals ---------------------------------------------------------------------------------------

SLOW = 16  # one a minute, cut off to thousandths a second


@pytest.mark.parametrize(
    ("rule", "clients", "attempts", "every_ms", "refused"),
    [
        pytest.param(BucketRule(SLOW, 9), 60, 12, 400, 600, id="ten are let in, the others never"),
        pytest.param(BucketRule(SLOW, 9), 10, 12, 400, 0, id="room for all"),
        pytest.param(BucketRule(1_000, 0), 3, 9, 1_000, 3, id="one a second: two wait, then one"),
        pytest.param(BucketRule(1_000, 0), 3, 2, 1_000, 3, id="the last one has given up by then"),
    ],
)
def test_the_leaky_bucket_says_how_many_tries_are_refused(
    rule: BucketRule, clients: int, attempts: int, every_ms: int, refused: int
) -> None:
    assert refused_attempts(rule, clients=clients, attempts=attempts, every_ms=every_ms) == refused


@given(st.integers(0, 20), st.integers(1, 40), st.integers(1, 20))
def test_a_bucket_that_hardly_leaks_lets_in_as_many_as_it_holds(
    burst: int, clients: int, attempts: int
) -> None:
    found = refused_attempts(BucketRule(SLOW, burst), clients=clients, attempts=attempts, every_ms=100)
    assert found == max(0, clients - burst - 1) * attempts


# -- absence and staleness --------------------------------------------------------------------------


@given(st.floats(1.5, 30), st.sampled_from([0.02, 0.05, 0.1, 0.2, 0.5]))
def test_an_absence_costs_what_a_client_at_every_phase_of_the_feed_loses_on_average(
    away_s: float, period_s: float
) -> None:
    phases = [(k + 0.5) / 200 * period_s for k in range(200)]
    lost, missed, late, stale = [], [], [], []
    for gone_s in phases:
        # Ticks are due at 0, period, 2·period, …; the client goes at `gone_s` and holds tick 0.
        first = int((gone_s + away_s) // period_s) + 1
        lost.append(first * period_s - gone_s)
        missed.append(first - 1)
        late.append(sum(round((first - seq) * period_s, 9) >= 1 for seq in range(1, first)))
        stale.append(first * period_s - 1.0)
    known = Absence(clients=1, away_s=away_s, period_s=period_s)
    assert known.lost_client_s == pytest.approx(fmean(lost), abs=0.02 * period_s)
    assert known.missed == pytest.approx(fmean(missed), abs=0.02)
    assert known.late == pytest.approx(fmean(late), abs=0.02)
    assert known.stale_client_s == pytest.approx(fmean(stale), abs=0.02 * period_s)


def test_who_is_back_before_a_second_is_over_was_never_stale() -> None:
    assert Absence(clients=5, away_s=0.4, period_s=0.1).stale_client_s == 0
    assert Sawtooth(clients=5, stall_s=0.4, held_s=0.1).stale_client_s == 0


@given(st.floats(3, 20), st.floats(0, 0.2), st.floats(0, 5), st.floats(50, 100))
def test_a_stall_is_as_stale_as_its_sawtooth_looked_at_often(
    stall_s: float, held_s: float, calm_s: float, percent: float
) -> None:
    known = Sawtooth(clients=3, stall_s=stall_s, held_s=held_s)
    window_s, steps = stall_s + calm_s, 1_000
    step_s = window_s / steps
    times = [(k + 0.5) * step_s for k in range(steps)]
    ages = [held_s + t if t < stall_s else 0.0 for t in times]
    assert max(ages) == pytest.approx(known.highest_s, abs=2 * step_s)
    stale_s = sum(age >= 1 for age in ages) * step_s
    assert 3 * stale_s == pytest.approx(known.stale_client_s, abs=9 * step_s)
    assume((1 - percent / 100) * window_s < stall_s - 2 * step_s)
    assert percentile(percent, ages) == pytest.approx(known.percentile_s(percent, window_s), abs=2 * step_s)


# -- CPU --------------------------------------------------------------------------------------------


def test_what_was_burned_is_what_was_used_beyond_idling() -> None:
    # 14 s, of which 4 are burned; the rest of the time it idles at 5 %.
    assert burned_s(4.5, idle_share=0.05, span_s=14.0, burn_s=4.0) == pytest.approx(4.0)
    # It burned all the time and more: then it never idled.
    assert burned_s(6.0, idle_share=0.05, span_s=4.0, burn_s=6.0) == 6.0


# -- policies ---------------------------------------------------------------------------------------


def test_who_is_away_comes_back_around_a_known_time() -> None:
    delays = list(islice(policies.away(random.Random(1), 6.0, 0.1), 2_000))
    assert min(delays) >= 5.95
    assert max(delays) <= 6.05
    assert fmean(delays) == pytest.approx(6.0, abs=0.005)
    assert next(policies.away(random.Random(1), 2.0)) == 2.0


def test_who_tries_so_many_times_then_gives_up() -> None:
    assert list(policies.attempts(random.Random(1), 3, 0.4)) == [0.4, 0.4, 0.4]


def test_only_a_generator_burns() -> None:
    assert next(policies.burning(random.Random(1), 1e9)) == 0.0


def test_a_generator_burns_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GENERATOR_VARIABLE, "{}")
    began_ns = time.thread_time_ns()
    assert next(policies.burning(random.Random(1), 20.0)) == 0.0
    assert time.thread_time_ns() - began_ns >= 20_000_000


# -- checks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_has_a_scenario_that_can_be_carried_out(name: str) -> None:
    scenario = build(CHECKS[name].scenario, source=name)
    assert scenario.phases.rescue_at_s == 0
    assert scenario.trigger_s is not None
    assert scenario.trigger_s + scenario.phases.during_s == scenario.phases.duration_s
    # The runner asks for it before it starts anything.
    assert stability(scenario).clients == scenario.fleet.clients


def summary(name: str, off: float) -> dict[str, Any]:
    """What a measurement would find that is off by this factor; a perfect one by 1."""
    p50, p99 = (off * percentile(p, DELAYS_NS) / 1e6 for p in (50, 99))
    summaries: dict[str, dict[str, Any]] = {
        "delay": {
            "before": {"fanout_p50_ms": p50, "fanout_p99_ms": p99, "effective_p99": {"ms": p99}},
        },
        "refusals": {"storm": {"limited": 600 * off, "nginx_limited": 600 * off, "gave_up": 50 * off}},
        "cpu": {},
        "drop": {
            "storm": {
                "from_s": 2,
                "to_s": 11,
                "availability": 1 - off * 90.375 / 540,
                "disconnects": 15 * off,
                "missed": 1_800 * off,
                "ticks": {"late": 1_515 * off},
                "stale_client_s": 75.75 * off,
            }
        },
        "staleness": {
            "storm": {
                "staleness_p99_ms": 9_920.0 * off,
                "staleness_max_ms": 10_050.0 * off,
                "stale_client_s": 90.5 * off,
            }
        },
    }
    return summaries[name]


def measured(name: str, off: float = 1.0) -> Run:
    """Ten idle seconds, then 14 in which the CPU time of the check is burned."""
    idle, burning = 0.02, BURN_S / 4
    cpu = [idle] * 10 + [burning] * 4 + [idle] * 10
    # While it burns it does not idle; here it burns for as long as the CPU time says.
    cpu[14] -= idle * (BURN_S - 4)
    rows = [second(float(t), generator_cpu=off * cpu[t]) for t in range(24)]
    pods = [pod_second(float(t), 0, cpu=off * cpu[t], handshakes=off * 12 * (t == 10)) for t in range(24)]
    return history(rows, pods=pods, trigger_s=10, summary=summary(name, off))


@pytest.mark.parametrize("name", CHECKS)
def test_a_perfect_measurement_is_read_back_without_error(name: str) -> None:
    readings = CHECKS[name].read(measured(name))
    assert {one.check for one in readings} == {name}
    for one in readings:
        assert one.found == pytest.approx(one.known, rel=1e-6), one.what
    assert all_good(readings)


@pytest.mark.parametrize("off", [0.97, 1.03])
@pytest.mark.parametrize("name", CHECKS)
def test_every_figure_of_a_measurement_that_is_off_by_three_per_cent_is_found(name: str, off: float) -> None:
    assert [one.what for one in CHECKS[name].read(measured(name, off)) if one.good] == []


@pytest.mark.parametrize("name", CHECKS)
def test_a_run_that_measured_nothing_is_not_good(name: str) -> None:
    readings = CHECKS[name].read(history([], trigger_s=10))
    assert readings
    assert not any(one.good for one in readings)


# -- A/A --------------------------------------------------------------------------------------------


@given(st.integers(10, 40), st.integers(1, 5), st.integers(1, 20), st.integers(0, 99))
def test_no_run_is_on_both_sides_of_a_comparison(runs: int, group: int, comparisons: int, seed: int) -> None:
    pairs = draws(runs, group, comparisons, random.Random(seed))
    assert len(pairs) == comparisons
    for ours, theirs in pairs:
        assert len(ours) == len(theirs) == group
        assert len({*ours, *theirs}) == 2 * group
        assert {*ours, *theirs} <= set(range(runs))


def test_only_key_measures_that_differ_are_called() -> None:
    decisions = {"a": "better", "b": "no difference", "c": "worse", "d": "not decided", "e": "worse"}
    assert called(decisions, ("a", "b", "c", "d", "gone")) == ("a", "c")


@pytest.mark.parametrize(
    ("found", "good"), [((), True), ((("a",),), True), ((("a",), ("a", "b")), False)], ids=str
)
def test_one_of_twenty_comparisons_may_call_a_difference(
    found: tuple[tuple[str, ...], ...], good: bool
) -> None:
    verdicts = Verdicts(runs=20, group=5, comparisons=20, called=found)
    assert verdicts.good is good
    table = json.loads(json.dumps(as_dict(verdicts)))
    assert (table["called"], table["good"]) == ([list(keys) for keys in found], good)


def test_the_scenario_of_the_pool_is_one_arm() -> None:
    scenario = load(SCENARIO, OVERRIDES)
    assert scenario.matrix == {}
    assert scenario.trigger_s == 2

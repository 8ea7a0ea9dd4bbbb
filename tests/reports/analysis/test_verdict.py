import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reports.analysis.metrics import summarise
from reports.analysis.rise import rise_per_s
from reports.analysis.validity import Validity, check
from reports.analysis.verdict import RANKED, Verdict, judge, swings
from reports.rundir.reader import Run
from reports.rundir.series import Row
from tests.support.histories import history, seconds, storm, strike


def judged(run: Run) -> Verdict:
    summary = summarise(run)
    return judge(run, summary, check(run, summary))


def rescued(before: float, after: float) -> Run:
    return history(storm(lambda t: before if t < 48 else after), rescued_at_s=48)


HISTORIES: dict[str, tuple[Callable[[], Run], str, str]] = {
    "everything held again": (
        lambda: history(storm(lambda t: 0.0 if t < 20 else 100.0)),
        "RECOVERED",
        "recovered 12 s after the trigger, and stayed so for 30 consecutive seconds",
    ),
    "down until another policy came": (
        lambda: rescued(10.0, 99.0),
        "METASTABLE",
        "only 10 % of the clients were served in the last 13 s before the forced-recovery probe, "
        "not recovering",
    ),
    "down, whatever came": (
        lambda: rescued(10.0, 40.0),
        "OUTAGE",
        "not recovered after the rescue policy either (40 %)",
    ),
    "down, and nothing was tried": (
        lambda: history(storm(10.0)),
        "OUTAGE",
        "no forced-recovery probe was run",
    ),
    "down after a good start": (
        lambda: history(storm(lambda t: 60.0 if t < 30 else 30.0)),
        "OUTAGE",
        "only 30 % of the clients were served",
    ),
    "coming back slowly": (
        lambda: history(storm(lambda t: t - 8.0)),
        "SLOW_DRAIN",
        "rising by 1.0 % of the clients per second",
    ),
    "almost back, and rising too slowly to be done": (
        lambda: history(storm(lambda t: 80.0 + 0.3 * (t - 8))),
        "SLOW_DRAIN",
        "rising by 0.3 % of the clients per second",
    ),
    "back but for a few": (
        lambda: history(storm(97.0)),
        "SLOW_DRAIN",
        "s of the run; clients served: expected ≥ 99 %, got 97 %",
    ),
    "up and down": (
        lambda: history(storm(lambda t: 50 + 30 * math.sin(t / 2))),
        "FLAPPING",
        "swings of more than 20 % of the clients",
    ),
    "up and down, and up at the very end": (
        lambda: history(storm(lambda t: (t * 2.0) % 60 if t < 56 else 60.0)),
        "FLAPPING",
        "swings",
    ),
    "no trigger": (lambda: history(seconds(0, 20), trigger_s=None), "STEADY", "100 % of all client-seconds"),
}


@pytest.mark.parametrize(("build", "name", "reason"), HISTORIES.values(), ids=HISTORIES)
def test_the_verdict_and_its_reason(build: Callable[[], Run], name: str, reason: str) -> None:
    found = judged(build())
    assert found.name == name
    assert reason in found.reason


def back_from(second: int, before: float = 12.0) -> Callable[[int], float]:
    return lambda t: before if t < second else 100.0


PUSH = strike("push_policy", "mitigation", 20.05, 25.06)
RECOVERED: dict[str, tuple[Callable[[], Run], str]] = {
    "by itself": (
        lambda: history(storm(back_from(20))),
        "recovered 12 s after the trigger, and stayed so for 30 consecutive seconds",
    ),
    "after a trigger that went on for a while": (
        lambda: history(storm(back_from(20)), trigger_end_s=15),
        "recovered 5 s after the end of the trigger, and stayed so for 30 consecutive seconds",
    ),
    "after a mitigation, having been down": (
        lambda: history(storm(back_from(30)), events=PUSH),
        "recovered 22 s after the trigger, 5 s after pushing a policy (the last mitigation), "
        "and stayed so for 30 consecutive seconds; only 12 % of the clients were served in the "
        "10 s before the mitigation",
    ),
    "after a mitigation that it did not need": (
        lambda: history(storm(back_from(30, 98.0)), events=PUSH),
        "recovered 22 s after the trigger, 5 s after pushing a policy (the last mitigation), "
        "and stayed so for 30 consecutive seconds; 98 % of the clients were served in the 10 s "
        "before the mitigation",
    ),
    "with a mitigation that came with the trigger": (
        lambda: history(storm(back_from(30)), events=strike("set_limit", "mitigation", 8.05, 9.0)),
        "recovered 22 s after the trigger, 21 s after setting a limit (the last mitigation), "
        "and stayed so for 30 consecutive seconds",
    ),
}


@pytest.mark.parametrize(("build", "reason"), RECOVERED.values(), ids=RECOVERED)
def test_a_recovery_says_when_and_after_what(build: Callable[[], Run], reason: str) -> None:
    assert judged(build()) == Verdict("RECOVERED", reason)


def test_what_happened_before_the_trigger_had_ended_is_not_held_against_the_service() -> None:
    rows = storm(lambda t: 50 + 30 * math.sin(t / 2) if t < 40 else 10.0)
    assert judged(history(rows)).name == "FLAPPING"
    assert judged(history(rows, trigger_end_s=40)).name == "OUTAGE"


@pytest.mark.parametrize("trigger_end_s", [60, 62, 70])
def test_a_trigger_that_went_on_to_the_end_is_judged_from_its_beginning_on(trigger_end_s: int) -> None:
    run = history(storm(lambda t: 50 + 30 * math.sin(t / 2)), trigger_end_s=trigger_end_s)
    assert judged(run).name == "FLAPPING"


def test_a_control_is_steady_whatever_its_phases_are_called() -> None:
    assert judged(history(seconds(0, 62), control=True)).name == "STEADY"


def test_a_rise_that_may_be_noise_is_no_slow_drain() -> None:
    noise = [3.0, -4.0, 5.0, -2.0, 1.0, -5.0, 4.0]
    run = history(storm(lambda t: 20 + noise[t % 7] + 0.12 * (t - 8)))
    assert judged(run).name == "OUTAGE"


def unrecovered(useful: "Sequence[float] | NDArray[np.float64]", **changes: Any) -> Verdict:
    """The verdict on a trigger at 8 s and these seconds after it, which do not recover."""
    return without_latencies(storm(lambda t: float(useful[t - 8]), to_s=8 + len(useful)), **changes)


def without_latencies(rows: list[Row], **changes: Any) -> Verdict:
    run = history(rows, latencies={}, **changes)
    return judge(run, summarise(run), Validity(valid=True))


def wandering(rng: np.random.Generator, seconds: int, phi: float, deviation: float) -> NDArray[np.float64]:
    """A series around 0 of which each second keeps a share of what the one before was."""
    series = np.empty(seconds)
    series[0] = rng.normal(0, deviation)
    for t in range(1, seconds):
        series[t] = phi * series[t - 1] + rng.normal(0, deviation * math.sqrt(1 - phi**2))
    return series


@pytest.mark.parametrize("seconds_in_third", [6, 8, 12, 13, 20])
@pytest.mark.parametrize(("phi", "most"), [(0.0, 0.01), (0.3, 0.02), (0.5, 0.025), (0.7, 0.05)])
def test_what_only_wanders_hardly_ever_rises(seconds_in_third: int, phi: float, most: float) -> None:
    rng = np.random.default_rng(7)
    every = [wandering(rng, seconds_in_third, phi, 1.0).tolist() for _ in range(2_000)]
    assert sum(rise_per_s(series) > 0 for series in every) / len(every) <= most


@pytest.mark.parametrize("phi", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("mean", [20.0, 60.0, 80.0])
@pytest.mark.parametrize("seconds_after", [38, 54])
def test_a_service_that_stays_down_is_hardly_ever_called_a_slow_drain(
    phi: float, mean: float, seconds_after: int
) -> None:
    rng = np.random.default_rng(7)
    found = Counter(unrecovered(mean + wandering(rng, seconds_after, phi, 3.0)).name for _ in range(100))
    assert found["SLOW_DRAIN"] <= 7
    assert found["OUTAGE"] >= 90


@pytest.mark.parametrize("phi", [0.3, 0.5, 0.7])
@pytest.mark.parametrize(("first", "slope"), [(5.0, 2.0), (20.0, 1.5), (40.0, 1.0)])
def test_a_service_that_drains_is_found_in_spite_of_the_noise(phi: float, first: float, slope: float) -> None:
    rng = np.random.default_rng(7)
    found = Counter(
        unrecovered(first + slope * np.arange(38) + wandering(rng, 38, phi, 1.5)).name for _ in range(100)
    )
    assert found["SLOW_DRAIN"] >= 85


def test_a_few_clients_that_come_and_go_each_for_itself_do_not_flap() -> None:
    # Of twenty, some ten are served: by chance, their number moves by more than a fifth all the time.
    rng = np.random.default_rng(7)
    found: Counter[str] = Counter()
    for _ in range(50):
        served = np.clip(10 + wandering(rng, 38, 0.3, math.sqrt(20) / 2), 0, 19)
        rows = storm(50.0, to_s=46)
        for row in rows:
            row["clients"] = 20.0
            row["useful"] = (
                20.0 if row["t_s"] is None or row["t_s"] < 8 else float(served[int(row["t_s"]) - 8])
            )
        found[without_latencies(rows).name] += 1
        assert swings(served.tolist(), 4) >= 2
    assert found["FLAPPING"] <= 10


RISING = [5.0 + 1.2 * t for t in range(40)]


@pytest.mark.parametrize(
    ("after_rescue", "name", "reason"),
    [
        pytest.param(None, "SLOW_DRAIN", "rising by 1.2 % of the clients per second", id="no rescue"),
        pytest.param(
            99.0, "METASTABLE", "rising by 1.2 % of the clients per second; recovered to", id="it worked"
        ),
        pytest.param(60.0, "SLOW_DRAIN", "rising by 1.2 % of the clients per second", id="it did not work"),
    ],
)
def test_a_rescue_that_worked_outranks_a_rise(after_rescue: float | None, name: str, reason: str) -> None:
    useful = RISING if after_rescue is None else [*RISING, *[after_rescue] * 13]
    found = unrecovered(useful, rescued_at_s=None if after_rescue is None else 48)
    assert found.name == name
    assert reason in found.reason


def test_a_rise_that_nobody_can_wait_for_is_no_slow_drain() -> None:
    found = unrecovered([20.0 + 0.16 * t for t in range(38)])
    assert found.name == "OUTAGE"
    assert "rising by 0.2 % of the clients per second: too slow to recover within 300 s" in found.reason


@pytest.mark.parametrize("seconds_after", range(1, 18))
@pytest.mark.parametrize("last", [0.0, 89.0, 91.0, 98.0])
def test_the_last_second_alone_decides_nothing(seconds_after: int, last: float) -> None:
    found = unrecovered([*[40.0] * (seconds_after - 1), last])
    assert found.name == "OUTAGE"


@pytest.mark.parametrize("seconds_after", range(1, 6))
@pytest.mark.parametrize("served", [10.0, 80.0, 95.0, 98.0])
def test_fewer_seconds_than_six_are_too_few_to_judge_by(seconds_after: int, served: float) -> None:
    found = unrecovered([served] * seconds_after)
    assert found == Verdict(
        "OUTAGE",
        f"not recovered within {seconds_after} s, too short to show a trend: {served:.0f} % of the clients "
        f"were served; "
        "no forced-recovery probe was run",
    )
    assert unrecovered([served] * 6).name == ("SLOW_DRAIN" if served >= 90 else "OUTAGE")


@pytest.mark.parametrize("last", [89.0, 90.0, 91.0, 100.0])
@pytest.mark.parametrize("trigger_end_s", [9, 11, 14, 15, 17, 18, 20])
def test_a_short_storm_is_an_outage_wherever_its_last_second_is(last: float, trigger_end_s: int) -> None:
    # Twelve seconds after the first of two faults, of which the second ends shortly before the run does.
    useful = [0.0, 2.0, 5.0, 9.0, 12.0, 20.0, 30.0, 45.0, 50.0, 65.0, 80.0, last]
    found = unrecovered(useful, trigger_end_s=trigger_end_s)
    assert found.name == "OUTAGE"
    assert "in the last 6 s of the run, not recovering" in found.reason


def test_swings_are_not_looked_for_in_a_short_stretch() -> None:
    assert unrecovered([50.0, 0.0, 50.0]).name == "OUTAGE"
    assert unrecovered([50.0, 0.0] * 6).name == "OUTAGE"
    assert unrecovered([50.0, 0.0] * 9).name == "FLAPPING"


def test_an_invalid_run_gets_no_other_verdict_however_well_it_went() -> None:
    run = history(storm(100.0))
    summary = summarise(run)
    found = judge(run, summary, Validity(valid=False, problems=("late", "lost")))
    assert found == Verdict("INVALID", "late (and 1 more)")


def test_a_rescue_that_was_cut_short_counts_by_its_last_seconds() -> None:
    run = history(storm(lambda t: 5.0 if t < 48 else 99.0, to_s=50), rescued_at_s=48)
    assert judged(run).name == "METASTABLE"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0),
        ([50], 0),
        ([0, 20], 0),
        ([0, 21], 1),
        ([100, 0], 1),
        ([0, 10, 20, 30, 40, 90], 1),
        ([0, 50, 45, 60, 55, 100], 1),
        ([0, 50, 0], 2),
        ([0, 30, 15, 40, 10], 2),
        ([60, 30, 60, 30, 60], 4),
        ([50, 60, 40, 60, 40, 60], 0),
    ],
)
def test_a_swing_ends_where_values_have_turned_back_by_more_than_the_threshold(
    values: list[float], expected: int
) -> None:
    assert swings(values, 20) == expected


def test_verdicts_are_ranked_from_good_to_bad() -> None:
    assert RANKED.index("RECOVERED") < RANKED.index("SLOW_DRAIN") < RANKED.index("METASTABLE")
    assert RANKED[-1] == "INVALID"

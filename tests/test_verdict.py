import math
from collections.abc import Callable

import pytest
from run_histories import history, seconds, storm, strike

from reports.metrics import summarise
from reports.record import Run
from reports.validity import Validity, check
from reports.verdict import RANKED, Verdict, judge, swings


def judged(run: Run) -> Verdict:
    summary = summarise(run)
    return judge(run, summary, check(run, summary))


def rescued(before: float, after: float) -> Run:
    return history(storm(lambda t: before if t < 48 else after), rescued_at_s=48)


HISTORIES: dict[str, tuple[Callable[[], Run], str, str]] = {
    "everything held again": (
        lambda: history(storm(lambda t: 0.0 if t < 20 else 100.0)),
        "RECOVERED",
        "from 12 s after the trigger, for 30 s on end",
    ),
    "down until another policy came": (
        lambda: rescued(10.0, 99.0),
        "METASTABLE",
        "only 10 % of the clients were served in the last third",
    ),
    "down, whatever came": (
        lambda: rescued(10.0, 40.0),
        "OUTAGE",
        "the rescue policy did not bring them back (40 %)",
    ),
    "down, and nothing was tried": (lambda: history(storm(10.0)), "OUTAGE", "no rescue was tried"),
    "down after a good start": (
        lambda: history(storm(lambda t: 60.0 if t < 30 else 30.0)),
        "OUTAGE",
        "only 30 % of the clients were served",
    ),
    "coming back slowly": (
        lambda: history(storm(lambda t: t - 8.0)),
        "SLOW_DRAIN",
        "1.0 % of the clients more every second",
    ),
    "almost back, and rising too slowly to be done": (
        lambda: history(storm(lambda t: 80.0 + 0.3 * (t - 8))),
        "SLOW_DRAIN",
        "0.3 % of the clients more every second",
    ),
    "back but for a few": (
        lambda: history(storm(97.0)),
        "SLOW_DRAIN",
        "97 % are served, but not everything is back: 97 % of the clients were served, 99 % are wanted",
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
        "everything held again from 12 s after the trigger, for 30 s on end",
    ),
    "after a trigger that went on for a while": (
        lambda: history(storm(back_from(20)), trigger_end_s=15),
        "everything held again from 5 s after the end of the trigger, for 30 s on end",
    ),
    "after a mitigation, having been down": (
        lambda: history(storm(back_from(30)), events=PUSH),
        "everything held again from 22 s after the trigger, 5 s after push_policy (the last mitigation), "
        "for 30 s on end; only 12 % were served in the 10 s before it",
    ),
    "after a mitigation that it did not need": (
        lambda: history(storm(back_from(30, 98.0)), events=PUSH),
        "everything held again from 22 s after the trigger, 5 s after push_policy (the last mitigation), "
        "for 30 s on end; 98 % were served in the 10 s before it",
    ),
    "with a mitigation that came with the trigger": (
        lambda: history(storm(back_from(30)), events=strike("set_limit", "mitigation", 8.05, 9.0)),
        "everything held again from 22 s after the trigger, 21 s after set_limit (the last mitigation), "
        "for 30 s on end",
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


def test_two_seconds_show_no_rise() -> None:
    run = history(storm(lambda t: 40.0 * (t - 8), to_s=11))
    assert judged(run) == Verdict(
        "OUTAGE",
        "only 80 % of the clients were served in the last third, with no sign of more; no rescue was tried",
    )


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

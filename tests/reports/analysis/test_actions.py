"""What was done in a run, and what was seen of it."""

from typing import Any

import pytest

from reports.analysis.actions import FiredEvent, LastMitigation, fired_events, trigger_name
from reports.analysis.metrics import summarise
from reports.rundir.series import Row
from reports.text import units
from tests.support.histories import Event, history, latencies_of, seconds, storm, strike

POLICY: dict[str, Any] = {"policy": {"name": "spread", "window_s": 5.0}, "reach_s": 5.0}


def test_a_strike_is_a_beginning_and_an_end() -> None:
    events = [
        {"t_s": 0.0, "event": "steady", "clients": 100},
        *strike("drop_all", "fault", 8.05, 8.06),
        *strike("push_policy", "mitigation", 20.05, 25.06, **POLICY),
        {"t_s": 30.0, "event": "rescue", "policy": "incident"},
        *strike("feed_stall", "fault", 58.0, for_s=10.0),
    ]
    assert fired_events(events) == [
        FiredEvent("drop_all", "fault", 8.05, 8.06, {}),
        FiredEvent("push_policy", "mitigation", 20.05, 25.06, POLICY),
        FiredEvent("feed_stall", "fault", 58.0, None, {"for_s": 10.0}),
    ]


def test_how_late_a_strike_began_is_no_detail_of_it() -> None:
    begin, end = strike("pause_pod", "fault", 8.3, 18.0, pod=0)
    rescue = {"t_s": 30.0, "event": "rescue", "policy": "incident", "late_s": 0.05}
    events = [begin | {"late_s": 0.3}, end, rescue]
    assert fired_events(events) == [FiredEvent("pause_pod", "fault", 8.3, 18.0, {"pod": 0})]


def test_strikes_that_overlap_keep_their_own_ends() -> None:
    first = strike("pause_pod", "fault", 8.0, 18.0, pod=0)
    second = strike("pause_pod", "fault", 9.0, 12.0, pod=1)
    third = strike("pause_pod", "fault", 10.0, 19.0, pod=0)
    events = sorted([*first, *second, *third], key=lambda line: float(line["t_s"]))
    assert [(found.details["pod"], found.began_s, found.ended_s) for found in fired_events(events)] == [
        (0, 8.0, 18.0),
        (1, 9.0, 12.0),
        (0, 10.0, 19.0),
    ]


def test_what_an_end_adds_belongs_to_its_strike_and_an_end_alone_to_none() -> None:
    begin, end = strike("kill_pod", "fault", 8.0, 9.0, pod=0)
    assert fired_events([begin, end | {"clients": 50}])[0].details == {"pod": 0, "clients": 50}
    assert fired_events([end]) == []


def acted(rows: list[Row], events: list[Event], **info: Any) -> Any:
    return summarise(history(rows, events=events, **info)).actions


def test_an_action_is_seen_by_the_five_seconds_before_it_and_five_after_it_has_settled() -> None:
    rows = storm(lambda t: 20.0 if t < 28 else 100.0, attempts=40.0)
    (action,) = acted(rows, strike("push_policy", "mitigation", 20.05, 25.06, **POLICY))
    assert (action.t_s, action.name, action.kind, action.lasted_s) == (
        12.05,
        "push_policy",
        "mitigation",
        5.01,
    )
    assert action.details == POLICY
    assert (action.before.availability, action.after.availability) == (0.2, 1.0)
    assert (action.before.attempts_per_s, action.after.attempts_per_s) == (40.0, 0.0)
    assert [action.before.pod_cpu, action.after.pod_cpu] == pytest.approx([0.5, 0.05])
    assert [action.before.pod_loop, action.after.pod_loop] == pytest.approx([0.06, 0.06])
    assert units.latency(action.before.effective_p99) == "≥ 5.0 s"
    assert units.latency(action.after.effective_p99) == "60 ms"


def seen(useful_from_s: int, event: list[Event]) -> tuple[Any, Any]:
    rows = [row | {"useful": float(row["t_s"] or 0)} for row in storm(100.0)]
    (action,) = acted(rows, event, rescued_at_s=useful_from_s)
    return (
        action.before and round(action.before.availability * 100),
        action.after and round(action.after.availability * 100),
    )


WINDOWS: dict[str, tuple[list[Event], int | None, int | None]] = {
    # Seconds 15 to 19 and 25 to 29: the middle one of each.
    "at once": (strike("set_limit", "mitigation", 20.05, 20.06), 17, 27),
    "to the end of a second": (strike("set_limit", "mitigation", 20.05, 20.9), 17, 28),
    "over by the time of the rescue": (strike("set_limit", "mitigation", 20.05, 38.0), 17, 45),
    "too late to be seen before the rescue": (strike("set_limit", "mitigation", 20.05, 39.0), 17, None),
    "never over": (strike("set_limit", "mitigation", 20.05), 17, None),
    "too soon for a before": (strike("probes", "condition", 4.0, 4.0), None, 11),
}


@pytest.mark.parametrize(("event", "before", "after"), WINDOWS.values(), ids=WINDOWS)
def test_the_seconds_that_are_looked_at(event: list[Event], before: int | None, after: int | None) -> None:
    assert seen(48, event) == (before, after)


def test_what_struck_after_the_rescue_is_no_action_of_the_run() -> None:
    events = [*strike("drop_all", "fault", 8.0, 8.0), *strike("scale", "mitigation", 50.0, 51.0)]
    assert [action.name for action in acted(storm(0.0), events, rescued_at_s=48)] == ["drop_all"]


def test_without_a_trigger_actions_are_timed_from_the_start() -> None:
    (action,) = acted(seconds(0, 40), strike("scale", "mitigation", 12.34, 14.0), trigger_s=None)
    assert (action.t_s, action.lasted_s) == (12.34, 1.66)


MITIGATION = strike("push_policy", "mitigation", 20.05, 25.06, **POLICY)
LAST: dict[str, tuple[list[Event], LastMitigation | None]] = {
    "one": (MITIGATION, LastMitigation(name="push_policy", after_s=3, served_before=0.2, watched_s=10)),
    "none": (strike("drop_all", "fault", 8.0, 8.0), None),
    "the last of two": (
        [*MITIGATION, *strike("set_limit", "mitigation", 26.0, 26.1)],
        LastMitigation(name="set_limit", after_s=2, served_before=0.2, watched_s=10),
    ),
    "the second came after the recovery": (
        [*MITIGATION, *strike("set_limit", "mitigation", 29.0, 29.1)],
        LastMitigation(name="push_policy", after_s=3, served_before=0.2, watched_s=10),
    ),
    "before the trigger": (strike("set_limit", "mitigation", 4.0, 4.1), None),
    "with the trigger": (
        strike("set_limit", "mitigation", 8.05, 8.1),
        LastMitigation(name="set_limit", after_s=20, served_before=None, watched_s=0),
    ),
    "soon after the trigger": (
        strike("set_limit", "mitigation", 12.05, 12.1),
        LastMitigation(name="set_limit", after_s=16, served_before=0.2, watched_s=4),
    ),
    "still under way": (
        strike("scale", "mitigation", 24.0, 31.0),
        LastMitigation(name="scale", after_s=0, served_before=0.2, watched_s=10),
    ),
    "never over": (
        strike("scale", "mitigation", 24.0),
        LastMitigation(name="scale", after_s=0, served_before=0.2, watched_s=10),
    ),
}


@pytest.mark.parametrize(("events", "expected"), LAST.values(), ids=LAST)
def test_a_recovery_knows_the_last_mitigation_before_it(
    events: list[Event], expected: LastMitigation | None
) -> None:
    found = summarise(history(storm(lambda t: 20.0 if t < 28 else 100.0), events=events)).recovery
    assert found.time_to_recover_s == 20
    assert found.mitigation == expected
    assert found.after_mitigation_s == (expected.after_s if expected else None)


def test_without_a_recovery_no_mitigation_came_before_it() -> None:
    found = summarise(history(storm(0.0), events=MITIGATION)).recovery
    assert (found.mitigation, found.after_mitigation_s) == (None, None)


def test_without_a_strike_the_trigger_is_the_event_that_was_due() -> None:
    rows = storm(0.0)
    assert trigger_name(history(rows)) == "drop_all"
    assert trigger_name(history(rows, trigger_s=9, latencies=latencies_of(rows))) == ""


def test_an_event_that_is_switched_off_was_not_due() -> None:
    run = history(storm(0.0))
    off = {**run.info.scenario["event"][0], "do": "feed_stall", "enabled": False}
    planned = {**run.info.scenario, "event": [off, *run.info.scenario["event"]]}
    assert trigger_name(history(storm(0.0), scenario=planned)) == "drop_all"

from collections.abc import Callable
from typing import Any

import pytest

from reports.analysis.metrics import summarise
from reports.analysis.validity import Validity, check
from reports.rundir.proxy_log import ProxyLog
from reports.rundir.reader import Run
from reports.rundir.schema import ClockOffset, Phase
from reports.rundir.series import Row
from reports.text import units
from tests.support.histories import (
    TRIGGER_S,
    Event,
    history,
    latencies_of,
    pod_second,
    scenario,
    second,
    seconds,
    storm,
    strike,
)

GOOD = storm(lambda t: 0.0 if t < 15 else 100.0)


def checked(run: Run) -> Validity:
    return check(run, summarise(run))


def changed(where: Callable[[float], bool], **changes: float | None) -> list[Row]:
    """The good run, with `changes` in the seconds for which `where` holds."""
    return [row | changes if where(row["t_s"] or 0) else row for row in GOOD]


def test_a_good_run_has_neither_problems_nor_warnings() -> None:
    assert checked(history(GOOD)) == Validity(valid=True)


INVALID: dict[str, tuple[list[Row], str]] = {
    "generator late in the baseline": (
        changed(lambda t: t < 8, generator_lag_p99_ms=6.0),
        "median of the p99 loop lag per second: expected ≤ 5 ms, got 6.0 ms",
    ),
    "generator late by more than a tenth of the effect": (
        changed(lambda t: t == 12, generator_lag_p99_ms=600.0),
        "highest p99 loop lag of a second: expected ≤ 494 ms (the trigger raised effective p99 by 4.9 s), "
        "got 600 ms",
    ),
    "generator saturated for three seconds": (
        changed(lambda t: 20 <= t < 23, generator_cpu=0.96),
        "the load generator's core was saturated: mean of 3 s: expected < 95 %, got 96 %",
    ),
    "feed late while pods had time": (
        changed(lambda t: t in {2, 5}, tick_late_ms=70.0),
        "by more than 50 ms in 2 of 8 seconds before the trigger, up to 70 ms",
    ),
    "other processes on the cores": (
        changed(lambda _: True, foreign_cpu=0.3),
        "other processes used 15 % of the machine's 2 cores, expected ≤ 10 %",
    ),
    "a hypervisor that takes time": (
        changed(lambda _: True, steal=0.3),
        "the hypervisor took 15 % of the machine's 2 cores, expected ≤ 10 %",
    ),
    "ports gone": (changed(lambda t: t == 9, exhausted=3.0), "3 attempts could not start"),
    "a publisher whose clock is ahead": (
        changed(lambda t: t >= 20, early=30.0, earliest_ms=30.0),
        "the publisher's clock is ahead by at least 30 ms: 1260 of ",
    ),
    "more received than sent": (
        changed(lambda _: True, ticks=510.0),
        "more ticks received than sent: 31620 received, 31000 sent",
    ),
    "not everyone there before the trigger": (
        changed(lambda t: t == 3, useful=98.0),
        "clients served in its worst second: expected ≥ 99 %, got 98 %",
    ),
    "somebody lost before the trigger": (
        changed(lambda t: t in {3, 5}, disconnects=1.0),
        "disconnects before the trigger: expected ≤ 1 with 100 clients, got 2",
    ),
    "somebody still connecting": (
        changed(lambda t: t == 0, attempts=2.0),
        "connection attempts before the trigger: expected ≤ 1 with 100 clients, got 2",
    ),
    "pods busy before the trigger": (
        changed(lambda t: t < 8, pod_loop=0.75),
        "event loops: expected ≤ 70 %, got 75 %",
    ),
    "tries that a cap held back": (
        changed(lambda t: t in {9, 10}, held_back=40.0),
        "the cap fleet.max_attempts_per_s delayed 80 attempts",
    ),
    "a generator process that died": (
        changed(lambda t: t >= 20, missing=50.0),
        "a load generator process was lost with 50 clients",
    ),
    "a trigger without effect": (seconds(0, 62), "no client was disconnected within 2 s"),
}


@pytest.mark.parametrize(("rows", "complaint"), INVALID.values(), ids=INVALID)
def test_a_run_is_invalid_with_the_figure_that_gave_it_away(rows: list[Row], complaint: str) -> None:
    found = checked(history(rows))
    assert not found.valid
    assert len(found.problems) == 1
    assert complaint in found.problems[0]


@pytest.mark.parametrize(
    ("killed_s", "dropped_by", "complaints"),
    [
        ((20,), "nginx", ["a worker of nginx was killed in second 20, see its error.log"]),
        ((8, 9), "nginx", []),
        ((8,), "clients", ["a worker of nginx was killed in second 8, see its error.log"]),
    ],
    ids=["by something else", "by the event that drops everybody", "although clients hung up"],
)
def test_a_worker_of_nginx_is_killed_by_an_event_or_the_run_is_invalid(
    killed_s: tuple[int, ...], dropped_by: str, complaints: list[str]
) -> None:
    log = ProxyLog(requests=200, addresses=100, workers_killed_s=killed_s)
    begin, end = strike("drop_all", "fault", 8.0, 8.1)
    found = checked(history(GOOD, events=[begin, end | {"dropped_by": dropped_by}], proxy_log=log))
    assert [said.partition(":")[0] for said in found.problems] == complaints


def struck(late_s: float | None, rescue_late_s: float | None = None) -> list[Event]:
    """A drop that began so late, and a rescue; None: as in older runs, nobody says."""
    begin, end = strike("drop_all", "fault", 8.05, 8.1)
    rescue: Event = {"t_s": 44.05, "event": "rescue", "policy": "spread"}
    return [
        begin if late_s is None else begin | {"late_s": late_s},
        end,
        rescue if rescue_late_s is None else rescue | {"late_s": rescue_late_s},
    ]


STRIKES: dict[str, tuple[list[Event], str]] = {
    "in time": (struck(0.05, 0.05), ""),
    "nearly": (struck(0.25, 0.25), ""),
    "of an older run": (struck(None), ""),
    "late": (struck(1.9, 0.05), "drop_all began after its scheduled time: expected ≤ 250 ms, got 1.9 s"),
    "a little too late": (
        struck(0.251),
        "drop_all began after its scheduled time: expected ≤ 250 ms, got 251 ms",
    ),
    "a late rescue": (
        struck(0.05, 0.4),
        "rescue began after its scheduled time: expected ≤ 250 ms, got 400 ms",
    ),
    "both": (struck(0.3, 0.4), "rescue began after its scheduled time: expected ≤ 250 ms, got 400 ms"),
}


@pytest.mark.parametrize(("events", "said"), STRIKES.values(), ids=STRIKES)
def test_a_run_whose_script_was_played_late_is_invalid_and_another_try_is_worth_it(
    events: list[Event], said: str
) -> None:
    found = checked(history(GOOD, events=events, rescued_at_s=44))
    assert found.problems == ((f"this program stood still: {said}",) if said else ())
    assert found.invalidated_by_host is bool(said)


TOLERATED: dict[str, list[Row]] = {
    "one client lost before the trigger, and back at its first try": changed(
        lambda t: t == 3, disconnects=1.0, attempts=1.0
    ),
    "one late second of the generator in the baseline": changed(lambda t: t == 3, generator_lag_p99_ms=40.0),
    "generator late by less than a tenth of the effect": changed(
        lambda t: t == 12, generator_lag_p99_ms=400.0
    ),
    "generator busy for two seconds": changed(lambda t: 20 <= t < 22, generator_cpu=1.0),
    "a disconnect on the edge of the second in which the trigger strikes": changed(
        lambda t: t == TRIGGER_S - 1, disconnects=1.0, attempts=1.0
    ),
    "feed late under load": changed(lambda t: t in {2, 5}, tick_late_ms=70.0, pod_loop_max=0.9),
    "no late feed known": changed(lambda _: True, tick_late_ms=None),
    "a little foreign CPU": changed(lambda _: True, foreign_cpu=0.15),
    "the last second's ticks counted on one side only": changed(lambda t: t == 61, ticks=1000.0),
    "a few ticks that seem early": changed(lambda t: t == 20, early=5.0, earliest_ms=40.0),
    "ticks early by less than a clock can be set": changed(lambda _: True, early=90.0, earliest_ms=0.9),
    "nothing known of what was sent": changed(lambda _: True, ticks_sent=None),
}


@pytest.mark.parametrize("rows", TOLERATED.values(), ids=TOLERATED)
def test_small_disturbances_are_tolerated(rows: list[Row]) -> None:
    assert checked(history(rows)).problems == ()


@pytest.mark.parametrize(
    ("rows", "spoilt"),
    [
        pytest.param(changed(lambda _: True, steal=0.3), True, id="a hypervisor that takes time"),
        pytest.param(changed(lambda _: True, foreign_cpu=0.3), True, id="other processes"),
        pytest.param(
            changed(lambda t: t < 8, generator_lag_p99_ms=6.0), True, id="an idle generator kept waiting"
        ),
        pytest.param(
            changed(lambda _: True, generator_lag_p99_ms=6.0, generator_cpu=0.97),
            False,
            id="a busy generator",
        ),
        pytest.param(changed(lambda t: t == 9, exhausted=3.0), False, id="ports gone"),
    ],
)
def test_another_try_is_worth_it_only_where_others_had_the_cores(rows: list[Row], spoilt: bool) -> None:
    assert checked(history(rows)).invalidated_by_host is spoilt


PINNED = {"cores": 2, "pinned": True, "stack_cores": [0], "generator_cores": [1]}


@pytest.mark.parametrize("phase", ["before", "during", "after", "rescue"])
@pytest.mark.parametrize("column", ["stack_foreign_cpu", "generator_foreign_cpu", "stack_steal"])
def test_others_on_a_core_of_ours_spoil_a_run_in_any_phase(phase: str, column: str) -> None:
    run = history(GOOD, rescued_at_s=44, machine=PINNED)
    (from_s, to_s) = next((one.from_s, one.to_s) for one in run.info.phases if one.name == phase)
    rows = changed(lambda t: from_s <= t < min(to_s, from_s + 8), **{column: 0.4})
    found = checked(history(rows, rescued_at_s=44, machine=PINNED))
    (problem,) = found.problems
    assert "40 % of core" in problem
    assert found.invalidated_by_host


def test_a_spike_on_a_core_of_ours_and_any_load_on_the_others_spoil_nothing() -> None:
    rows = [row | {"foreign_cpu": 20.0} for row in changed(lambda t: t == 12, stack_foreign_cpu=0.9)]
    assert checked(history(rows, machine={**PINNED, "cores": 32})).valid


@pytest.mark.parametrize("machine", [PINNED, {"cores": 32, "pinned": False}], ids=["pinned", "not pinned"])
def test_a_run_of_an_earlier_version_is_judged_by_what_it_has(machine: dict[str, Any]) -> None:
    new = ("stack_foreign_cpu", "stack_steal", "generator_foreign_cpu", "generator_steal")

    def as_it_was(rows: list[Row]) -> Run:
        return history(
            [{key: cell for key, cell in row.items() if key not in new} for row in rows], machine=machine
        )

    assert checked(as_it_was(changed(lambda _: True, foreign_cpu=0.15))).problems == ()
    (problem,) = checked(as_it_was(changed(lambda t: 8 <= t < 16, foreign_cpu=1.0))).problems
    assert "from second 8 to 13, expected" in problem


TIMEOUTS: dict[str, tuple[dict[str, Any], float, str]] = {
    "the connect time-out": (
        {"fleet__connect_timeout_s": 1.0, "fleet__stale_after_s": 2.0},
        250,
        "fleet.connect_timeout_s = 1",
    ),
    "the watchdog": (
        {"fleet__connect_timeout_s": 3.0, "fleet__stale_after_s": 1.4},
        350,
        "stale_after_s = 1.4",
    ),
    "no watchdog": (
        {"fleet__connect_timeout_s": 1.2, "fleet__stale_after_s": 0.0},
        300,
        "connect_timeout_s = 1.2",
    ),
    "the server's pings": (
        {"fleet__connect_timeout_s": 9.0, "gateway__ping_interval_s": 0.5, "gateway__ping_timeout_s": 0.3},
        200,
        "gateway.ping_interval_s + gateway.ping_timeout_s = 0.8",
    ),
    "a session that counts as stable": (
        {"fleet__reset_backoff": "stable", "fleet__stable_after_s": 1.0, "fleet__connect_timeout_s": 9.0},
        250,
        "fleet.stable_after_s = 1",
    ),
    "a session whose length does not matter": (
        {"fleet__reset_backoff": "open", "fleet__stable_after_s": 0.1, "fleet__connect_timeout_s": 9.0},
        494,
        "the trigger raised effective p99 by 4.9 s",
    ),
    "time-outs that are longer than a tenth of the effect": (
        {"fleet__connect_timeout_s": 5.0, "fleet__stale_after_s": 5.0},
        494,
        "the trigger raised effective p99 by 4.9 s",
    ),
    "a time-out that is shorter than the generator is late at rest": (
        {"fleet__connect_timeout_s": 0.01},
        2.5,
        "fleet.connect_timeout_s = 0.01",
    ),
}


@pytest.mark.parametrize(("changes", "allowed_ms", "beside"), TIMEOUTS.values(), ids=TIMEOUTS)
def test_the_generator_may_be_late_by_a_quarter_of_what_its_clients_give_up_after(
    changes: dict[str, Any], allowed_ms: float, beside: str
) -> None:
    def problems(lag_ms: float) -> tuple[str, ...]:
        rows = changed(lambda t: t == 12, generator_lag_p99_ms=lag_ms)
        return checked(history(rows, scenario=scenario(**changes))).problems

    assert problems(allowed_ms) == ()
    (problem,) = problems(allowed_ms + 1)
    assert f"expected ≤ {units.milliseconds(allowed_ms)} (" in problem
    assert beside in problem


@pytest.mark.parametrize(
    ("late_seconds", "lag_ms", "valid"),
    [
        pytest.param(3, 14.0, True, id="too few seconds to move a p99"),
        pytest.param(4, 14.0, False, id="a second more"),
        pytest.param(1, 240.0, True, id="in one second nearly as late as clients notice"),
        pytest.param(1, 260.0, False, id="in one second later than that"),
    ],
)
def test_in_a_long_storm_of_little_effect_a_few_seconds_may_be_late(
    late_seconds: int, lag_ms: float, valid: bool
) -> None:
    rows = seconds(0, 8, useful=100.0)
    rows += seconds(8, 608, useful=100.0, disconnects=0.1)
    for row in rows[20 : 20 + late_seconds]:
        row["generator_lag_p99_ms"] = lag_ms
    rows[8]["disconnects"] = 100.0
    found = checked(history(rows, scenario=scenario(fleet__connect_timeout_s=1.0)))
    assert [problem for problem in found.problems if "load generator late" in problem] == (
        [] if valid else [found.problems[0]]
    )


def test_pings_of_somebody_elses_gateway_are_not_known() -> None:
    theirs = scenario(gateway__ping_interval_s=0.5, gateway__ping_timeout_s=0.3)
    rows = changed(lambda t: t == 12, generator_lag_p99_ms=400.0)
    assert not checked(history(rows, scenario=theirs)).valid
    theirs["target"] = {"url": "http://127.0.0.1:3000"}
    assert checked(history(rows, scenario=theirs)).problems == ()


@pytest.mark.parametrize(
    ("second_of_lag", "lag_ms", "valid"),
    [
        pytest.param(7, 2_500.0, False, id="it stood still from just before the trigger on"),
        pytest.param(5, 2_500.0, False, id="it stood still until just after the trigger"),
        pytest.param(2, 2_500.0, True, id="it stood still long before the trigger"),
        pytest.param(7, 40.0, True, id="a little late just before the trigger"),
        pytest.param(22, 2_500.0, False, id="it stood still from the end of the storm on"),
        pytest.param(43, 2_500.0, False, id="it stood still as the rescue began"),
        pytest.param(50, 2_500.0, False, id="it stood still in the rescue"),
    ],
)
def test_a_generator_that_stands_still_makes_a_run_invalid_wherever_that_reaches_into_the_storm(
    second_of_lag: int, lag_ms: float, valid: bool
) -> None:
    timeouts = scenario(fleet__connect_timeout_s=1.0, fleet__stale_after_s=2.0)
    rows = changed(lambda t: t == second_of_lag, generator_lag_p99_ms=lag_ms)
    found = checked(history(rows, rescued_at_s=44, scenario=timeouts))
    assert found.valid is valid
    assert found.invalidated_by_host is not valid


@pytest.mark.parametrize(("stale_by", "valid"), [("gap", True), ("age", False)])
def test_who_judges_the_age_of_ticks_needs_a_clock_that_is_good_for_that(stale_by: str, valid: bool) -> None:
    clocks = (ClockOffset(process="a", offset_ns=0, error_ns=400_000_000),)
    by = scenario(fleet__stale_by=stale_by, fleet__stale_after_s=1.2)
    found = checked(history(GOOD, clocks=clocks, scenario=by))
    assert found.valid is valid
    assert ["≤ 300 ms (fleet.stale_after_s = 1.2)" in one for one in found.problems] == (
        [] if valid else [True]
    )


def test_the_ramp_may_saturate_the_generator_and_connect() -> None:
    ramp = seconds(-4, 0, generator_cpu=1.0, attempts=75.0, useful=0.0)
    assert checked(history([*ramp, *GOOD])).valid


NO_EFFECT = [row | {"disconnects": 100.0 * (t == TRIGGER_S)} for t, row in enumerate(storm(100.0))]


def test_without_an_effect_the_generator_must_be_as_calm_as_before() -> None:
    rows = storm(100.0)
    rows[TRIGGER_S] |= {"disconnects": 100.0, "generator_lag_p99_ms": 6.0}
    assert (
        "expected ≤ 5.0 ms (the trigger did not raise effective p99), got 6.0 ms"
        in checked(history(rows)).problems[0]
    )


@pytest.mark.parametrize(
    ("rows", "error_ms", "complaint"),
    [
        pytest.param(GOOD, 494.0, "", id="a tenth of the effect"),
        pytest.param(
            GOOD,
            495.0,
            "of b: expected ≤ 494 ms (the trigger raised effective p99 by 4.9 s), got 495 ms",
            id="more than a tenth of the effect",
        ),
        pytest.param(NO_EFFECT, 5.0, "", id="little, and no effect"),
        pytest.param(
            NO_EFFECT,
            5.1,
            "of b: expected ≤ 5.0 ms (the trigger did not raise effective p99), got 5.1 ms",
            id="much, and no effect",
        ),
    ],
)
def test_clocks_have_to_be_known_to_a_tenth_of_the_effect(
    rows: list[Row], error_ms: float, complaint: str
) -> None:
    clocks = tuple(
        ClockOffset(process=name, offset_ns=-(10**15), error_ns=int(ms * 1e6))
        for name, ms in (("a", 0.2), ("b", error_ms))
    )
    problems = checked(history(rows, clocks=clocks)).problems
    assert [complaint in problem for problem in problems] == ([True] if complaint else [])


LATE = changed(lambda t: t >= 8, disconnects=0.0)


@pytest.mark.parametrize("fault", ["feed_burst", "feed_stall", "pause_pod"])
@pytest.mark.parametrize(
    ("rows", "did_something"),
    [
        pytest.param(seconds(0, 62), False, id="nothing at all"),
        pytest.param(LATE, True, id="ticks came late"),
        pytest.param(
            [*seconds(0, 40), second(40, disconnects=3.0), *seconds(41, 62)],
            True,
            id="somebody left, much later",
        ),
    ],
)
def test_a_fault_that_drops_nobody_by_itself_has_to_make_ticks_late_or_clients_leave(
    fault: str, rows: list[Row], did_something: bool
) -> None:
    problem = "the trigger had no effect: no client was disconnected, and none had data older than 1 s"
    expected = () if did_something else (problem,)
    assert checked(history(rows, events=strike(fault, "fault", 8.05, 12.0))).problems == expected
    event = [{"at_s": 8.0, "do": fault}, {"at_s": 30.0, "do": "drop_all"}]
    assert checked(history(rows, scenario=scenario(event=event))).problems == expected


def test_the_trigger_is_the_first_fault_and_no_condition_or_mitigation() -> None:
    events = [
        *strike("probes", "condition", 0.0, 0.1),
        *strike("push_policy", "mitigation", 7.0, 8.0),
        *strike("drop_share", "fault", 8.05, 8.1),
        *strike("feed_stall", "fault", 20.0, 30.0),
    ]
    assert "within 2 s" in checked(history(LATE, events=events)).problems[0]


def dropped_at(*at_s: int) -> list[Row]:
    """Calm seconds but for those in which somebody is disconnected."""
    return [second(t, disconnects=50.0 if t in at_s else 0.0) for t in range(62)]


RESTARTED: dict[str, tuple[list[Row], float | None, str]] = {
    "at once": (dropped_at(8), 14.6, ""),
    "after a gateway's own drain": (dropped_at(11), 14.6, ""),
    "by the second pod, as the first one had nobody": (dropped_at(14), 14.6, ""),
    "by a pod that still drains when the run ends": (dropped_at(61), None, ""),
    "nobody": (dropped_at(), 14.6, "no client was disconnected within 7 s"),
    "nobody, up to the end of the run": (dropped_at(), None, "no client was disconnected within 54 s"),
    "nobody, in a restart that took no time": (dropped_at(), 8.1, "no client was disconnected within 2 s"),
    "only later, by something else": (dropped_at(20), 14.6, "no client was disconnected within 7 s"),
}


@pytest.mark.parametrize(("rows", "ended_s", "complaint"), RESTARTED.values(), ids=RESTARTED)
def test_a_rolling_restart_may_disconnect_its_first_client_as_long_as_it_goes_on(
    rows: list[Row], ended_s: float | None, complaint: str
) -> None:
    found = checked(history(rows, events=strike("rolling_restart", "fault", 8.05, ended_s))).problems
    assert [problem for problem in found if "the trigger had no effect" in problem] == (
        [f"the trigger had no effect: {complaint}"] if complaint else []
    )


@pytest.mark.parametrize("fault", ["drop_all", "drop_share", "kill_pod", "nginx_restart"])
def test_a_fault_that_cuts_connections_does_so_at_once_however_long_it_lasts(fault: str) -> None:
    events = strike(fault, "fault", 8.05, 20.0)
    problem = "the trigger had no effect: no client was disconnected within 2 s"
    assert problem in checked(history(dropped_at(11), events=events)).problems


def test_a_control_is_not_struck() -> None:
    assert checked(history(seconds(0, 62), control=True)).valid


SENT = [pod_second(t, pod, ticks_sent=250.0) for t in range(62) for pod in (0, 1)]
LOST: dict[str, tuple[list[Event], int]] = {
    "a pod was killed": (strike("kill_pod", "fault", 9.0, 10.0, pod=0), 1),
    "a pod stood still, maybe to the end": (strike("pause_pod", "fault", 55.0), 1),
    "two pods were restarted": (strike("rolling_restart", "fault", 9.0, 20.0, pods=2), 2),
    "pods were being restarted when the run ended": (strike("rolling_restart", "fault", 60.0), 2),
    "a probe had a pod killed, which came back": (
        [{"t_s": 9.0, "event": "pod_killed", "pod": 0}, {"t_s": 10.0, "event": "pod_restarted", "pod": 0}],
        1,
    ),
    "a probe had a pod killed, which did not": ([{"t_s": 61.0, "event": "pod_killed", "pod": 0}], 1),
    "there is one pod less": (strike("scale", "mitigation", 9.0, 10.0, pods=1, added=0, removed=1), 1),
    "there is one pod more": (strike("scale", "mitigation", 9.0, 10.0, pods=3, added=1, removed=0), 0),
    "nothing happened to pods": (strike("drop_all", "fault", 8.0, 8.0), 0),
}


@pytest.mark.parametrize(("events", "lost"), LOST.values(), ids=LOST)
def test_a_pod_takes_what_it_counted_last_with_it(events: list[Event], lost: int) -> None:
    # 500 are allowed for the edge of a second, and 250 for each line that was lost.
    rows = changed(lambda t: t == 20, ticks=1000.0 + lost * 250)
    assert checked(history(rows, pods=SENT, events=events)).problems == ()
    rows[20] |= {"ticks": 1001.0 + lost * 250}
    (problem,) = checked(history(rows, pods=SENT, events=events)).problems
    assert "more ticks received than sent" in problem


def test_without_lines_of_single_pods_the_loss_may_be_what_all_sent() -> None:
    rows = changed(lambda t: t == 20, ticks=1500.0)
    assert checked(history(rows, events=strike("kill_pod", "fault", 9.0, 10.0))).problems == ()


def test_a_run_without_a_trigger_needs_none() -> None:
    assert checked(history(seconds(0, 20), trigger_s=None)).valid


@pytest.mark.parametrize(
    ("info", "complaint"),
    [
        (
            {"status": "interrupted", "problem": "Ctrl-C"},
            "the run is interrupted, not complete: Ctrl-C",
        ),
        ({"status": "failed"}, "the run is failed, not complete"),
        ({"status": "running"}, "the run is still running, not complete"),
    ],
)
def test_a_run_that_is_not_complete_says_so(info: dict[str, Any], complaint: str) -> None:
    assert checked(history(GOOD, **info)).problems == (complaint,)


@pytest.mark.parametrize("until", [0, 1, 5, 9, 20])
def test_an_interrupted_run_is_blamed_for_that_alone(until: int) -> None:
    phases = tuple(
        phase
        for phase in (Phase("before", 0, 8), Phase("during", 8, 23), Phase("after", 23, 62))
        if phase.to_s <= until
    )
    rows = GOOD[:until]
    run = history(rows, status="interrupted", phases=phases, latencies=latencies_of(rows))
    assert checked(run).problems == ("the run is interrupted, not complete",)


def test_a_complete_run_without_seconds_has_no_baseline() -> None:
    assert checked(history([], latencies={})).problems == (
        "no baseline: nothing was recorded before the trigger",
    )


@pytest.mark.parametrize(
    ("clients", "lost", "allowed"),
    [
        (60, 1, 1),
        (60, 2, 1),
        (9_999, 2, 1),
        (10_000, 1, 1),
        (20_000, 2, 2),
        (100_000, 10, 10),
        (100_000, 11, 10),
    ],
)
@pytest.mark.parametrize("column", ["disconnects", "attempts"])
def test_how_many_may_be_lost_before_the_trigger_grows_with_the_clients(
    clients: int, lost: int, allowed: int, column: str
) -> None:
    rows = [
        row | {"clients": float(clients), "connected": float(clients), "useful": float(clients)}
        for row in changed(lambda t: t == 3, **{column: float(lost)})
    ]
    problems = [each for each in checked(history(rows)).problems if "the baseline is not steady" in each]
    assert len(problems) == (lost > allowed)
    assert all(f"expected ≤ {allowed} with {clients:,} clients, got {lost}" in each for each in problems)


def test_refusals_that_add_up_are_not_worth_a_word() -> None:
    rows = changed(lambda t: t == 9, limited=1000.0, nginx_limited=700.0, pod_shed=290.0)
    assert checked(history(rows)) == Validity(valid=True)


@pytest.mark.parametrize(
    ("clients", "warning"),
    [
        (
            900.0,
            "refusals by a limit do not add up: clients counted 900, nginx 700, pods 290: "
            "some clients gave up before their refusal reached them",
        ),
        (
            1100.0,
            "refusals by a limit do not add up: clients counted 1100, nginx 700, pods 290: "
            "something else answered 429 or 503, or a pod was killed before it reported",
        ),
    ],
    ids=["fewer came than were given", "more came than were given"],
)
def test_refusals_that_two_sides_count_differently_are_worth_a_warning(clients: float, warning: str) -> None:
    rows = changed(lambda t: t == 9, limited=clients, nginx_limited=700.0, pod_shed=290.0)
    assert checked(history(rows)) == Validity(valid=True, warnings=(warning,))


def test_tries_that_began_late_are_worth_a_warning_with_the_generators_load() -> None:
    rows = changed(lambda t: t == 9, retry_late_p99_ms=80.0, generator_cpu=0.7)
    (warning,) = checked(history(rows)).warnings
    assert "≥ 80 ms after the time set by the policy" in warning
    assert "70 % of a core" in warning
    assert checked(history(changed(lambda t: t == 3, retry_late_p99_ms=80.0))).warnings == ()


def test_somebody_elses_gateway_may_use_the_machine_and_has_no_nginx_of_ours() -> None:
    rows = changed(lambda t: t == 9, foreign_cpu=2.0, limited=500.0)
    unknown: Row = {"foreign_cpu": 1.0, "nginx_limited": None, "pod_shed": None}
    foreign = history([row | unknown for row in rows], nginx_limited=None)
    assert not checked(foreign).valid
    foreign.info.scenario["target"] = {"url": "http://127.0.0.1:3000"}
    assert checked(foreign) == Validity(valid=True)


def test_processes_that_share_cores_are_worth_a_warning() -> None:
    found = checked(history(GOOD, machine={"cores": 2, "pinned": False}))
    assert found.valid
    assert "not pinned" in found.warnings[0]


def test_a_machine_that_says_nothing_about_itself_counts_as_one_core() -> None:
    rows = changed(lambda _: True, foreign_cpu=0.15)
    assert "15 % of the machine's 1 cores" in checked(history(rows, machine={})).problems[0]


def test_every_rule_has_its_say() -> None:
    rows = [second(t, exhausted=1.0, generator_cpu=1.0) for t in range(20)]
    assert len(checked(history(rows)).problems) == 3


def test_what_others_used_is_a_warning_where_nobody_can_know() -> None:
    found = checked(history(changed(lambda _: True, foreign_cpu=None)))
    assert found.valid
    assert found.warnings == ("CPU of other processes is not known: the parts ran on several hosts",)


def test_ticks_may_seem_as_early_as_a_clock_is_not_known() -> None:
    run = history(changed(lambda _: True, early=90.0, earliest_ms=4.0))
    run.info.clocks = (ClockOffset(process="worker", offset_ns=0, error_ns=3_500_000),)
    assert checked(run).problems == ()
    run.info.clocks = (ClockOffset(process="worker", offset_ns=0, error_ns=2_500_000),)
    assert "ahead by at least 4.0 ms" in checked(run).problems[0]


@pytest.mark.parametrize("reloads", [False, True])
def test_clients_that_reloads_cut_before_the_trigger_lead_to_the_key_that_makes_them_the_trigger(
    reloads: bool,
) -> None:
    reload = {"at_s": 2.0, "do": "nginx_reload", "every_s": 4.4, "times": 5}
    events = [{"at_s": 8.0, "do": "drop_all"}, *([reload] if reloads else [])]
    rows = changed(lambda t: t in {3, 5}, disconnects=1.0)
    (problem,) = checked(history(rows, scenario=scenario(event=events))).problems
    told = "got 2; if reloads cut them, event[1] needs is_fault = true"
    assert problem.endswith(told if reloads else "got 2")


def test_a_wall_clock_that_was_set_spoils_the_run() -> None:
    steps = [
        {"t_s": 9, "event": "clock_set", "process": name, "by_ms": by_ms}
        for name, by_ms in (("runner", 3_600_000.0), ("host_a", -20.0))
    ]
    found = checked(history(GOOD, events=steps))
    assert not found.valid
    assert [problem.partition(":")[0] for problem in found.problems] == [
        "a wall clock was set by +3600.00 s (runner)",
        "a wall clock was set by -0.02 s (host_a)",
    ]

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from reports.analysis.metrics import (
    Summary,
    aftermath,
    rescued_at_s,
    storm_stretch,
    summarise,
    unaided_stretch,
)
from reports.analysis.recovery import Baseline, recovery
from reports.rundir import latency, series
from reports.rundir.histograms import Buckets
from reports.rundir.latency import Latency
from reports.rundir.proxy_log import TlsCosts
from reports.rundir.schema import Phase, new_histogram
from reports.rundir.series import Row
from reports.text import units
from tests.support.histories import (
    CLIENTS,
    END_S,
    TRIGGER_S,
    WINDOW_S,
    histograms,
    history,
    latencies_of,
    pod_second,
    second,
    seconds,
    storm,
    strike,
)

LEVELS = [(1.0, 50), (7.7, 30), (85.0, 900), (431.0, 15), (6_100.0, 5)]


@pytest.mark.parametrize("percent", [0.1, 1, 50, 90, 99, 99.5, 100])
def test_percentiles_are_those_of_hdrhistogram_itself(percent: float) -> None:
    histogram = histograms({0: LEVELS})[0]
    found = latency.percentile(percent, latency.total([Buckets.of(histogram)]))
    assert found == Latency(histogram.get_value_at_percentile(percent) / 1000)


def test_histograms_are_merged_and_percentiles_never_averaged() -> None:
    parts = {t: Buckets.of(one) for t, one in histograms({0: [(10.0, 99)], 1: [(1000.0, 99)]}).items()}
    found = latency.percentile(50, latency.between(parts, 0, 2))
    assert found is not None
    assert round(found.ms) == 10


def test_no_values_have_no_percentile() -> None:
    assert latency.percentile(99, latency.no_counts(), latency.no_counts()) is None


CENSORED: dict[str, tuple[list[tuple[float, int]], list[tuple[float, int]], float, bool]] = {
    "nobody waits": ([(80, 100)], [], 80, False),
    "it lies below the smallest bound": ([(80, 995)], [(500, 5)], 80, False),
    "it falls among the bounds": ([(80, 900)], [(5000, 100)], 5000, True),
    "it lies above bounds that may be higher": ([(80, 900), (200, 100)], [(50, 100)], 200, True),
    "bounds below it cannot reach it": ([(80, 995)], [(1, 5)], 80, False),
    "nobody received anything": ([], [(3000, 10)], 3000, True),
}


@pytest.mark.parametrize(("known", "bounds", "ms", "at_least"), CENSORED.values(), ids=CENSORED)
def test_a_percentile_is_exact_only_where_nobody_who_waits_could_move_it(
    known: list[tuple[float, int]], bounds: list[tuple[float, int]], ms: float, at_least: bool
) -> None:
    arrays = [latency.total([Buckets.of(one)]) for one in histograms({0: known, 1: bounds}).values()]
    found = latency.percentile(99, *arrays)
    assert found is not None
    assert found.ms == pytest.approx(ms, rel=0.001)
    assert found.at_least == at_least


def test_windows_slide_to_what_they_would_be_when_merged_anew() -> None:
    run = history(storm(lambda t: min(100.0, 5.0 * t)))
    sliding = list(latency.effective_windows(run, TRIGGER_S, 40, 10, 99))
    anew = [latency.effective(run, start, start + 10, 99) for start in range(TRIGGER_S, 31)]
    assert sliding == anew


def test_phases_are_summarised_each_for_itself() -> None:
    summary = summarise(history(storm(lambda t: 50.0 if t < 30 else 100.0)))
    assert summary.before is not None
    assert summary.during is not None
    assert summary.after is not None
    assert (summary.before.availability, summary.during.availability) == (1.0, 0.5)
    assert summary.after.availability == pytest.approx((7 * 0.5 + 32) / 39)
    assert (summary.before.attempts_per_s, summary.during.attempts_peak_per_s) == (0, 50)
    assert units.latency(summary.before.effective_p99) == "60 ms"
    assert units.latency(summary.during.effective_p99) == "≥ 5.0 s"
    assert summary.during.fanout_p50_ms == pytest.approx(40, rel=0.001)
    assert [summary.before.pod_cpu, summary.before.pod_cpu_total] == pytest.approx([0.05, 0.1])


def test_the_storm_ends_with_the_rescue() -> None:
    run = history(storm(lambda t: 0.0 if t < 48 else 100.0), rescued_at_s=48)
    summary = summarise(run)
    assert storm_stretch(run) == (TRIGGER_S, 48)
    assert summary.storm is not None
    assert summary.storm.availability == 0


def test_arms_are_measured_over_equal_stretches_but_recoveries_are_sought_to_the_end() -> None:
    run = history(storm(lambda t: 0.0 if t < 28 else 100.0), tail_from_s=48)
    summary = summarise(run)
    assert summary.storm is not None
    assert (summary.storm.from_s, summary.storm.to_s, summary.storm.availability) == (8, 48, 0.5)
    assert unaided_stretch(run) == (8, 62)
    assert (summary.recovery.time_to_recover_s, summary.recovery.observable_s) == (20, 24)


def test_a_rescue_is_known_from_its_phase_alone() -> None:
    run = history(storm(0.0), rescued_at_s=48)
    run.info.rescued_at_s = None
    assert rescued_at_s(run) == 48


def test_the_trigger_ends_where_the_runner_says_so_and_the_storm_begins_where_it_began() -> None:
    run = history(storm(lambda t: 0.0 if t < 20 else 100.0), trigger_end_s=15)
    assert (storm_stretch(run), unaided_stretch(run), aftermath(run)) == ((8, 62), (8, 62), (15, 62))
    summary = summarise(run)
    assert summary.during is not None
    assert (summary.during.from_s, summary.during.to_s) == (8, 23)
    found = summary.recovery
    assert (found.time_to_recover_s, found.observable_s, found.counted_from_s) == (5, 17, 15)


def test_no_recovery_begins_while_the_trigger_goes_on() -> None:
    found = summarise(history(storm(100.0), trigger_end_s=20)).recovery
    assert (found.time_to_recover_s, found.counted_from_s) == (0, 20)
    for end_s in (40, 62, 70):
        found = summarise(history(storm(100.0), trigger_end_s=end_s)).recovery
        assert (found.time_to_recover_s, found.at_least_s) == (None, 0)


def test_a_run_that_was_not_struck_has_no_aftermath() -> None:
    assert aftermath(history(seconds(0, 62), trigger_s=None)) is None


def test_staleness_is_that_of_all_clients_per_phase_and_over_the_storm() -> None:
    summary = summarise(history(storm(lambda t: 40.0 if t < 30 else 100.0)))
    assert summary.before is not None
    assert summary.during is not None
    assert summary.storm is not None
    before, during, whole = summary.before, summary.during, summary.storm
    assert [before.staleness_p50_ms, before.staleness_p99_ms] == pytest.approx([100, 200], rel=0.001)
    assert [during.staleness_p50_ms, during.staleness_p99_ms] == pytest.approx([5000, 5000], rel=0.001)
    # 22 of 54 seconds with 60 of 100 clients 5 s behind.
    assert whole.staleness_p50_ms == pytest.approx(200, rel=0.001)
    assert [whole.staleness_p99_ms, whole.staleness_max_ms] == pytest.approx([5000, 5000], rel=0.001)
    assert whole.stale_client_s == 22 * 60


def test_without_a_record_of_it_staleness_is_unknown() -> None:
    rows = [row | {"stale_client_s": None} for row in storm(0.0)]
    summary = summarise(history(rows, latencies={}))
    assert summary.during is not None
    assert summary.storm is not None
    assert (summary.during.staleness_p99_ms, summary.storm.staleness_p99_ms) == (None, None)
    assert summary.storm.stale_client_s is None


def test_clients_that_gave_up_are_counted_from_the_trigger_on() -> None:
    rows = seconds(0, 8, gave_up=1.0, gave_up_timeout=1.0) + seconds(
        8, 12, gave_up=2.0, gave_up_timeout=0.5, gave_up_connect_error=1.5
    )
    found = summarise(history(rows)).storm
    assert found is not None
    assert found.gave_up == 8
    assert found.gave_up_by_reason == {"timeout": 2, "connect_error": 6}


def test_a_run_that_did_not_record_why_clients_gave_up_has_their_number() -> None:
    found = summarise(history(seconds(0, 12, gave_up=1.0))).storm
    assert found is not None
    assert (found.gave_up > 0, found.gave_up_by_reason) == (True, {})


def test_amplification_and_burstiness_by_hand() -> None:
    rows = [
        *seconds(0, 8),
        second(8, attempts=20.0, attempts_peak_100ms=11.0, attempts_squares_100ms=202.0, disconnects=10.0),
        second(9, attempts=0.0),
    ]
    found = summarise(history(rows)).storm
    assert found is not None
    assert (found.attempts, found.attempts_peak_per_s, found.amplification) == (20, 20, 2)
    # 20 tries in 20 slots: a mean of 1, a peak of 11, and a variance of 202/20 - 1.
    assert [found.burst_peak, found.burst_dispersion] == pytest.approx([11, 9.1])


def test_independent_arrivals_have_a_dispersion_of_one_and_an_even_pace_one_of_zero() -> None:
    rng = np.random.default_rng(3)
    for slots, dispersion in ((rng.poisson(4.0, (200, 10)), 1.0), (np.full((200, 10), 4), 0.0)):
        rows = seconds(0, 8) + [
            second(
                8 + t,
                attempts=float(tenths.sum()),
                attempts_peak_100ms=float(tenths.max()),
                attempts_squares_100ms=float((tenths**2).sum()),
            )
            for t, tenths in enumerate(slots)
        ]
        found = summarise(history(rows, latencies={})).storm
        assert found is not None
        assert found.burst_dispersion == pytest.approx(slots.var() / slots.mean())
        assert found.burst_dispersion == pytest.approx(dispersion, abs=0.1)
        assert found.burst_peak == pytest.approx(slots.max() / slots.mean())


def test_where_every_second_attempt_fails_it_takes_two_for_each_disconnect() -> None:
    rows = seconds(0, 8) + seconds(8, 10, disconnects=30.0, attempts=30.0) + seconds(10, 12, attempts=30.0)
    found = summarise(history(rows)).storm
    assert found is not None
    assert (found.disconnects, found.attempts, found.amplification) == (60, 120, 2)


def test_wasted_work_counts_who_had_gone_and_who_did_not_stay() -> None:
    rows = seconds(0, 8) + seconds(8, 10, handshakes=10.0, gone_early=3.0, short_sessions=2.0)
    found = summarise(history(rows)).storm
    assert found is not None
    assert found.wasted_work == 0.5


def test_refusals_in_the_log_are_of_the_same_stretch_where_its_seconds_are_known() -> None:
    rows = seconds(0, 8) + seconds(8, 10, limited=5.0, nginx_limited=6.0) + seconds(10, 12, nginx_limited=1.0)
    known = summarise(history(rows, rescued_at_s=10, nginx_limited=14)).storm
    unknown = summarise(history([row | {"nginx_limited": None} for row in rows], nginx_limited=14)).storm
    assert known is not None
    assert unknown is not None
    assert (known.limited, known.nginx_limited, unknown.nginx_limited) == (10, 12, 14)


def test_nothing_that_happened_has_no_ratio() -> None:
    found = summarise(history(seconds(0, 12))).storm
    assert found is not None
    assert (found.amplification, found.burst_peak, found.wasted_work) == (None, None, None)


def test_cpu_per_delivered_tick_is_measured_before_the_trigger() -> None:
    summary = summarise(history(storm(0.0)))
    assert summary.tick_cpu_s == pytest.approx(0.1 / 500)


SHORT: dict[str, Callable[[], tuple[list[Row], tuple[Phase, ...]]]] = {
    "nothing at all": lambda: ([], ()),
    "the ramp alone": lambda: (seconds(-3, 0), ()),
    "a few calm seconds": lambda: (seconds(0, 3), (Phase("before", 0, 8),)),
    "one second of storm": lambda: (storm(0.0)[:9], (Phase("before", 0, 8),)),
    "all cells empty": lambda: ([dict.fromkeys(second(0), None) | {"t_s": 9.0}], (Phase("before", 0, 8),)),
}


@pytest.mark.parametrize("build", SHORT.values(), ids=SHORT)
def test_a_run_that_stopped_early_has_what_it_has(
    build: Callable[[], tuple[list[Row], tuple[Phase, ...]]],
) -> None:
    rows, phases = build()
    run = history(rows, status="interrupted", phases=phases, latencies={})
    summary = summarise(run)
    assert summary.after is None
    assert summary.recovery.time_to_recover_s is None


# ---- time to recover: 8 s baseline, trigger at 8 s, end at 62 s, windows of 30 s

RECOVERIES: dict[str, tuple[list[Row], int | None]] = {
    "at once": (storm(100.0), 0),
    "after ten seconds": (storm(lambda t: 0.0 if t < 18 else 100.0), 10),
    "at the last start that can be seen": (storm(lambda t: 0.0 if t < 32 else 100.0), 24),
    "one second too late to be seen": (storm(lambda t: 0.0 if t < 33 else 100.0), None),
    "never": (storm(0.0), None),
    "not while a client in fifty stays out": (storm(98.0), None),
    # From 10 s on, the window's mean is 99.0 %; its first second is not.
    "not from a bad second, however good the rest is": (storm(lambda t: 70.0 if t < 19 else 100.0), 11),
    "a short dip within the window is allowed": (
        [row | {"useful": 80.0} if row["t_s"] == 30 else row for row in storm(100.0)],
        0,
    ),
    # 5 a second until 20 s; a window may hold 30 of them, one per client and 100 s.
    "not while attempts go on": (
        [row | {"attempts": 5.0} if 8 <= (row["t_s"] or 0) < 20 else row for row in storm(100.0)],
        6,
    ),
    "not while pods are busier than before": (
        [row | {"pod_cpu": 0.3} if (row["t_s"] or 0) >= 8 else row for row in storm(100.0)],
        None,
    ),
}


@pytest.mark.parametrize(("rows", "expected_s"), RECOVERIES.values(), ids=RECOVERIES)
def test_time_to_recover(rows: list[Row], expected_s: int | None) -> None:
    found = summarise(history(rows)).recovery
    assert (found.time_to_recover_s, found.observable_s) == (expected_s, 24)


def test_recovery_is_only_sought_before_the_rescue() -> None:
    found = summarise(history(storm(lambda t: 0.0 if t < 48 else 100.0), rescued_at_s=48)).recovery
    assert (found.time_to_recover_s, found.observable_s, found.at_least_s) == (None, 10, 40)


AT_LEAST = {
    "good only from 30 s on": (lambda t: 0.0 if t < 38 else 100.0, 30),
    "bad to the end": (lambda _: 0.0, 54),
    "a bad last second spoils every start before it": (lambda t: 0.0 if t < 38 or t == 61 else 100.0, 54),
}


@pytest.mark.parametrize(("useful", "at_least_s"), AT_LEAST.values(), ids=AT_LEAST)
def test_what_did_not_recover_has_a_time_before_which_it_cannot_have(
    useful: Callable[[int], float], at_least_s: int
) -> None:
    assert summarise(history(storm(useful))).recovery.at_least_s == at_least_s


def test_p99_must_come_back_to_one_and_a_half_times_the_baseline() -> None:
    rows = storm(100.0)
    slow = {t: [(91.0, 500)] for t in range(TRIGGER_S, 20)}
    usual = {t: [(60.0, 500)] for t in range(END_S) if t not in slow}
    found = summarise(history(rows, latencies={"effective": histograms(slow | usual)})).recovery
    assert found.time_to_recover_s == 12


def test_a_small_baseline_may_rise_by_twenty_five_milliseconds() -> None:
    by_second = {t: [(4.0 if t < TRIGGER_S else 28.0, 500)] for t in range(END_S)}
    found = summarise(history(storm(100.0), latencies={"effective": histograms(by_second)})).recovery
    assert found.time_to_recover_s == 0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"useful": 95.0}, "clients served: expected ≥ 99 %, got 95 %"),
        ({"pod_cpu": 0.5}, "pod CPU: expected ≤ 15 %, got 50 %"),
        ({"attempts": 3.0}, "attempts: expected ≤ 1/s, got 3/s"),
    ],
)
def test_what_the_last_window_lacked_is_said(changes: dict[str, float], complaint: str) -> None:
    rows = seconds(0, TRIGGER_S) + seconds(TRIGGER_S, END_S, **changes)
    missing = summarise(history(rows, latencies=latencies_of(seconds(0, END_S)))).recovery.missing
    assert [text for text in missing if complaint in text]


def test_a_last_window_that_only_begins_badly_lacked_its_first_second() -> None:
    start = END_S - WINDOW_S
    rows = storm(lambda t: 0.0 if t < start else 80.0 if t == start else 100.0)
    found = summarise(history(rows)).recovery
    assert found.time_to_recover_s is None
    assert found.missing[0] == "clients served in the window's first second: expected ≥ 99 %, got 80 %"


def test_without_a_baseline_nothing_can_have_recovered() -> None:
    found = recovery(history(storm(100.0)), None, TRIGGER_S, END_S, 30)
    assert (found.time_to_recover_s, found.missing) == (None, ("no baseline to compare with",))


def test_a_missing_second_spoils_the_windows_that_need_it() -> None:
    rows = [row for row in storm(100.0) if row["t_s"] != 20]
    baseline = Baseline(60.0, 0.05, 0.0)
    assert recovery(history(rows), baseline, TRIGGER_S, END_S, 30).time_to_recover_s == 13


def test_a_record_shorter_than_a_window_shows_no_recovery() -> None:
    found = summarise(history(storm(100.0, to_s=30))).recovery
    assert (found.time_to_recover_s, found.observable_s, found.at_least_s) == (None, None, 0)


# ---- series


def test_empty_cells_are_left_out_of_sums_and_means() -> None:
    values = series.column([{"a": 1.0}, {"a": None}, {}, {"a": 3.0}], "a")
    assert (series.total(values), series.mean(values), series.highest(values)) == (4, 2, 3)
    nothing = series.column([{}], "a")
    assert (series.total(nothing), series.mean(nothing), series.highest(nothing)) == (0, None, None)


def test_the_number_of_clients_is_the_most_that_were_started() -> None:
    assert summarise(history([second(0, clients=40.0), second(1)], latencies={})).clients == CLIENTS
    assert new_histogram().get_total_count() == 0


def test_a_summary_survives_run_json() -> None:
    events = [
        *strike("drop_all", "fault", 8.05, 8.06),
        *strike("push_policy", "mitigation", 20.0, 25.0, reach_s=5),
    ]
    pods = [pod_second(t, pod) for t in range(END_S) for pod in (0, 1)]
    summary = summarise(history(storm(lambda t: 20.0 if t < 28 else 100.0), events=events, pods=pods))
    assert (len(summary.actions), len(summary.pods)) == (2, 2)
    assert summary.recovery.mitigation is not None
    assert msgspec.json.decode(msgspec.json.encode(summary), type=Summary) == summary


TLS_COSTS = {
    "both kinds": (TlsCosts(full_cpu_s=0.004, resumed_cpu_s=0.001), 0.25),
    "no cost of what was resumed": (TlsCosts(full_cpu_s=0.004), None),
    "nothing is known": (None, None),
}


@pytest.mark.parametrize(("costs", "share"), TLS_COSTS.values(), ids=TLS_COSTS)
def test_the_cpu_of_handshakes_is_a_share_of_the_proxys(costs: TlsCosts | None, share: float | None) -> None:
    rows = [
        row | {"nginx_cpu": 0.04, "tls_full": 2.0, "tls_resumed": 2.0} for row in storm(lambda t: 10.0 * t)
    ]
    found = summarise(history(rows, tls_costs=costs)).storm
    assert found is not None
    assert found.tls_full
    assert found.tls_cpu_share == (share if share is None else pytest.approx(share))

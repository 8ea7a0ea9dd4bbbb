"""What a rehearsal found: detection, fixes, blast radius, surprises, and what nginx was changed to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.judgement import judgement_of
from reports.analysis.metrics import Summary
from reports.analysis.pods import PodSummary
from reports.analysis.shared_ips import SharedIpGroup
from reports.analysis.slo import objectives_of
from reports.rehearsal.detection import alerts
from reports.rehearsal.facts import MOST_DIFF_LINES, edge_diff, facts, unified
from reports.rehearsal.fixes import fix_sentences, fixes
from reports.rehearsal.surprises import SURPRISES, surprises
from reports.rehearsal.waves import waves
from reports.rundir.reader import Run
from reports.rundir.schema import RecordError, Rehearsal
from reports.rundir.series import Row
from reports.rundir.slo_metrics import Bound
from tests.support.acted_runs import LIMIT, PUSH, SCALE
from tests.support.histories import (
    CLIENTS,
    TRIGGER_S,
    history,
    pod_second,
    second,
    seconds,
    storm,
    strike,
)
from tests.support.rehearsals import SLO, judged, plain, rehearsed


def bound(metric: str, operator: str, value: float, phase: str = "storm") -> Bound:
    return msgspec.convert({"metric": metric, "operator": operator, "bound": value, "phase": phase}, Bound)


def told(run: Run) -> list[str]:
    summary = judgement_of(run).summary
    return list(fix_sentences(fixes(run, summary), summary))


# -- detection ---------------------------------------------------------------------------------------


def falling(t: int) -> float:
    """Nobody notices for two seconds; then ten clients a second are lost."""
    return max(0.0, 100.0 - 10 * max(0, t - TRIGGER_S - 1))


ALERTS: dict[str, tuple[list[Bound], list[tuple[int, str]]]] = {
    "availability alone is watched in any case": (
        [],
        [(2, "availability: expected ≥ 99 %, got 90 %")],
    ),
    "an objective that is broken later": (
        [bound("availability", ">=", 0.75)],
        [(2, "availability: expected ≥ 99 %, got 90 %"), (4, "availability: expected ≥ 75 %, got 70 %")],
    ),
    "a value of each second": (
        [bound("attempts_per_s", "<", 50)],
        [
            (2, "connection attempts: expected < 50/s, got 50/s"),
            (2, "availability: expected ≥ 99 %, got 90 %"),
        ],
    ),
    "a count that grows": (
        [bound("stale_client_s", "<=", 25)],
        [
            (2, "availability: expected ≥ 99 %, got 90 %"),
            (3, "client-seconds with data older than 1 s: expected ≤ 25, got 30"),
        ],
    ),
    "one phase alone": (
        [bound("availability", ">=", 0.75, "after")],
        [(2, "availability: expected ≥ 99 %, got 90 %"), (15, "availability: expected ≥ 75 %, got 0 %")],
    ),
    "what means nothing for a second": (
        [bound("amplification", "<", 0)],
        [(2, "availability: expected ≥ 99 %, got 90 %")],
    ),
    "what was before does not count": (
        [bound("availability", ">=", 2.0, "before")],
        [(2, "availability: expected ≥ 99 %, got 90 %")],
    ),
}


@pytest.mark.parametrize("label", ALERTS)
def test_an_alert_fires_in_the_first_second_in_which_a_bound_breaks(label: str) -> None:
    bounds, expected = ALERTS[label]
    found = alerts(history(storm(falling)), bounds)
    assert [(alert.t_s, alert.text) for alert in found] == expected
    assert [alert.objective for alert in found].count(False) == 1


def test_no_alert_fires_where_nothing_struck_or_a_phase_never_came() -> None:
    assert alerts(history(seconds(0, 20), trigger_s=None), objectives_of(rehearsed(30))) == ()
    short = history(storm(0.0)[:12])
    assert [alert.metric for alert in alerts(short, [bound("availability", ">", 1, "after")])] == [
        "availability"
    ]


# -- fixes -------------------------------------------------------------------------------------------


def test_what_changed_nothing_and_what_the_service_came_back_after_are_told_apart() -> None:
    assert told(rehearsed(30, SCALE, PUSH, LIMIT)) == [
        "Scaling to 3 pods, at 8 s: no measurable effect on the clients (availability 5.0 % before, 5.0 % by "
        "12 s; attempts 50/s, then 50/s). It added 1 pod, 1 of them saturated 0 s after joining.",
        "Pushing the policy incident and setting the limit per-ip, at 12 s: the service recovered after it "
        "(availability 5.0 % before, 100 % by 54 s; attempts 50/s, then 0/s).",
        "Pushing the policy incident and setting the limit per-ip were applied together: this run cannot say "
        "which of them worked. Compare runs with each of them alone.",
    ]


def test_a_fix_alone_is_credited_alone() -> None:
    assert len(told(rehearsed(30, PUSH))) == 1


def test_where_nothing_helped_that_is_said() -> None:
    assert told(rehearsed(None, SCALE))[-1] == "No mitigation was followed by a recovery."
    assert told(rehearsed(None)) == []
    assert told(plain(seconds(0, 20), trigger_s=None)) == []


EFFECTS: dict[str, tuple[Callable[[int], float], str]] = {
    "recovered": (lambda t: 100.0 if t > 30 else 5.0, "the service recovered after it"),
    "served again, short of a recovery": (
        lambda t: 95.0 if t > 30 else 5.0,
        "≥ 90 % of the clients were served again after it (availability 5.0 % before, 95 %",
    ),
    "better": (
        lambda t: 50.0 if t > 30 else 5.0,
        "availability rose after it, but the service did not recover",
    ),
    "no change": (lambda t: 5.0, "no measurable effect on the clients"),
    "worse": (lambda t: 5.0 if t > 30 else 60.0, "availability fell after it"),
    "unaffected": (lambda t: 100.0, "the service was already healthy"),
    "unaffected before": (lambda t: 5.0 if t > 30 else 100.0, "availability fell after it"),
}


@pytest.mark.parametrize("label", EFFECTS)
def test_the_effect_of_a_fix_is_what_was_there_before_the_next_one(label: str) -> None:
    useful, words = EFFECTS[label]
    run = history(storm(useful), events=PUSH)
    assert words in told(run)[0]


def test_a_fix_right_at_the_trigger_has_no_before() -> None:
    run = history(storm(0.0), events=strike("set_limit", "mitigation", 8.05, 8.1, limit="per-ip"))
    assert "not recorded for long enough" in told(run)[0]


def test_pods_that_joined_and_were_saturated_are_counted_to_the_fix_that_brought_them() -> None:
    pods = [pod_second(t, pod, loop=0.99) for t in range(8, 62) for pod in range(4) if pod < 2 or t > 18]
    run = history(storm(0.0), events=SCALE, pods=pods)
    assert told(run)[0].endswith("It added 2 pods, 2 of them saturated 0 s after joining.")
    some = [row | {"loop": 0.1 if row["pod"] == 3 else 0.99} for row in pods]
    run = history(storm(0.0), events=SCALE, pods=some)
    assert told(run)[0].endswith("It added 2 pods, 1 of them saturated 0 s after joining.")


# -- blast radius ------------------------------------------------------------------------------------


def test_the_blast_radius_is_that_of_the_worst_second() -> None:
    rows = storm(lambda t: 100.0 - t)
    rows[20]["useful"] = None
    found = facts(plain(rows)).blast
    assert found is not None
    assert (found.clients, found.out_at_worst, found.worst_s, found.disconnects) == (CLIENTS, 61, 53, 100)
    assert facts(plain(seconds(0, 20), trigger_s=None)).blast is None


def test_a_run_that_is_no_rehearsal_is_refused() -> None:
    with pytest.raises(RecordError, match="run: not a rehearsal"):
        facts(history(storm(0.0)))


# -- nginx -------------------------------------------------------------------------------------------


def test_what_events_changed_at_nginx_is_a_unified_diff(tmp_path: Path) -> None:
    assert edge_diff(tmp_path) == ()
    (tmp_path / "gateway.conf").write_text("a\nlimit_req zone=per_ip;\nb\n")
    assert edge_diff(tmp_path) == ()
    (tmp_path / "gateway.conf.before").write_bytes(b"a\n\xff\nb\n")
    assert edge_diff(tmp_path)[:2] == ("--- nginx/gateway.conf.before", "+++ nginx/gateway.conf")
    assert edge_diff(tmp_path)[-3:] == ("-\ufffd", "+limit_req zone=per_ip;", " b")
    (tmp_path / "gateway.conf.before").unlink()
    (tmp_path / "gateway.conf.before").mkdir()
    with pytest.raises(RecordError, match=r"gateway\.conf\.before"):
        edge_diff(tmp_path)


def test_the_same_is_found_of_another_proxy(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("a: 2\n")
    (tmp_path / "gateway.yaml.before").write_text("a: 1\n")
    assert edge_diff(tmp_path)[:2] == ("--- nginx/gateway.yaml.before", "+++ nginx/gateway.yaml")


def test_a_very_long_diff_is_cut_and_says_so() -> None:
    found = unified([], [str(number) for number in range(1000)])
    assert len(found) == MOST_DIFF_LINES + 1
    assert found[-1] == "… and 603 lines more"


# -- waves -------------------------------------------------------------------------------------------


def pulses(period: int, number: int, high: float = 200.0, low: float = 5.0) -> "np.ndarray[Any, Any]":
    return np.array([high if t % period == 0 else low for t in range(period * number)], np.float64)


@pytest.mark.parametrize("period", [3, 5, 7, 30])
def test_pulses_are_waves_of_their_period(period: int) -> None:
    found = waves(pulses(period, 6))
    assert found is not None
    assert found.period_s == period
    assert found.strength == pytest.approx(1.0)
    assert found.peak_per_s == 200


NO_WAVES = {
    "nothing": np.array([]),
    "nothing recorded": np.full(30, np.nan),
    "calm": np.zeros(60),
    "steady": np.full(60, 240.0),
    "a decay": 500 * np.exp(-np.arange(60) / 8),
    "one burst": np.array([100.0] * 3 + [0.0] * 57),
    "two pulses": pulses(20, 2),
    "too few tries": pulses(5, 6, high=1.0, low=0.0),
}


@pytest.mark.parametrize("label", NO_WAVES)
def test_what_does_not_come_back_is_no_wave(label: str) -> None:
    assert waves(NO_WAVES[label]) is None


def test_the_calm_after_waves_does_not_hide_them() -> None:
    found = waves(np.concatenate([pulses(6, 5, low=10.0), np.zeros(100)]))
    assert found is not None
    assert found.period_s == 6


@given(st.lists(st.floats(0, 1e6), max_size=200))
def test_a_period_is_one_that_fits_into_the_seconds_at_least_twice(tries: list[float]) -> None:
    found = waves(np.array(tries, np.float64))
    assert found is None or (2 <= found.period_s <= len(tries) // 3 and 0.5 <= found.strength <= 1 + 1e-6)


# -- surprises ---------------------------------------------------------------------------------------


def summary_with(**changes: Any) -> Summary:
    """The numbers of a run that has nothing surprising, but for `changes`; `storm__missed` for one of the
    storm."""
    summary = judgement_of(plain(storm(lambda t: 100.0 if t > 12 else 50.0))).summary
    assert summary.storm is not None
    assert summary.during is not None
    for key, value in changes.items():
        part, _, name = key.partition("__")
        whole = msgspec.structs.replace(getattr(summary, part), **{name: value}) if name else value
        summary = msgspec.structs.replace(summary, **{part: whole})
    return summary


def pod(
    number: int, clients: int | None, joined: int | None = None, saturated: int | None = None
) -> PodSummary:
    return PodSummary(
        pod=number,
        joined_after_s=joined,
        cpu=0.1,
        loop=0.1,
        saturated_after_s=saturated,
        clients_at_end=clients,
    )


def group(size: int, limited: int) -> SharedIpGroup:
    return SharedIpGroup(
        clients_per_ip=size, clients=50, availability=0.5, attempts=400, limited=limited, back_after_s=3
    )


CALM = plain(storm(lambda t: 100.0 if t > 12 else 50.0))

RULES: dict[str, tuple[Run, Summary, str]] = {
    "well-behaved clients rate-limited": (
        CALM,
        summary_with(shared_ips=(group(1, 0), group(50, 300))),
        "300 of 300 refusals hit the 50 clients behind a shared IP: 75 % of their attempts were refused",
    ),
    "new pods saturated": (
        CALM,
        summary_with(pods=(pod(0, 5), pod(1, 5, 20, 1), pod(2, 5, 20, 3), pod(3, 5, 20), pod(4, 5, 9, 30))),
        "2 of 4 pods that joined were saturated within 1 to 3 s of joining.",
    ),
    "disconnected again": (
        CALM,
        summary_with(storm__disconnects=150, storm__stale=50),
        "150 disconnects of 100 clients, 50 by the client's own watchdog.",
    ),
    "uneven pods": (
        CALM,
        summary_with(pods=(pod(0, 90), pod(1, 10), pod(2, None)), pod_spread=1.8),
        "pod 0 had 90 clients, pod 1 had 10; the fullest 1.8× the mean.",
    ),
    "wasted work": (CALM, summary_with(storm__wasted_work=0.95), "95 % of the handshakes"),
    "retry amplification": (
        CALM,
        summary_with(storm__amplification=41.4, storm__attempts=4140),
        "followed by 41 attempts: 4,140 attempts for 100 disconnects.",
    ),
    "healthy fan-out p99": (
        CALM,
        summary_with(during__availability=0.5),
        "looked healthy: 60 ms, after 60 ms before. Effective p99, over all clients, was ≥ 5.0 s.",
    ),
    "gave up for good": (CALM, summary_with(storm__gave_up=7), "7 of 100 clients gave up for good"),
}


def test_why_clients_gave_up_is_said_where_it_is_known() -> None:
    told = summary_with(storm__gave_up=7, storm__gave_up_by_reason={"namespace_disconnect": 7})
    text = surprises(CALM, told)["gave up for good"].text
    assert text == "7 of 100 clients gave up for good: 7 after a DISCONNECT (packet 41)."


@pytest.mark.parametrize("name", RULES)
def test_a_rule_finds_what_it_is_for(name: str) -> None:
    run, summary, text = RULES[name]
    found = surprises(run, summary)
    assert text in found[name].text
    assert found[name].consider.endswith("?")


def test_without_a_trigger_or_seconds_no_rule_says_anything() -> None:
    for run in (plain(seconds(0, 20), trigger_s=None), plain([], phases=(), latencies={})):
        assert surprises(run, judgement_of(run).summary) == {}


def trying(attempts: Callable[[int], float], peak: float) -> list[Row]:
    return [row | {"attempts": attempts(t), "attempts_peak_100ms": peak} for t, row in enumerate(storm(0.0))]


def test_synchronised_waves_are_found_in_the_tries_of_the_run() -> None:
    run = judged(history(trying(lambda t: 200.0 if t % 5 == 0 else 5.0, 90.0), rehearsal=Rehearsal()))
    found = surprises(run, judgement_of(run).summary)["synchronised waves"]
    assert found.text == (
        "Connection attempts came in waves 5 s apart (autocorrelation 1.00): up to 200 in a second where the "
        "mean is 45, and up to 90 within a tenth of a second."
    )


def test_tries_that_begin_together_in_every_second_are_found_too() -> None:
    run = judged(history(trying(lambda t: 240.0, 150.0), rehearsal=Rehearsal()))
    found = surprises(run, judgement_of(run).summary)["synchronised waves"]
    assert (
        "in half of the 54 seconds with attempts, at least 62 % of them started within one tenth"
        in found.text
    )
    spread = judged(history(trying(lambda t: 240.0, 30.0), rehearsal=Rehearsal()))
    assert "synchronised waves" not in surprises(spread, judgement_of(spread).summary)


WAVES: dict[str, tuple[Callable[[int], float], str]] = {
    "down, back, down": (
        lambda t: 5.0 if t < 20 or 30 <= t < 40 else 100.0,
        "90 % of the clients were served at 12 s, and at 22 s only 5.0 % were.",
    ),
    "down and back": (lambda t: 5.0 if t < 20 else 100.0, ""),
    "a dip that is small": (lambda t: 5.0 if t < 20 else 80.0 if t == 30 else 100.0, ""),
    "back for too short": (lambda t: 100.0 if 20 <= t < 22 else 5.0, ""),
    "never down": (lambda t: 100.0, ""),
}


@pytest.mark.parametrize("label", WAVES)
def test_a_second_wave_is_a_second_fall_after_a_return(label: str) -> None:
    useful, text = WAVES[label]
    run = plain(storm(useful))
    found = surprises(run, judgement_of(run).summary).get("second wave")
    assert (text in found.text) if found and text else (found is None and not text)


def test_more_tries_after_a_mitigation_are_told() -> None:
    rows = [row | {"attempts": 900.0 if t > 20 else 200.0} for t, row in enumerate(storm(0.0))]
    run = plain(rows, events=[*strike("drop_all", "fault", 8.05, 8.1), *LIMIT])
    found = surprises(run, judgement_of(run).summary)["more attempts after a mitigation"]
    assert found.text == "After limit per-ip, at 12 s, attempts rose from 200/s to 900/s."
    same = plain(storm(0.0), events=LIMIT)
    assert "more attempts after a mitigation" not in surprises(same, judgement_of(same).summary)


def test_a_fan_out_that_is_as_bad_as_everything_else_is_no_surprise() -> None:
    summary = summary_with(during__availability=0.5, during__fanout_p99_ms=5000.0)
    assert "healthy fan-out p99" not in surprises(CALM, summary)


def test_every_rule_is_tried_here() -> None:
    others = {"synchronised waves", "second wave", "more attempts after a mitigation"}
    assert {*RULES, *others} == {*SURPRISES}


def test_the_objectives_of_the_scenario_are_all_answered() -> None:
    found = facts(rehearsed(30, SCALE))
    assert [held.bound.metric for held in found.objectives] == [wanted["metric"] for wanted in SLO]
    assert [held.met for held in found.objectives] == [True, False, False, True]
    assert second(1.0)["t_s"] == 1.0

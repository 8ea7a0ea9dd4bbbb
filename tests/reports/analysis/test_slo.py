"""Objectives against what was measured."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.judgement import judgement_of
from reports.analysis.metrics import PhaseSummary, Summary
from reports.analysis.recovery import Recovery
from reports.analysis.slo import evaluate, hypothesis_of, objectives_of
from reports.rundir.latency import Latency
from reports.rundir.schema import RecordError
from reports.rundir.slo_metrics import SLO_METRICS, Bound, SloMetric
from reports.text.slo import metric_name, write
from tests.support.histories import scenario, storm
from tests.support.judged_runs import ip_group
from tests.support.rehearsals import HYPOTHESIS, plain, rehearsed

RUN = judgement_of(rehearsed(30)).summary
NEVER = judgement_of(rehearsed(None)).summary
NOTHING = Summary(clients=0)
OLDER = Summary(clients=50, shared_ips=(ip_group(10, 30),))
APART = Summary(clients=100, shared_ips=(ip_group(1, 5, in_time=0.9), ip_group(10, 30, in_time=0.2)))


def bound(metric: str, operator: str, value: float, phase: str = "storm") -> Bound:
    return msgspec.convert({"metric": metric, "operator": operator, "bound": value, "phase": phase}, Bound)


def waiting(ms: float) -> Summary:
    """A p99 of which only a lower bound is known."""
    return Summary(clients=1, during=PhaseSummary(from_s=0, to_s=1, effective_p99=Latency(ms, at_least=True)))


CASES: dict[str, tuple[Summary, Bound, bool | None, str]] = {
    "a share that is high enough": (RUN, bound("availability", ">=", 0.2), True, "48 %"),
    "a share that is too low": (RUN, bound("availability", ">=", 0.9), False, "48 %"),
    "exactly the bound": (RUN, bound("gave_up", "<=", 0), True, "0"),
    "exactly the bound is not below it": (RUN, bound("gave_up", "<", 0), False, "0"),
    "a latency of a phase": (RUN, bound("effective_p99_ms", "<", 100, "before"), True, "60 ms"),
    "a recovery in time": (RUN, bound("time_to_recover_s", "<=", 20), True, "17 s"),
    "a recovery too late": (RUN, bound("time_to_recover_s", "<", 17), False, "17 s"),
    "a recovery that never came": (
        NEVER,
        bound("time_to_recover_s", "<=", 999),
        False,
        "not recovered within 49 s",
    ),
    "a recovery that never came is not late": (
        NEVER,
        bound("time_to_recover_s", ">", 1),
        False,
        "not recovered within 49 s",
    ),
    "no recovery, and no telling from when": (
        msgspec.structs.replace(NEVER, recovery=Recovery(window_s=30)),
        bound("time_to_recover_s", "<", 1),
        False,
        "not recovered",
    ),
    "a recovery without a storm": (NOTHING, bound("time_to_recover_s", "<", 1), None, "not known"),
    "a phase that was never reached": (NOTHING, bound("availability", ">", 0.5, "during"), None, "not known"),
    "a share of the ticks": (RUN, bound("ticks_in_time", ">=", 0.4), True, "48 %"),
    "ticks that came never": (RUN, bound("ticks_never", "<=", 0.5), False, "52 %"),
    "ticks of clients alone on an IP": (APART, bound("ticks_in_time_alone", ">=", 0.9), True, "90 %"),
    "ticks of clients behind a shared IP": (APART, bound("ticks_in_time_shared", ">=", 0.9), False, "20 %"),
    "ticks that were not counted by IP": (OLDER, bound("ticks_in_time_shared", ">=", 0.9), None, "not known"),
    "clients back in time": (RUN, bound("back_95_s", "<=", 20), True, "17 s"),
    "clients back too late": (RUN, bound("back_50_s", "<", 17), False, "17 s"),
    "clients that are not back, too late already": (NEVER, bound("back_99_s", "<=", 20), False, "≥ 49 s"),
    "clients that are not back, and might still be": (NEVER, bound("back_99_s", "<=", 99), None, "≥ 49 s"),
    "clients that never returned": (NEVER, bound("never_returned", "<=", 0), False, "95"),
    "clients of a run without a storm": (NOTHING, bound("never_returned", "<=", 0), None, "not known"),
    "ticks of a run without a storm": (NOTHING, bound("ticks_lost", "<=", 0), None, "not known"),
    "a metric of a later version": (RUN, bound("happiness", ">", 1), None, "not known"),
    "at least so long, which is too long": (
        waiting(900),
        bound("effective_p99_ms", "<=", 500, "during"),
        False,
        "≥ 900 ms",
    ),
    "at least so long, which may be too long": (
        waiting(300),
        bound("effective_p99_ms", "<=", 500, "during"),
        None,
        "≥ 300 ms",
    ),
    "at least so long, which is long enough": (
        waiting(900),
        bound("effective_p99_ms", ">", 500, "during"),
        True,
        "≥ 900 ms",
    ),
    "at least so long, which may be long enough": (
        waiting(300),
        bound("effective_p99_ms", ">", 500, "during"),
        None,
        "≥ 300 ms",
    ),
}


@pytest.mark.parametrize("label", CASES)
def test_a_bound_is_kept_broken_or_not_known(label: str) -> None:
    summary, wanted, kept, text = CASES[label]
    held = evaluate(wanted, summary)
    assert (held.met, held.found_text) == (kept, text)
    assert held.answer == {True: "met", False: "violated", None: "undecided"}[kept]


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["<", "<=", ">", ">="]))
def test_a_bound_is_kept_exactly_where_the_comparison_holds(
    found: float, limit: float, operator: str
) -> None:
    summary = Summary(clients=1, during=PhaseSummary(from_s=0, to_s=1, availability=found))
    held = evaluate(bound("availability", operator, limit, "during"), summary)
    assert held.met is eval(f"{found!r} {operator} {limit!r}")


@pytest.mark.parametrize(("key", "metric"), SLO_METRICS.items(), ids=SLO_METRICS)
def test_every_metric_is_measured_somewhere_and_has_a_name_and_a_unit(key: str, metric: SloMetric) -> None:
    assert metric.phase or metric.storm
    assert metric_name(key) == metric.name
    assert write(key, 1.0)


def test_a_rule_says_what_must_hold_when() -> None:
    assert evaluate(bound("availability", ">=", 0.9), RUN).rule == "availability ≥ 90 %, from the trigger on"
    assert evaluate(bound("missed", "<", 5), RUN).rule == "ticks missed < 5, from the trigger on"
    assert evaluate(bound("back_95_s", "<", 5), RUN).rule == (
        "95 % of clients back after < 5 s, from the trigger’s end"
    )
    assert evaluate(bound("pod_loop", "<", 0.5, "during"), RUN).rule.endswith("< 50 %, during")
    assert evaluate(bound("time_to_recover_s", "<", 5), RUN).rule == (
        "time to recover < 5 s, from the trigger’s end"
    )
    assert (metric_name("happiness"), write("happiness", 3.0)) == ("happiness", "3.0")


def test_a_run_has_its_objectives_and_its_hypothesis_from_its_scenario() -> None:
    run = rehearsed(30)
    assert [found.metric for found in objectives_of(run)] == [
        "availability",
        "effective_p99_ms",
        "availability",
        "time_to_recover_s",
    ]
    found = hypothesis_of(run)
    assert found is not None
    assert found.statement == HYPOTHESIS["statement"]
    older = plain(storm(0.0))
    assert (objectives_of(older), hypothesis_of(older)) == ((), None)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("slo", [{"metric": "availability", "operator": "~", "bound": 1.0}], r"scenario\.slo\[0\]: .*'~'"),
        ("hypothesis", {"metric": "availability", "operator": "<"}, r"scenario\.hypothesis: .*bound"),
    ],
)
def test_a_bound_that_makes_no_sense_is_named_with_its_file(key: str, value: Any, named: str) -> None:
    run = plain(storm(0.0), scenario={**scenario(), key: value})
    with pytest.raises(RecordError, match=rf"run\.json: {named}"):
        (objectives_of if key == "slo" else hypothesis_of)(run)

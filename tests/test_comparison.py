from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from run_histories import CLIENTS, history, scenario, storm

from reports.arms import alike, arm_result
from reports.comparison import Comparison, ComparisonError, compare
from reports.headline import wilson
from reports.judgement import Judgement, assess, judge_run, judgement_of
from reports.latency import Latency
from reports.metrics import PhaseSummary, Storm, Summary
from reports.record import Run, RunWriter, load_info
from reports.recovery import Recovery
from reports.validity import Validity
from reports.verdict import Verdict, VerdictName


def run(
    arm: str,
    verdict: VerdictName,
    recovered_s: int | None = None,
    *,
    served: float | None = 0.5,
    p99_ms: float = 60.0,
    at_least: bool = False,
    **info: Any,
) -> Run:
    """A judged run of arm `policy + limit`, without any seconds."""
    policy, _, limit = arm.partition(" + ")
    storm_summary = Storm(
        from_s=8,
        to_s=62,
        availability=served,
        attempts=500,
        attempts_peak_per_s=100.0,
        disconnects=100,
        stale=0,
        amplification=5.0,
        burst_peak=2.0,
        burst_dispersion=1.0,
        limited=0,
        nginx_limited=0,
        outcomes={"joined": 100, "timeout": 400},
        missed=0,
        wasted_work=0.1,
    )
    judgement = Judgement(
        Summary(
            clients=CLIENTS,
            after=PhaseSummary(from_s=23, to_s=62, effective_p99=Latency(p99_ms, at_least)),
            storm=storm_summary,
            recovery=Recovery(
                window_s=30,
                observable_s=24,
                time_to_recover_s=recovered_s,
                at_least_s=None if recovered_s is not None else 54,
            ),
        ),
        Validity(valid=verdict != "INVALID", problems=("late",) if verdict == "INVALID" else ()),
        Verdict(verdict, "as it was"),
    )
    stored = msgspec.to_builtins(judgement)
    made = {"arm": arm, "scenario": scenario(fleet__policy=policy, edge__limit=limit or "none")}
    return history([], directory=Path(f"runs/{arm}"), **{**made, **stored, **info})


def cross(*verdicts: tuple[VerdictName, int | None, float]) -> list[Run]:
    arms = ("naive + none", "naive + per-ip", "incident + none", "incident + per-ip")
    return [
        run(arm, name, recovered, served=served)
        for arm, (name, recovered, served) in zip(arms, verdicts, strict=True)
    ]


TWO_BY_TWO = cross(
    ("METASTABLE", None, 0.08), ("METASTABLE", None, 0.09), ("RECOVERED", 13, 0.8), ("RECOVERED", 9, 0.9)
)


def test_the_arm_that_was_started_first_is_the_reference() -> None:
    runs = [
        run("a", "RECOVERED", 3, started_utc="2026-11-22T20:01:00Z"),
        run("b", "RECOVERED", 3, started_utc="2026-11-22T20:00:00Z"),
        run("b", "RECOVERED", 4, started_utc="2026-11-22T20:02:00Z"),
    ]
    found = compare(runs)
    assert [(arm.name, arm.runs, arm.verdicts) for arm in found.arms] == [
        ("b", 2, ("RECOVERED", "RECOVERED")),
        ("a", 1, ("RECOVERED",)),
    ]


def test_the_variables_are_the_keys_in_which_arms_differ() -> None:
    assert compare(TWO_BY_TWO).variables == ("fleet.policy", "edge.limit")


def test_the_best_arm_is_named_with_its_lead_over_the_reference() -> None:
    found = compare(TWO_BY_TWO)
    assert found.winners == ("incident + per-ip",)
    assert found.headline == (
        "“incident + per-ip” did best: recovered after 9 s. "
        "The reference “naive + none” did not recover within 54 s (METASTABLE); "
        "effective p99 afterwards 60 ms against 60 ms, availability 90 % against 8.0 %."
    )


def test_each_variable_is_told_apart_from_the_others() -> None:
    assert compare(TWO_BY_TWO).effects == (
        "fleet.policy alone (naive → incident): not recovered within 54 s (METASTABLE) → "
        "recovered after 13 s; availability 8.0 % → 80 %.",
        "fleet.policy on top of per-ip (naive → incident): not recovered within 54 s (METASTABLE) → "
        "recovered after 9 s; availability 9.0 % → 90 %.",
        "edge.limit alone (none → per-ip) changed nothing: not recovered within 54 s (METASTABLE); "
        "availability 8.0 % → 9.0 %.",
        "edge.limit on top of incident (none → per-ip): recovered after 13 s → recovered after 9 s; "
        "availability 80 % → 90 %.",
    )


def test_two_variables_that_change_together_are_not_told_apart() -> None:
    found = compare([TWO_BY_TWO[0], TWO_BY_TWO[3]])
    assert found.effects == (
        "fleet.policy never changes alone here: what it did by itself cannot be told.",
        "edge.limit never changes alone here: what it did by itself cannot be told.",
    )


HEADLINES: dict[str, tuple[list[Run], str]] = {
    "a tie of all": (
        [run("a", "RECOVERED", 9, served=0.8), run("b", "RECOVERED", 10, served=0.81)],
        "The arms do not differ: each recovered after 9 s, availability 80 %.",
    ),
    "none recovered, none better": (
        [run("a", "METASTABLE", served=0.1), run("b", "OUTAGE", served=0.11)],
        "The arms do not differ: each did not recover within 54 s (OUTAGE), availability 11 %.",
    ),
    "none recovered, one less bad": (
        [run("a", "METASTABLE", served=0.1), run("b", "SLOW_DRAIN", served=0.4)],
        "No arm recovered within 54 s. Least bad: “b” (SLOW_DRAIN). "
        "The reference “a” did not recover within 54 s (METASTABLE)",
    ),
    "a reference that nothing beats": (
        [run("a", "RECOVERED", 3), run("b", "RECOVERED", 30), run("c", "RECOVERED", 4)],
        "No arm beats the reference “a”: it recovered after 3 s; “c” did as well.",
    ),
    "two winners": (
        [run("a", "OUTAGE"), run("b", "RECOVERED", 30), run("c", "RECOVERED", 31)],
        "“b” and “c” did best: recovered after 30 s and 31 s. The reference “a” did not recover",
    ),
    "an invalid reference": (
        [run("a", "INVALID"), run("b", "RECOVERED", 30)],
        "“b” did best: recovered after 30 s. The reference “a” has no valid run.",
    ),
    "no trigger in any arm": (
        [run("a", "STEADY", served=None), run("b", "STEADY", served=None)],
        "The arms do not differ: each was steady without a trigger.",
    ),
    "a reference of which no availability is known": (
        [run("a", "OUTAGE", served=None), run("b", "RECOVERED", 3)],
        "(OUTAGE); effective p99 afterwards 60 ms against 60 ms.",
    ),
    "nothing valid": (
        [run("a", "INVALID"), run("b", "INVALID")],
        "No arm has a valid run, so nothing can be concluded.",
    ),
    "a bound against a value": (
        [run("a", "METASTABLE", p99_ms=26_000, at_least=True), run("b", "RECOVERED", 3, p99_ms=85)],
        "effective p99 afterwards 85 ms against ≥ 26 s",
    ),
    "one run alone": ([run("a", "METASTABLE")], "METASTABLE: as it was."),
    "one arm alone": (
        [run("a", "RECOVERED", 3), run("a", "RECOVERED", 5), run("a", "METASTABLE")],
        "“a” recovered after 5 s, availability 50 %; runs: 2 RECOVERED, 1 METASTABLE.",
    ),
}


@pytest.mark.parametrize(("runs", "expected"), HEADLINES.values(), ids=HEADLINES)
def test_the_headline_says_what_came_out(runs: list[Run], expected: str) -> None:
    assert expected in compare(runs).headline


BELIEVES: dict[str, tuple[list[Run], str]] = {
    "one run per arm": (TWO_BY_TWO, "an observation, not a proof; use --repeats 3."),
    "all valid": ([run(arm, "RECOVERED", 3) for arm in "aabb"], "2 runs per arm, all valid."),
    "one left out": (
        [run("a", "RECOVERED", 3), run("a", "INVALID"), run("b", "RECOVERED", 3)],
        "1 of 3 runs invalid and left out (“a” 1 of 2).",
    ),
    "ranges apart": (
        [run("a", "OUTAGE"), run("a", "OUTAGE"), run("b", "RECOVERED", 3), run("b", "RECOVERED", 5)],
        "Ranges of time to recover do not overlap: 3 to 5 s against not within 54 s.",
    ),
    "ranges that touch": (
        [
            *(run("a", "RECOVERED", s) for s in (9, 20, 30)),
            *(run("b", "RECOVERED", s) for s in (3, 5, 10)),
        ],
        "“a” and “b” cannot be told apart: their ranges overlap",
    ),
    "a recovery now and then": (
        [
            *(run("a", "OUTAGE", s) for s in (9, None, None)),
            *(run("b", "RECOVERED", s) for s in (3, 5, 6)),
        ],
        "do not overlap: 3 to 6 s against 9 s to not within 54 s.",
    ),
    "ranges of availability, where nobody recovered": (
        [
            *(run("a", "OUTAGE", served=share) for share in (0.1, 0.2)),
            *(run("b", "SLOW_DRAIN", served=share) for share in (0.3, 0.5)),
        ],
        "Ranges of availability do not overlap: 30 to 50 % against 10 to 20 %.",
    ),
    "a share of metastable runs": (
        [run("a", "METASTABLE"), run("a", "METASTABLE"), run("a", "METASTABLE")],
        "“a” was metastable in 3 of 3 valid runs: a true share of 44 to 100 % (Wilson, 95 %).",
    ),
    "winners alike": (
        [run("a", "OUTAGE"), run("b", "RECOVERED", 30), run("c", "RECOVERED", 31)],
        "cannot be told apart: their ranges overlap, or less than 2 s and 2 points of availability",
    ),
    "nothing valid": ([run("a", "INVALID"), run("b", "INVALID")], "No: not one run is valid"),
}


@pytest.mark.parametrize(("runs", "expected"), BELIEVES.values(), ids=BELIEVES)
def test_how_far_it_can_be_believed_is_said(runs: list[Run], expected: str) -> None:
    assert expected in compare(runs).believe


def test_ranges_are_set_side_by_side_only_where_both_arms_have_one() -> None:
    unknown = [run("a", "OUTAGE", served=None), run("a", "OUTAGE", served=None)]
    found = compare([*unknown, run("b", "SLOW_DRAIN", served=0.3), run("b", "SLOW_DRAIN", served=0.5)])
    assert (found.winners, found.believe) == (("b",), "2 runs per arm, all valid.")


def test_arms_about_whose_service_nothing_is_known_are_not_called_alike() -> None:
    known = [run("b", "OUTAGE", served=share) for share in (0.3, 0.5)]
    found = compare([run("a", "OUTAGE", served=None), run("a", "OUTAGE", served=None), *known])
    assert found.winners == ("b",)


def test_medians_and_extremes_are_over_valid_runs_only() -> None:
    runs = [run("a", "RECOVERED", s, served=share) for s, share in ((3, 0.7), (9, 0.9), (5, 0.8))]
    arm = compare([*runs, run("a", "INVALID", 100, served=0.1)]).arms[0]
    availability, time = arm.ranges["availability"], arm.ranges["time_to_recover_s"]
    assert (availability.median, availability.low, availability.high) == (0.8, 0.7, 0.9)
    assert (time.median, time.low, time.high, time.runs) == (5, 3, 9, 3)
    assert (arm.runs, arm.valid) == (4, 3)


@pytest.mark.parametrize(
    ("times", "median"),
    [((3, 5, None), 5), ((3, None, None), None), ((3, None), None), ((None,), None), ((3, 4), 3.5)],
)
def test_a_run_that_did_not_recover_is_later_than_any_that_did(
    times: Sequence[int | None], median: float | None
) -> None:
    runs = [run("a", "RECOVERED" if s else "OUTAGE", s) for s in times]
    assert arm_result("a", runs, ()).median("time_to_recover_s") == median


@pytest.mark.parametrize(
    ("bounds", "at_least"),
    [
        ([(10, False), (20, False), (30, True)], False),
        ([(10, False), (20, True), (30, False)], True),
        ([(10, True), (20, False), (30, False)], True),
        ([(10, False), (20, True)], True),
    ],
)
def test_a_median_is_a_bound_where_a_bound_could_move_it(
    bounds: list[tuple[float, bool]], at_least: bool
) -> None:
    runs = [run("a", "OUTAGE", p99_ms=ms, at_least=bound) for ms, bound in bounds]
    assert arm_result("a", runs, ()).ranges["effective_p99_after"].at_least == at_least


def test_an_arm_is_as_good_as_its_middle_run_and_rather_worse() -> None:
    verdicts: tuple[VerdictName, ...] = ("RECOVERED", "METASTABLE", "RECOVERED", "OUTAGE")
    runs = [run("a", name, 3 if name == "RECOVERED" else None) for name in verdicts]
    assert arm_result("a", runs, ()).verdict == "METASTABLE"
    assert arm_result("a", runs[:3], ()).verdict == "RECOVERED"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (run("a", "RECOVERED", 3, served=0.8), run("b", "RECOVERED", 4, served=0.81), True),
        (run("a", "RECOVERED", 3, served=0.8), run("b", "RECOVERED", 5, served=0.8), False),
        (run("a", "RECOVERED", 3, served=0.8), run("b", "RECOVERED", 3, served=0.83), False),
        (run("a", "METASTABLE", served=0.1), run("b", "OUTAGE", served=0.1), True),
        (run("a", "SLOW_DRAIN", served=0.1), run("b", "OUTAGE", served=0.1), False),
        (run("a", "INVALID"), run("b", "INVALID"), False),
    ],
)
def test_arms_are_alike_within_two_seconds_and_two_points(a: Run, b: Run, expected: bool) -> None:
    assert alike(arm_result("a", [a], ()), arm_result("b", [b], ())) == expected


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another machine": (
        {"machine": {"cores": 4, "cpu_model": "test", "pinned": True}},
        r"machine: key cores: found 2 in runs/naive .* and 4 in runs/incident",
    ),
    "other versions": (
        {"versions": {"reconnect-storm": "0.1.0", "nginx": "1.27"}},
        r"versions: key nginx: found '1.31.3' in runs/naive .* and '1.27' in runs/incident",
    ),
    "another way to spend CPU": (
        {"scenario": scenario(fleet__policy="incident", gateway__cpu="reserve")},
        r"key gateway.cpu: found 'burn' .* and 'reserve'",
    ),
    "other stretches of time": (
        {"scenario": scenario(phases__during_s=5)},
        r"key phases.during_s: found 15 .* and 5",
    ),
}


@pytest.mark.parametrize(("info", "complaint"), REFUSED.values(), ids=REFUSED)
def test_runs_that_differ_in_more_than_what_is_studied_are_refused(
    info: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ComparisonError, match=complaint):
        compare([run("naive + none", "OUTAGE"), run("incident + none", "OUTAGE", **info)])


def test_a_spread_is_not_compared_with_a_latency() -> None:
    runs = [run("a", "RECOVERED"), run("b", "RECOVERED", reference="first receipt")]
    with pytest.raises(ComparisonError, match="latencies count from"):
        compare(runs)


def test_runs_of_one_arm_must_have_one_scenario() -> None:
    other = run("naive + none", "OUTAGE", scenario=scenario(fleet__clients=200))
    with pytest.raises(ComparisonError, match=r"key fleet.clients: found 100 .* and 200"):
        compare([run("naive + none", "OUTAGE"), other])


def test_seed_port_name_and_summary_may_differ() -> None:
    other = scenario(fleet__seed=2, edge__port=8080, name="other", summary="other")
    found = compare([run("naive + none", "OUTAGE"), run("naive + none", "OUTAGE", scenario=other)])
    assert found.variables == ()


def test_an_effect_needs_a_valid_run_on_both_sides() -> None:
    some = [run("naive + none", "INVALID"), run("incident + none", "RECOVERED", 3)]
    assert compare(some).effects == (
        "fleet.policy alone (naive → incident): cannot be told, “naive + none” has no valid run.",
    )
    assert compare([some[0], run("incident + none", "INVALID")]).effects == ()


def test_a_policy_with_parameters_is_a_value_like_any_other() -> None:
    spread = {"name": "spread", "window_s": 8.0}
    found = compare(
        [run("naive + none", "OUTAGE"), run("x", "RECOVERED", 3, scenario=scenario(fleet__policy=spread))]
    )
    assert found.effects[0].startswith("fleet.policy alone (naive → spread window_s=8.0): not recovered")


def test_nothing_cannot_be_compared() -> None:
    with pytest.raises(ComparisonError, match="no run"):
        compare([])


def test_a_comparison_can_be_written_as_json() -> None:
    found = compare(TWO_BY_TWO)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison) == found


@pytest.mark.parametrize(
    ("hits", "runs", "low", "high"), [(3, 3, 0.438, 1.0), (0, 3, 0.0, 0.562), (5, 10, 0.237, 0.763)]
)
def test_wilson_intervals_are_those_of_the_literature(hits: int, runs: int, low: float, high: float) -> None:
    assert wilson(hits, runs) == pytest.approx((low, high), abs=0.001)


def test_a_run_without_a_judgement_is_judged_when_it_is_compared() -> None:
    unjudged = history(storm(100.0))
    assert judgement_of(unjudged) == assess(unjudged)
    assert compare([unjudged]).arms[0].verdict == "RECOVERED"


def test_judging_keeps_everything_in_run_json(tmp_path: Path) -> None:
    original = history(storm(lambda t: 0.0 if t < 20 else 100.0))
    with_seconds(original, tmp_path / "run")
    judged = judge_run(tmp_path / "run")
    assert judged.info.verdict == {"name": "RECOVERED", "reason": judged.info.verdict["reason"]}
    assert load_info(tmp_path / "run") == judged.info
    assert judgement_of(judged) == assess(original)
    assert judged.histograms == {}


def test_a_run_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    with_seconds(history(storm(100.0), status="running"), tmp_path / "run")
    assert judge_run(tmp_path / "run").info.verdict["name"] == "INVALID"
    assert load_info(tmp_path / "run").verdict == {}


def with_seconds(run: Run, directory: Path) -> None:
    writer = RunWriter(directory, run.info)
    for row in run.rows:
        writer.row(row)
    for tag, by_second in run.histograms.items():
        for second, histogram in by_second.items():
            writer.histogram(tag, second, histogram)
    writer.close()

"""Control runs: when they hold, whom they stand for, and what becomes of arms whose control does not."""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reports.analysis.judgement import judgement_of
from reports.compare.comparison import compare
from reports.compare.control import control_lines, control_problems, controls, under_control
from reports.rundir.reader import Run
from reports.rundir.series import Row
from scenarios.runner.plan import plans
from scenarios.scenario.loader import catalog, load
from tests.support.histories import history, scenario, seconds, storm

RAMP = seconds(-3, 0, attempts=33.0, useful=30.0)
CALM = [*RAMP, *seconds(0, 30)]


def control(rows: list[Row] | None = None, **info: Any) -> Run:
    """A run without events, which held unless `rows` say otherwise."""
    made = {"arm": "control", "control": True, "scenario": scenario(event=[])}
    return history(CALM if rows is None else rows, trigger_s=None, **{**made, **info})


def arm(name: str, **info: Any) -> Run:
    policy, _, limit = name.partition(" + ")
    made = {"arm": name, "scenario": scenario(fleet__policy=policy, edge__limit=limit or "none")}
    return history(storm(lambda t: 0.0 if t < 20 else 100.0), **{**made, **info})


def trusted(run: Run) -> Run:
    """The same run, judged valid whatever is in it: the rules of validity see much of what a control sees."""
    held = judgement_of(control())
    judgement = msgspec.structs.replace(held, summary=judgement_of(run).summary)
    info = msgspec.structs.replace(run.info, **msgspec.to_builtins(judgement))
    return msgspec.structs.replace(run, info=info)


MANY = scenario(event=[], fleet__clients=20_000)
OF_MANY = {"clients": 20_000.0, "connected": 20_000.0, "useful": 20_000.0}
SOME_OF_MANY = [*seconds(0, 29, **OF_MANY), *seconds(29, 30, **OF_MANY, disconnects=2.0, attempts=2.0)]
BAD = trusted(control([*seconds(0, 29), *seconds(29, 30, disconnects=2.0, attempts=3.0)]))

PROBLEMS: dict[str, tuple[Run, tuple[str, ...]]] = {
    "it held": (control(), ()),
    "a noisy second": (control([*seconds(0, 29), *seconds(29, 30, effective_p99_ms=900.0)]), ()),
    "interrupted": (control(status="interrupted"), ("its status is interrupted",)),
    "not to be trusted": (
        control(seconds(0, 30, foreign_cpu=1.0)),
        ("noisy host: other processes used 50 % of the machine's 2 cores, expected ≤ 10 %",),
    ),
    "served too little": (
        trusted(control([*seconds(0, 10, useful=90.0), *seconds(10, 30)])),
        ("availability: expected ≥ 99 %, got 96.7 %",),
    ),
    "lost and tried again": (
        BAD,
        (
            "disconnects without a trigger: expected ≤ 1 with 100 clients, got 2",
            "connection attempts without a trigger: expected ≤ 1 with 100 clients, got 3",
        ),
    ),
    "one client lost, and back at its first try": (
        control([*seconds(0, 29), *seconds(29, 30, disconnects=1.0, attempts=1.0)]),
        (),
    ),
    "two of 20,000 clients lost": (control(SOME_OF_MANY, scenario=MANY), ()),
    "three of 20,000 clients lost": (
        trusted(control([*SOME_OF_MANY[:-1], SOME_OF_MANY[-1] | {"disconnects": 3.0}], scenario=MANY)),
        ("disconnects without a trigger: expected ≤ 2 with 20,000 clients, got 3",),
    ),
    "slower and slower": (
        control([*seconds(0, 20), *seconds(20, 30, effective_p99_ms=100.0)]),
        ("effective p99 of the last third: expected ≤ 90 ms after 60 ms in the first third, got 100 ms",),
    ),
    "slower by less than a calm run moves": (
        control([*seconds(0, 20, effective_p99_ms=10.0), *seconds(20, 30, effective_p99_ms=35.0)]),
        (),
    ),
    "nothing recorded": (
        trusted(control([])),
        ("availability: expected ≥ 99 %, got –", "no effective p99 was measured"),
    ),
}


@pytest.mark.parametrize(("run", "problems"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_control_holds_where_nothing_happens_and_nothing_gets_slower(
    run: Run, problems: tuple[str, ...]
) -> None:
    assert control_problems(run) == problems


def test_a_control_is_no_arm() -> None:
    found = compare([control(), arm("naive"), arm("incident")])
    assert [one.name for one in found.arms] == ["naive", "incident"]
    assert found.variables == ("fleet.policy",)
    assert "control" not in found.believe
    assert control_lines(found.controls) == [
        "Control run valid (30 s without a trigger: availability 100 %, effective p99 60 ms)"
    ]


def test_controls_alone_are_what_is_studied() -> None:
    found = compare([control()])
    assert [(one.name, one.verdict) for one in found.arms] == [("control", "STEADY")]
    assert found.controls == ()


def test_arms_whose_control_does_not_hold_are_invalid() -> None:
    found = compare([BAD, arm("naive"), arm("incident")])
    problem = "disconnects without a trigger: expected ≤ 1 with 100 clients, got 2"
    reason = f"the control run without a trigger failed: {problem} (and 1 more)"
    assert [(one.valid, one.verdict, one.reasons) for one in found.arms] == [(0, "INVALID", (reason,))] * 2
    assert found.headline == "No arm has a valid run, so nothing can be concluded."
    assert control_lines(found.controls) == [
        "Control run failed: disconnects without a trigger: expected ≤ 1 with 100 clients, got 2; "
        "connection attempts without a trigger: expected ≤ 1 with 100 clients, got 3"
    ]


def test_a_run_that_its_control_makes_invalid_keeps_its_numbers_and_says_why() -> None:
    plain = arm("naive")
    runs = [BAD, plain]
    judged = under_control(runs, controls(runs))
    assert judged[0] is BAD
    assert judgement_of(judged[1]).summary == judgement_of(plain).summary
    assert judgement_of(judged[1]).validity.problems[0].startswith("the control run without a trigger")
    assert judgement_of(judged[1]).validity.warnings == judgement_of(plain).validity.warnings


def test_a_run_that_its_control_makes_invalid_keeps_its_findings() -> None:
    finding = {"id": "never-in", "title": "T", "figures": "F", "meaning": "M", "change": "C"}
    plain = arm("naive")
    judgement = msgspec.to_builtins(judgement_of(plain)) | {"findings": [finding]}
    found = msgspec.structs.replace(plain, info=msgspec.structs.replace(plain.info, **judgement))
    runs = [BAD, found]
    assert [each.id for each in judgement_of(under_control(runs, controls(runs))[1]).findings] == ["never-in"]


APPLIES: dict[str, tuple[dict[str, Any], bool]] = {
    "another policy, limit, timeline and length": (
        {"fleet__policy": "spread", "edge__limit": "per-ip", "phases__duration_s": 30},
        True,
    ),
    "other retries of sidecars, and another moment at which a back-off starts over": (
        {"fleet__reset_backoff": "stable", "mesh": {"retries": 3}},
        True,
    ),
    "sidecars": ({"mesh": {"sidecar": "envoy"}}, False),
    "another fleet": ({"fleet__clients": 200}, False),
    "other handshakes": ({"gateway__handshake_cpu_ms": 5.0}, False),
    "another edge": ({"edge__front": "other"}, False),
}


@pytest.mark.parametrize(("changes", "expected"), APPLIES.values(), ids=APPLIES)
def test_a_control_stands_for_arms_with_its_steady_state(changes: dict[str, Any], expected: bool) -> None:
    found = controls([control(scenario=scenario(event=[], **changes)), arm("naive")])
    assert [one.arms for one in found] == [("naive",) if expected else ()]


@pytest.mark.parametrize("other", [{"machine": {"cores": 4}}, {"versions": {"nginx": "1.27"}}])
def test_a_control_of_another_machine_or_version_stands_for_nobody(other: dict[str, Any]) -> None:
    found = compare([control(**other), arm("naive")])
    assert "No control run." in found.believe
    assert control_lines(found.controls)[0].startswith("Control run that matches no arm: valid (30 s")


@pytest.mark.parametrize("name", catalog())
def test_the_controls_that_a_comparison_plans_stand_for_every_arm_once(name: str) -> None:
    planned = plans(load(name), repeats=1, directory=Path("runs"))
    runs = [
        made(arm=plan.arm, scenario=msgspec.to_builtins(plan.scenario))
        for plan in planned
        for made in ([control] if plan.control else [partial(arm, "naive")])
    ]
    stood_for = [named for found in controls(runs) for named in found.arms]
    arms = [plan.arm for plan in planned if not plan.control]
    assert sorted(stood_for) == (sorted(arms) if any(plan.control for plan in planned) else [])


def test_arms_without_a_control_of_their_own_are_named() -> None:
    more = arm("more", scenario=scenario(fleet__policy="naive", fleet__clients=200))
    found = compare([control(), arm("naive"), more])
    assert "No control run for “more”." in found.believe
    assert control_lines(found.controls)[0].startswith("Control run for “naive” valid")


def test_a_control_that_others_spoilt_does_not_count_where_another_one_can_be_trusted() -> None:
    spoilt = control(seconds(0, 30, foreign_cpu=1.0))
    assert [one.problems for one in controls([spoilt, control(), arm("naive")])] == [()]
    assert [len(one.problems) for one in controls([spoilt, arm("naive")])] == [1]


def test_attempts_of_clients_that_can_never_join_are_no_problem_of_a_control() -> None:
    groups = [{"name": "web"}, {"name": "old", "protocol": 3}]
    rows = [*RAMP, *seconds(0, 30, attempts=7.0)]
    made = control(rows, scenario=scenario(event=[], fleet__group=groups))
    own = [{"t_s": float(t), "group": 1.0, "clients": 5.0, "attempts": 7.0} for t in range(-3, 30)]
    assert control_problems(msgspec.structs.replace(made, groups=tuple(own))) == ()
    assert control_problems(made)

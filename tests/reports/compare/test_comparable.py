"""Which runs may be set side by side, and in what they differ."""

from typing import Any

import pytest

from reports.compare.comparison import ComparisonError, compare
from tests.support.histories import scenario
from tests.support.judged_runs import TWO_BY_TWO, run


def test_the_variables_are_the_keys_in_which_arms_differ() -> None:
    assert compare(TWO_BY_TWO).variables == ("fleet.policy", "edge.limit")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another machine": (
        {"machine": {"cores": 4, "cpu_model": "test", "pinned": True}},
        r"machine: cores is 2 in runs/naive .* and 4 in runs/incident",
    ),
    "other versions": (
        {"versions": {"reconnect-storm": "0.1.0", "nginx": "1.27"}},
        r"versions: nginx is '1.31.3' in runs/naive .* and '1.27' in runs/incident",
    ),
    "another way to spend CPU": (
        {"scenario": scenario(fleet__policy="incident", gateway__cpu="occupy")},
        r"gateway.cpu is 'burn' .* and 'occupy'",
    ),
    "other stretches of time": (
        {"scenario": scenario(phases__during_s=5)},
        r"phases.during_s is 15 .* and 5",
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
    with pytest.raises(ComparisonError, match=r"fleet.clients is 100 .* and 200"):
        compare([run("naive + none", "OUTAGE"), other])


def test_seed_port_name_and_summary_may_differ() -> None:
    other = scenario(fleet__seed=2, edge__port=8080, name="other", summary="other")
    found = compare([run("naive + none", "OUTAGE"), run("naive + none", "OUTAGE", scenario=other)])
    assert found.variables == ()


def nginx_with(**changed: Any) -> dict[str, Any]:
    return scenario(edge__nginx={"workers": 1, "worker_shutdown_timeout_s": 60.0, **changed})


def test_of_a_table_within_a_section_only_the_keys_that_differ_are_variables() -> None:
    found = compare(
        [
            run("60 s", "RECOVERED", scenario=nginx_with()),
            run("240 s", "RECOVERED", scenario=nginx_with(worker_shutdown_timeout_s=240.0)),
        ]
    )
    assert found.variables == ("edge.nginx.worker_shutdown_timeout_s",)
    assert [list(arm.settings.values()) for arm in found.arms] == [["60.0"], ["240.0"]]


def test_a_limit_or_a_policy_with_parameters_is_one_variable() -> None:
    limits = [{"name": "per-ip", "burst": burst} for burst in (2, 9)]
    found = compare(
        [run(str(limit["burst"]), "RECOVERED", scenario=scenario(edge__limit=limit)) for limit in limits]
    )
    assert found.variables == ("edge.limit",)


def test_a_table_that_an_arm_does_not_have_is_one_variable() -> None:
    found = compare(
        [
            run("plain", "RECOVERED", scenario=scenario(edge__tls=None)),
            run("tls", "RECOVERED", scenario=scenario(edge__tls={"key": "rsa-2048"})),
        ]
    )
    assert found.variables == ("edge.tls",)


def test_nothing_cannot_be_compared() -> None:
    with pytest.raises(ComparisonError, match="no run"):
        compare([])


DROP = {"do": "drop_all", "at_s": 8.0, "enabled": True, "every_s": None, "times": 1}
PUSH = {"do": "push_policy", "at_s": 20.0, "enabled": True, "policy": "incident", "reach_s": 5.0}
SCALE = {"do": "scale", "at_s": 30.0, "pods": 4}

EVENTS: dict[str, tuple[list[list[dict[str, Any]]], tuple[str, ...], list[tuple[str, ...]]]] = {
    "one field of an event": (
        [[DROP, PUSH], [DROP, {**PUSH, "policy": {"name": "spread", "window_s": 8.0}}]],
        ("event.1.policy",),
        [("incident",), ("spread window_s=8.0",)],
    ),
    "two fields of an event": (
        [[DROP, PUSH], [DROP, {**PUSH, "at_s": 25.0, "reach_s": 1.0}]],
        ("event.1.at_s", "event.1.reach_s"),
        [("20.0", "5.0"), ("25.0", "1.0")],
    ),
    "an event that is switched on": (
        [[DROP, {**PUSH, "enabled": False}], [DROP, PUSH]],
        ("event.1.enabled",),
        [("no push_policy",), ("push_policy",)],
    ),
    "an event that one arm does not have": (
        [[DROP], [DROP, PUSH]],
        ("event.1",),
        [("none",), ("push_policy at 20 s policy=incident reach_s=5.0",)],
    ),
    "another event": (
        [[DROP, PUSH], [DROP, SCALE]],
        ("event.1",),
        [("push_policy at 20 s policy=incident reach_s=5.0",), ("scale at 30 s pods=4",)],
    ),
    "several events": (
        [[DROP], [DROP, PUSH, SCALE]],
        ("event",),
        [
            ("drop_all at 8 s",),
            ("drop_all at 8 s + push_policy at 20 s policy=incident reach_s=5.0 + scale at 30 s pods=4",),
        ],
    ),
    "all events": (
        [[], [DROP, PUSH]],
        ("event",),
        [("none",), ("drop_all at 8 s + push_policy at 20 s policy=incident reach_s=5.0",)],
    ),
}


@pytest.mark.parametrize(("events", "variables", "values"), EVENTS.values(), ids=EVENTS)
def test_events_in_which_arms_differ_are_named_so_that_one_can_read_it(
    events: list[list[dict[str, Any]]], variables: tuple[str, ...], values: list[tuple[str, ...]]
) -> None:
    runs = [
        run(name, "RECOVERED", 3, scenario=scenario(event=timeline))
        for name, timeline in zip("ab", events, strict=True)
    ]
    found = compare(runs)
    assert found.variables == variables
    assert [tuple(arm.settings.values()) for arm in found.arms] == values


def test_a_key_that_one_arm_does_not_have_is_none_there() -> None:
    more = scenario(fleet__max_attempts_per_s=5)
    found = compare([run("a + none", "OUTAGE"), run("a + none ", "OUTAGE", scenario=more)])
    assert found.arms[0].settings["fleet.max_attempts_per_s"] == "None"


TRIGGERS: dict[str, tuple[dict[str, Any], str]] = {
    "another moment": ({"trigger_s": 12}, r"trigger: trigger_s is 8 in runs/a and 12 in runs/b"),
    "no trigger": ({"trigger_s": None}, r"trigger: trigger_s is 8 in runs/a and None in runs/b"),
}


@pytest.mark.parametrize(("info", "complaint"), TRIGGERS.values(), ids=TRIGGERS)
def test_arms_that_were_struck_at_different_moments_are_refused(info: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ComparisonError, match=complaint):
        compare([run("a", "RECOVERED", 3), run("b", "RECOVERED", 3, **info)])


def test_a_run_that_ended_before_its_trigger_is_no_obstacle() -> None:
    early = run("b", "INVALID", trigger_s=None, status="failed")
    assert [arm.valid for arm in compare([run("a", "RECOVERED", 3), early]).arms] == [1, 0]

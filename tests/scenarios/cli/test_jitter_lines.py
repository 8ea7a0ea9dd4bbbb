"""Before a run, a policy is named whose jitter ends on one value."""

from typing import Any

import pytest

from scenarios.cli.jitter_lines import jitter_lines
from scenarios.scenario.fleet.groups import Group
from scenarios.scenario.model import Fleet, Scenario

CASES: dict[str, tuple[Any, str]] = {
    "a cap after the jitter": ("socketio-js", "wait exactly 5.000 s."),
    "a jitter after the cap": ("socketio-python", ""),
    "full jitter": ("full-jitter", ""),
    "a policy without jitter": ("naive", ""),
    "a policy that fails": ("tests.support.no_such_module:policy", ""),
}


@pytest.mark.parametrize(("spec", "said"), CASES.values(), ids=CASES)
def test_a_policy_is_named_that_has_jitter_and_loses_it(spec: Any, said: str) -> None:
    lines = [*jitter_lines([Scenario(fleet=Fleet(policy=spec))])]
    assert [line.startswith(f"Warning: policy {spec}: ") for line in lines] == ([True] if said else [])
    assert not said or "every client waits exactly 5.000 s" in lines[0]


def test_each_policy_of_all_arms_and_groups_is_named_once() -> None:
    groups = (Group(name="web"), Group(name="app", share=0.5, policy="incident"))
    mixed = Scenario(fleet=Fleet(policy="socketio-js", group=groups))
    lines = [*jitter_lines([mixed, mixed, Scenario(fleet=Fleet(policy="incident"))])]
    assert [line.split(":")[1] for line in lines] == [" policy socketio-js", " policy incident"]

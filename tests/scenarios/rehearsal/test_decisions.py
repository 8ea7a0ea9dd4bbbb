"""Decision points: when an operator is asked, what is offered, and how much time a choice gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from scenarios.events.drop import DropAll
from scenarios.events.event import Event
from scenarios.events.exec import Exec
from scenarios.events.proxy import NginxReload
from scenarios.events.push_policy import PushPolicy
from scenarios.events.rolling_restart import RollingRestart
from scenarios.events.scale import Scale
from scenarios.events.set_limit import SetLimit
from scenarios.rehearsal import decisions
from scenarios.rehearsal.decisions import (
    WAIT,
    at,
    decision_points,
    extra_s,
    left_to_the_operator,
    options,
    patience_s,
)
from scenarios.scenario.model import Phases, Scenario

DROP = DropAll(at_s=6)
PUSH = PushPolicy(at_s=40, policy="spread", reach_s=2)
LIMIT = SetLimit(at_s=43, limit="per-ip-strict")
SCALE = Scale(at_s=20, pods=9)
COMMAND = Exec(at_s=50, command=("kubectl", "scale", "--token", "abc"), counts_as="mitigation")


def scenario(*events: Event, rescue_at_s: int = 70) -> Scenario:
    phases = Phases(duration_s=100, during_s=15, rescue_at_s=rescue_at_s)
    return Scenario(event=events, phases=phases)  # type: ignore[arg-type]


POINTS: dict[str, tuple[list[Event], tuple[float, ...]]] = {
    "at each scripted mitigation": ([DROP, SCALE, PUSH], (20, 40)),
    "once for mitigations that are close to each other": ([DROP, PUSH, SCALE, LIMIT], (20, 40)),
    "in order of time": ([PUSH, DROP, SCALE], (20, 40)),
    "not at one that is switched off": ([DROP, replace(SCALE, enabled=False), PUSH], (40,)),
    "not at a fault, although it may be a restart": ([DROP, RollingRestart(at_s=10), PUSH], (40,)),
    "where `during` ends, if nothing is scripted": ([DROP], (21,)),
}


@pytest.mark.parametrize(("events", "points"), POINTS.values(), ids=POINTS)
def test_the_operator_is_asked(events: list[Event], points: tuple[float, ...]) -> None:
    assert decision_points(scenario(*events)) == points


def test_without_a_fault_there_is_nothing_to_decide() -> None:
    with pytest.raises(ValueError, match="no fault"):
        decision_points(scenario(PUSH))


def test_what_is_left_to_the_operator_stays_in_the_script_but_does_not_strike() -> None:
    script = left_to_the_operator(scenario(DROP, SCALE, PUSH))
    assert [(event.name, event.enabled) for event in script.event] == [
        ("drop_all", True),
        ("scale", False),
        ("push_policy", False),
    ]


def offered(script: Scenario, pods: int | None) -> dict[str, Event | None]:
    return {option.name: option.event for option in options(script, pods)}


def test_what_the_script_has_is_offered_and_else_what_is_usual() -> None:
    assert offered(scenario(DROP, SCALE, PUSH, LIMIT), 4) == {
        "scale": SCALE,
        "restart": RollingRestart(at_s=0),
        "push": PUSH,
        "limit": LIMIT,
        "wait": None,
    }
    assert offered(scenario(DROP, NginxReload(at_s=9)), 4) == {
        "scale": Scale(at_s=0, pods=8),
        "restart": RollingRestart(at_s=0),
        "push": PushPolicy(at_s=0, policy="incident"),
        "limit": SetLimit(at_s=0, limit="per-ip"),
        "wait": None,
    }


def test_who_has_the_scripted_pods_already_is_offered_twice_as_many() -> None:
    assert offered(scenario(DROP, SCALE), 9)["scale"] == Scale(at_s=0, pods=18)


def test_a_command_is_offered_where_the_script_has_one_and_shows_no_secret() -> None:
    assert offered(scenario(DROP, COMMAND), None) == {
        "push": PushPolicy(at_s=0, policy="incident"),
        "exec": COMMAND,
        "wait": None,
    }
    assert decisions.words(COMMAND) == "run kubectl scale --token (hidden)"


def test_the_clients_are_all_that_can_be_changed_at_somebody_elses_gateway() -> None:
    assert [*offered(scenario(DROP), None)] == ["push", WAIT]


def test_every_option_has_a_key_of_its_own_and_says_what_it_does() -> None:
    push = replace(PUSH, policy={"name": "spread", "window_s": 3})
    every = options(scenario(DROP, push, replace(COMMAND, command=("kubectl", "scale"))), 2)
    assert len({option.key for option in every}) == len(every) == len(decisions.OPTIONS)
    assert [option.words for option in every] == [
        "scale to 4 pods",
        "restart the pods, one after the other",
        "push policy spread to all clients",
        "set the limit per-ip",
        "run kubectl scale",
        "wait",
    ]
    assert decisions.words(SetLimit(at_s=9, limit="none")) == "remove the limit"
    assert decisions.words(replace(PUSH, group="web")) == "push policy spread to the group web"


def test_what_no_operator_may_choose_has_no_words() -> None:
    with pytest.raises(TypeError, match="drop_all"):
        decisions.words(DROP)


def test_a_choice_strikes_once_when_it_is_made() -> None:
    scripted = replace(SCALE, enabled=False, times=3, every_s=5.0)
    assert at(scripted, 31.26) == Scale(at_s=31.3, pods=9)


@pytest.mark.parametrize(("rescue_at_s", "patience"), [(70, 30), (0, 60)])
def test_a_choice_gets_as_much_time_as_the_script_gives_its_last_mitigation(
    rescue_at_s: int, patience: float
) -> None:
    script = scenario(DROP, SCALE, PUSH, rescue_at_s=rescue_at_s)
    assert patience_s(script) == patience
    assert extra_s(script, 40, patience) == 0
    assert extra_s(script, 45.2, patience) == 6
    assert extra_s(script, 12, patience) == 0


@given(st.floats(min_value=0, max_value=1_000), st.floats(min_value=1, max_value=100))
def test_after_the_extension_there_is_time_enough_and_less_than_a_second_more(
    chosen_s: float, patience: float
) -> None:
    script = scenario(DROP)
    extra = extra_s(script, chosen_s, patience)
    left = decisions.asked_until_s(script) + extra - chosen_s
    assert left >= patience - 1e-9
    assert extra == 0 or left < patience + 1

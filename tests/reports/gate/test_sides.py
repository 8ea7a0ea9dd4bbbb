"""Which runs may be set against each other, what is taken from them, and what they promise."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from reports.analysis.delivery import Back, ClientsBack
from reports.analysis.judgement import judgement_of
from reports.compare.comparable import ComparisonError
from reports.gate.decision import decide
from reports.gate.measures import ALLOWED_KEYS, Value, gauges, measured
from reports.gate.sides import changes, missing_rounds, of_one_arm, side, sides_on_one_reference
from reports.gate.slo import slo_decisions
from reports.rundir.reader import Run
from reports.rundir.schema import STOPPED_BY_USER
from tests.support.histories import history, scenario, storm
from tests.support.judged_runs import ip_group
from tests.support.judged_runs import run as judged


def run(arm: str = "naive + none", **info: Any) -> Run:
    return judged(arm, "RECOVERED", 13, **info)


def with_scenario(**changed: Any) -> Run:
    return run(scenario=scenario(**changed))


def test_a_side_has_the_numbers_of_its_valid_runs_and_the_doubts_about_the_others() -> None:
    found = side("runs:x", [run(), judged("naive + none", "INVALID"), judged("naive + none", "METASTABLE")])
    assert (found.name, found.runs) == ("runs:x", 3)
    assert [one.verdict for one in found.measured] == ["RECOVERED", "METASTABLE"]
    assert found.problems == ("late",)
    assert found.measured[0].values["time_to_recover_s"] == Value(13.0)
    assert found.measured[1].values["time_to_recover_s"] == Value(None)
    assert found.measured[0].values["effective_p99_after"] == Value(60.0)
    assert "pod_loop" not in found.measured[0].values, "nothing was recorded of the pods"


def test_a_run_that_its_user_stopped_is_no_round_of_a_side() -> None:
    stopped, aborted = (
        judged("naive + none", "INVALID", status="interrupted", problem=problem)
        for problem in (STOPPED_BY_USER, "AbortedError: more than 90 % of the clients were lost")
    )
    found = side("runs:x", [run(), stopped])
    assert (found.runs, found.problems, found.counted.failed) == (1, (), 0)
    assert side("runs:x", [run(), aborted]).counted.failed == 1


DELIVERY = {
    "ticks_in_time": ("higher", 0.6, 0.5),
    "ticks_in_time_alone": ("higher", 0.6, 0.5),
    "ticks_in_time_shared": ("higher", 0.6, 0.5),
    "ticks_never": ("lower", 0.3, 0.4),
    "ticks_lost": ("lower", 0.3, 0.4),
    "back_95": ("lower", 10.0, 13.0),
    "never_returned": ("lower", 3.0, 20.0),
}


@pytest.mark.parametrize(("key", "way"), DELIVERY.items(), ids=DELIVERY)
def test_ticks_and_returns_have_a_direction_and_a_minimum_effect(
    key: str, way: tuple[str, float, float]
) -> None:
    better, before, worse = way
    (_, gauge) = gauges([key])
    assert (gauge.key, gauge.effect.better) == (key, better)
    assert gauge.effect.matters(before, worse)
    assert not gauge.effect.matters(before, before * 1.01)
    assert "ticks_late" not in ALLOWED_KEYS, "what is not late may have come never"


def test_clients_that_are_not_back_have_a_bound_in_seconds() -> None:
    found = measured(judgement_of(history(storm(5.0))), ("back_95", "never_returned", "ticks_never"))
    assert found.values["back_95"] == Value(54.0, at_least=True)
    assert found.values["never_returned"] == Value(95.0)
    assert found.values["ticks_never"] == Value(0.95)


def test_the_share_in_time_is_measured_by_ip_where_some_share_theirs_and_others_do_not() -> None:
    keys = ("ticks_in_time_alone", "ticks_in_time_shared")
    alone, shared = ip_group(1, 5, in_time=0.9), ip_group(10, 5, in_time=0.2)
    both = measured(judgement_of(run(ips=(alone, shared))), keys)
    assert both.values == {keys[0]: Value(0.9), keys[1]: Value(0.2)}
    for ips in ((alone,), (shared,), (alone, ip_group(10, 5))):
        assert measured(judgement_of(run(ips=ips)), keys).values == {}


def test_what_a_change_may_have_touched_may_differ() -> None:
    before, after = with_scenario(), with_scenario(fleet__policy="incident", gateway__handshake_cpu_ms=30.0)
    assert changes([before], [after]) == ("fleet.policy", "gateway.handshake_cpu_ms")
    assert changes([before], [before]) == ()


def test_another_version_of_this_project_is_what_is_compared() -> None:
    other = run(versions={"reconnect-storm": "0.2.0", "nginx": "1.31.3"})
    assert changes([run()], [other]) == ()


REFUSED: dict[str, tuple[Run, str]] = {
    "another machine": (
        run(machine={"cores": 64, "cpu_model": "test", "pinned": True}),
        "machine: cores",
    ),
    "other versions": (run(versions={"reconnect-storm": "0.1.0", "nginx": "1.9"}), "versions: nginx"),
    "another load": (with_scenario(fleet__clients=7), "fleet.clients"),
    "another feed": (with_scenario(feed__rate_hz=9.0), "feed.rate_hz"),
    "another way to spend CPU": (with_scenario(gateway__cpu="occupy"), "gateway.cpu"),
    "other phases": (with_scenario(phases__during_s=3), "phases.during_s"),
    "another scenario": (with_scenario(name="other"), "name: 'mass-drop'"),
    "another moment of the trigger": (run(trigger_s=9), "trigger"),
    "somebody else's gateway": (with_scenario(target={"url": "http://x"}), "target.url"),
}


WEB, OLD = {"name": "web"}, {"name": "old", "share": 0.25, "protocol": 4}
GROUPS_REFUSED = {
    "another share": ([WEB, {**OLD, "share": 0.5}], r"fleet\.group\.web\.share: 0\.75 in .*, 0\.5 in"),
    "another protocol": ([WEB, {**OLD, "protocol": 3}], r"fleet\.group\.old\.protocol"),
    "other clients per IP": ([{**WEB, "clients_per_ip": 5}, OLD], r"fleet\.group\.web\.clients_per_ip"),
    "another group": ([WEB, {**OLD, "name": "tabs"}], r"fleet\.group\.old\.share: 0\.25 in .*, None in"),
    "no groups": ([], r"fleet\.group\.web\.share"),
}


@pytest.mark.parametrize(("groups", "said"), GROUPS_REFUSED.values(), ids=GROUPS_REFUSED)
def test_a_baseline_whose_groups_were_another_load_is_refused(groups: list[Any], said: str) -> None:
    with pytest.raises(ComparisonError, match=f"different load: {said}"):
        changes([with_scenario(fleet__group=[WEB, OLD])], [with_scenario(fleet__group=groups)])


def test_groups_may_differ_in_what_a_change_may_touch_and_the_rest_may_be_said_or_not() -> None:
    ours = with_scenario(fleet__group=[WEB, OLD])
    theirs = with_scenario(fleet__group=[{**WEB, "share": 0.75}, {**OLD, "policy": "incident"}])
    assert set(changes([ours], [theirs])) == {"fleet.group.web.share", "fleet.group.old.policy"}


@pytest.mark.parametrize(("other", "said"), REFUSED.values(), ids=REFUSED)
def test_a_foreign_baseline_is_refused(other: Run, said: str) -> None:
    with pytest.raises(ComparisonError, match=said):
        changes([run()], [other])


def test_two_files_need_not_have_one_name() -> None:
    assert changes([run()], [with_scenario(name="other")], same_scenario=False) == ()


def test_of_several_arms_one_has_to_be_named() -> None:
    both = [run(), run("incident + none"), run(control=True, arm="control")]
    with pytest.raises(ComparisonError, match=r"several arms: expected one of 'naive \+ none', 'incident"):
        of_one_arm(both, "", "runs:x")
    assert [one.info.arm for one in of_one_arm(both, "incident + none", "runs:x")] == ["incident + none"]
    with pytest.raises(ComparisonError, match="invalid arm 'nope'"):
        of_one_arm(both, "nope", "runs:x")
    assert len(of_one_arm(both[:1], "", "runs:x")) == 1


# -- promises ----------------------------------------------------------------------------------------

SLO = [{"metric": "availability", "phase": "storm", "operator": ">=", "bound": 0.5}]


def served(*shares: float | None) -> list[Run]:
    return [
        judged("naive + none", "RECOVERED", 13, served=share, scenario=scenario(slo=SLO)) for share in shares
    ]


@pytest.mark.parametrize(
    ("shares", "violated", "answer"),
    [
        ([0.6], 0, "met"),
        ([0.4], 1, "violated"),
        ([0.6, 0.4], 1, "inconclusive"),
        ([0.6, 0.4, 0.6, 0.6, 0.6], 1, "inconclusive"),
        ([0.4, *[0.6] * 8], 1, "met"),
        ([0.6, *[0.4] * 8], 8, "violated"),
        ([None], 0, "inconclusive"),
    ],
)
def test_runs_that_agree_decide_and_others_by_their_share(
    shares: list[float | None], violated: int, answer: str
) -> None:
    (found,) = slo_decisions(served(*shares))
    assert (found.violated, found.answer) == (violated, answer)
    assert found.rule.startswith("availability ≥ 50 %")


BACK_SLO = [{"metric": "back_99_s", "phase": "storm", "operator": "<=", "bound": 60.0}]


def back(*after_s: str) -> list[Run]:
    """Runs of which all clients were back after so many seconds: `20`, or `37+` where they never were."""
    runs = []
    for text in after_s:
        found = Back(int(text.removesuffix("+")), at_least=text.endswith("+"))
        made = judged("naive + none", "OUTAGE", scenario=scenario(slo=BACK_SLO))
        clients = ClientsBack(
            disconnected=100, back_50=found, back_95=found, back_99=found, back_100=found, never_returned=0
        )
        summary = made.info.summary | {"back": msgspec.to_builtins(clients)}
        runs.append(msgspec.structs.replace(made, info=msgspec.structs.replace(made.info, summary=summary)))
    return runs


UNDECIDED: dict[str, tuple[list[str], str, str]] = {
    "most are undecided": (
        ["20", *["37+"] * 5],
        "inconclusive",
        "met in 1 of 6 runs, undecided in 5 (measured 20 s, ≥ 37 s)",
    ),
    "one of two is undecided": (
        ["20", "37+"],
        "inconclusive",
        "met in 1 of 2 runs, undecided in 1 (measured 20 s, ≥ 37 s)",
    ),
    "all are undecided": (["37+", "37+"], "inconclusive", "undecided in 2 of 2 runs (measured ≥ 37 s)"),
    "one is undecided, and so many are met that it would not matter": (
        [*["20"] * 8, "37+"],
        "met",
        "met in 8 of 9 runs, undecided in 1 (measured 20 s, ≥ 37 s)",
    ),
    "one is undecided, and so many are violated that it would not matter": (
        [*["70"] * 8, "37+"],
        "violated",
        "violated in 8 of 9 runs, undecided in 1 (measured 70 s, ≥ 37 s)",
    ),
    "violated, and one is undecided": (
        ["70", "70", "37+"],
        "inconclusive",
        "violated in 2 of 3 runs, undecided in 1 (measured 70 s, ≥ 37 s)",
    ),
    "too late already, whenever they will be back": (
        ["70", "61+"],
        "violated",
        "violated in 2 of 2 runs (measured 70 s, ≥ 61 s)",
    ),
}


@pytest.mark.parametrize(("after_s", "answer", "why"), UNDECIDED.values(), ids=UNDECIDED)
def test_an_undecided_run_counts_against_the_others(after_s: list[str], answer: str, why: str) -> None:
    (found,) = slo_decisions(back(*after_s))
    assert (found.answer, found.why) == (
        answer,
        f"SLO 99 % of clients back after ≤ 60 s, from the trigger’s end: {why}",
    )
    assert found.runs + found.undecided == len(after_s)


def test_a_gate_does_not_pass_on_the_few_runs_in_which_clients_came_back() -> None:
    runs = back("20", *["37+"] * 5)
    decision = decide(None, side("runs:x", runs), gauges(), slos=slo_decisions(runs))
    assert (decision.outcome, decision.more) == ("inconclusive", None)
    assert decision.reason.endswith(
        "undecided in 5 (measured 20 s, ≥ 37 s); more rounds are unlikely to decide it"
    )


def test_a_run_in_which_an_objective_was_not_measured_is_undecided() -> None:
    (found,) = slo_decisions(served(0.6, None))
    assert (found.runs, found.undecided, found.answer) == (1, 1, "inconclusive")


@pytest.mark.parametrize(
    ("after_s", "more"),
    [
        (["20", "70"], 2),
        (["20", "20", "37+"], 3),
        (["20", "37+"], None),
        (["37+"], None),
        (["70", "70", "37+"], 3),
    ],
)
def test_more_runs_are_asked_for_where_more_like_these_would_decide(
    after_s: list[str], more: int | None
) -> None:
    assert slo_decisions(back(*after_s))[0].more == more


def test_a_promise_says_what_was_found() -> None:
    assert slo_decisions(served(0.4, 0.4))[0].why.endswith("violated in 2 of 2 runs (measured 40 %)")
    assert slo_decisions(served(0.6))[0].why.endswith("met in 1 runs (measured 60 %)")
    assert slo_decisions(served(None))[0].why.endswith("not measured in any run")


def test_without_objectives_or_valid_runs_nothing_is_promised() -> None:
    assert slo_decisions([run()]) == ()
    assert slo_decisions([judged("naive + none", "INVALID", scenario=scenario(slo=SLO))]) == ()


def test_a_key_that_stands_in_no_table_is_a_setting_like_any_other() -> None:
    assert changes([run()], [with_scenario(novelty=1)]) == ("novelty",)


def disturbed(arm: str = "naive + none") -> Run:
    validity = {"valid": False, "problems": ["others"], "warnings": [], "invalidated_by_host": True}
    return judged(arm, "INVALID", validity=validity)


def test_runs_that_failed_are_told_from_those_that_others_disturbed_and_from_missing_ones() -> None:
    found = side("runs:x", [run(), judged("naive + none", "INVALID"), disturbed()], missing=2)
    assert (found.runs, found.disturbed, found.counted.valid, found.counted.failed) == (5, 1, 1, 3)
    assert found.problems == ("late", "others", "2 rounds produced no run directory")


@pytest.mark.parametrize(
    ("folders", "missing"),
    [
        ({"01": True, "02": True}, 0),
        ({"01": True, "02": False}, 1),
        ({"01": True, "03": True}, 1),
        ({"01": True, "02": False, "02-attempt2": True, "03": True}, 0),
        ({"01": True, "02": False, "02-try2": False}, 1),
        ({"01-1-naive": True, "03-1-naive": True}, 0),
        ({"20261122": True, "20261130": True}, 0),
        ({}, 0),
    ],
)
def test_rounds_that_left_no_run_are_missing(tmp_path: Path, folders: dict[str, bool], missing: int) -> None:
    for name, there in folders.items():
        (tmp_path / name / "mass-drop").mkdir(parents=True)
        if there:
            (tmp_path / name / "mass-drop" / "run.json").touch()
    assert missing_rounds(tmp_path) == missing
    assert missing_rounds(tmp_path / "nowhere") == 0


def test_a_run_that_fell_back_to_stamps_does_not_reject_the_gate() -> None:
    ours, fell_back = run(reference="schedule"), run(reference="due")
    assert changes([ours, fell_back], [ours]) == ()
    baseline, candidate, warning = sides_on_one_reference([ours, fell_back], [ours])
    assert "“baseline” 1 of 2" in warning
    measured = [one.values.get("effective_p99_after") for one in side("", [*baseline, *candidate]).measured]
    assert measured == [Value(60.0), None, Value(60.0)]
    assert sides_on_one_reference([ours], [ours])[2] == ""

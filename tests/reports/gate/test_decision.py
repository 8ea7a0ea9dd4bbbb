"""The outcome of a gate, the reason first, and what it says in every medium."""

import json
import random
import xml.etree.ElementTree as ET
from typing import Any

import msgspec
import pytest
from rich.console import Console

from reports.gate.decision import EXIT_STATUS, Decision, Outcome, Side, decide, fewest_rounds, look_of
from reports.gate.github import MOST_ANNOTATIONS, annotations, step_summary
from reports.gate.junit import junit
from reports.gate.measures import gauges
from reports.gate.slo import SloDecision
from reports.gate.terminal import terminal_decision
from reports.gate.text import lines, title
from tests.support.gate_runs import TYPICAL, drawn, run, side

HOSTILE = 'x" onload=a|b`<script>%0A::error::\n,:]]>\x00'


def promise(answer: Any, rule: str = "availability ≥ 90 %, from the trigger on") -> SloDecision:
    more = 2 if answer == "inconclusive" else None
    return SloDecision(
        rule=rule, found=("28 %",), runs=2, violated=0, answer=answer, why=f"{rule}: {answer}", more=more
    )


def decided(
    shifts: dict[str, float] | None = None, *, runs: int = 6, noise: float = 1.0, **options: Any
) -> Decision:
    """A decision between runs of which some measures are multiplied."""
    rng = random.Random(7)
    baseline = side(*drawn(rng, runs, noise), name="runs:before")
    candidate = side(*drawn(rng, runs, noise, **(shifts or {})), name="mine.toml")
    return decide(baseline, candidate, gauges(), **options)


NOTHING = Side(name="mine.toml", runs=3, measured=(), problems=("others used the cores", "and more"))


def test_nothing_worse_passes() -> None:
    decision = decided()
    assert decision.outcome == "pass"
    assert decision.reason == "no regression ≥ the minimum effect in any of 8 measures"
    assert decision.more is None


def test_anything_worse_is_a_regression_and_the_reason_comes_first() -> None:
    decision = decided({"pod_loop": 1.5, "attempts": 1.5})
    assert decision.outcome == "regression"
    assert decision.reason.startswith("connection attempts went from")
    assert decision.reason.endswith("(and 1 more)")


def test_what_excludes_nothing_does_not_pass() -> None:
    before, after = (0.3, 0.5, 0.7, 0.4, 0.6, 0.5), (0.5, 0.3, 0.7, 0.6, 0.4, 0.5)
    baseline, candidate = (side(*(run(pod_loop=loop) for loop in loops)) for loops in (before, after))
    decision = decide(baseline, candidate, gauges())
    assert decision.outcome == "inconclusive"
    assert decision.more is not None
    assert f"about {decision.more} more rounds needed to decide" in decision.reason


def test_one_more_round_is_one() -> None:
    decision = decided(runs=4)
    assert (decision.outcome, decision.more) == ("inconclusive", 1)
    assert decision.reason.endswith("about 1 more round needed to decide")


def test_where_rounds_do_not_help_it_says_so() -> None:
    same = side(*[run(effective_p99_after=[900])] * 6)
    decision = decide(same, same, gauges(("effective_p99_after",)))
    assert (decision.outcome, decision.more) == ("inconclusive", None)
    assert decision.reason.endswith("; more rounds are unlikely to decide it")


@pytest.mark.parametrize(
    ("baseline", "candidate"), [(NOTHING, side(run())), (side(run()), NOTHING), (None, NOTHING)]
)
def test_a_side_without_a_valid_run_is_never_compared(baseline: Side | None, candidate: Side) -> None:
    decision = decide(baseline, candidate, gauges(), slos=[promise("met")])
    assert decision.outcome == "invalid"
    assert decision.reason == "mine.toml has no valid run among 3: others used the cores"
    assert decision.findings == ()


def test_a_side_without_any_run_is_invalid() -> None:
    nothing = Side(name="mine.toml", runs=0, measured=())
    assert decide(None, nothing, gauges()).reason == "mine.toml has no valid run among 0"


def test_nothing_to_decide_on_is_invalid() -> None:
    assert decide(None, side(run()), gauges()).outcome == "invalid"
    assert decide(side(run()), side(run()), ()).outcome == "invalid"


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (["met", "met"], "pass"),
        (["met", "violated"], "regression"),
        (["inconclusive", "violated"], "regression"),
        (["met", "inconclusive"], "inconclusive"),
    ],
)
def test_objectives_alone_decide_where_there_is_no_baseline(answers: list[str], outcome: str) -> None:
    decision = decide(None, side(run(), run()), gauges(), slos=[promise(answer) for answer in answers])
    assert decision.outcome == outcome
    assert decision.more == (2 if outcome == "inconclusive" else None)


def test_a_broken_objective_fails_a_candidate_that_is_no_worse() -> None:
    decision = decided(slos=[promise("violated")])
    assert decision.outcome == "regression"
    assert decided(slos=[promise("met")]).reason.endswith("and all SLOs met (1)")


def test_every_outcome_has_its_exit_status() -> None:
    assert EXIT_STATUS == {"pass": 0, "regression": 1, "invalid": 3, "inconclusive": 4, "failed": 5}


@pytest.mark.parametrize(
    ("rounds", "most_rounds", "fewest"), [(5, 7, 5), (5, 5, 5), (2, 7, 5), (6, 20, 6), (2, 3, 5)]
)
def test_what_can_be_decided_after_how_many_rounds(rounds: int, most_rounds: int, fewest: int) -> None:
    assert fewest_rounds(gauges(), rounds, most_rounds) == fewest


# -- in words ----------------------------------------------------------------------------------------


def shown(decision: Decision) -> str:
    console = Console(width=150, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(terminal_decision(decision))
    return capture.get().replace("\u00a0", " ")


def test_the_screen_begins_with_the_reason_and_fits() -> None:
    text = shown(decided({"pod_loop": 1.5}, looks=4, slos=[promise("met")], notes=["In turn."]))
    assert text.startswith("REGRESSION: pod loop during went from")
    assert len(text.splitlines()) <= 24
    rows = text.splitlines()
    first = next(n for n, row in enumerate(rows) if row.startswith("measure")) + 1
    assert "pod loop" in rows[first]
    assert rows[first].rstrip().endswith("worse")
    assert "Baseline: runs:before, 6 valid runs of 6 (6 RECOVERED)" in text
    assert "p is adjusted for 8 measures (Holm) and for sequential testing: interim analysis 1 of 4." in text
    assert "availability ≥ 90 %" in text
    assert "In turn." in text


def test_an_invalid_side_says_why() -> None:
    text = "\n".join(lines(decide(None, NOTHING, gauges())))
    assert text == "Candidate: mine.toml, 0 valid runs of 3; 3 failed: others used the cores; and more"
    assert title(decide(None, NOTHING, gauges())).startswith("INVALID: mine.toml")


def test_junit_has_a_case_for_everything_that_was_decided() -> None:
    decision = decided({"pod_loop": 1.5}, slos=[promise("violated"), promise("inconclusive"), promise("met")])
    root = ET.fromstring(junit(decision, "gate-quick").encode())
    cases = root.findall(".//testcase")
    assert len(cases) == 1 + 8 + 3
    failed = [case.get("name") for case in cases if case.find("failure") is not None]
    assert failed == ["pod loop during", "availability ≥ 90 %, from the trigger on"]
    assert (root.get("failures"), root.get("errors"), root.get("tests")) == ("2", "1", "12")


@pytest.mark.parametrize(
    "decision", [decided(noise=40), decide(None, NOTHING, gauges())], ids=["inconclusive", "invalid"]
)
def test_junit_calls_what_was_not_decided_an_error(decision: Decision) -> None:
    root = ET.fromstring(junit(decision, "gate-quick").encode())
    assert root.find(".//error") is not None
    assert root.find(".//failure") is None


def test_hostile_names_are_text_in_junit() -> None:
    decision = decide(side(run()), Side(name=HOSTILE, runs=1, measured=(), problems=(HOSTILE,)), gauges())
    root = ET.fromstring(junit(decision, HOSTILE).encode())
    error = root.find(".//error")
    assert error is not None
    assert "<script>" in error.get("message", "")
    assert "\ufffd" in error.get("message", "")


def test_annotations_are_one_line_each_whatever_is_in_them() -> None:
    decision = decide(
        None,
        side(run(), name=HOSTILE),
        gauges(),
        slos=[promise("violated", HOSTILE), promise("inconclusive")],
    )
    found = annotations(decision, HOSTILE)
    assert [line.split(" ")[0] for line in found] == ["::error", "::error", "::warning"]
    for line in found:
        assert "\n" not in line
        properties, _, message = line.removeprefix("::").partition("::")
        assert not {",", "\n"} & set(properties.partition("title=")[2])
        assert ":" not in properties.partition("title=")[2]
        assert "%0A::error" not in message
    assert "%250A" in found[0]


def test_annotations_tell_what_is_worse_and_what_is_open() -> None:
    worse = annotations(decided({"pod_loop": 1.5}), "gate-quick")
    assert worse[0].startswith("::error title=REGRESSION gate-quick::pod loop during went from")
    assert worse[1].startswith("::error title=pod loop during%3A worse::")
    undecided = annotations(decided(noise=40), "gate-quick")
    assert undecided[0].startswith("::warning title=INCONCLUSIVE")
    assert annotations(decided(), "gate-quick") == [
        "::notice title=PASS gate-quick::no regression ≥ the minimum effect in any of 8 measures"
    ]
    many = decided(slos=[promise("violated")] * 20)
    assert len(annotations(many, "gate-quick")) == MOST_ANNOTATIONS


def test_the_summary_of_a_step_is_markdown_in_which_every_value_is_text() -> None:
    decision = decide(
        None, side(run(), name=HOSTILE), gauges(), slos=[promise("violated", HOSTILE)], notes=[HOSTILE]
    )
    text = step_summary(decision, HOSTILE)
    assert "<script>" not in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") == 7
    whole = step_summary(decided({"pod_loop": 1.5}), "gate-quick")
    assert whole.startswith("### gate-quick: REGRESSION: pod loop during")
    assert whole.count("\n| ") == 2 + len(TYPICAL) + 1


def test_a_decision_is_json() -> None:
    whole = json.loads(msgspec.json.encode(decided({"pod_loop": 1.5})))
    assert {finding["answer"] for finding in whole["findings"]} == {"worse", "not worse"}


# -- runs that say nothing good of their side ----------------------------------------------------------------


def with_failures(name: str, valid: int, failed: int = 0, disturbed: int = 0) -> Side:
    rng = random.Random(valid)
    return Side(
        name=name,
        runs=valid + failed + disturbed,
        measured=drawn(rng, valid),
        problems=("disconnects before the trigger: 1",) if failed else (),
        disturbed=disturbed,
    )


FAILING: dict[str, tuple[Side, Side, str, str]] = {
    "a run of the candidate failed": (
        with_failures("before", 8),
        with_failures("after", 7, failed=1),
        "inconclusive",
        "INVALID runs: 1 of 8 against 0 of 8, not because of other load on the host",
    ),
    "a run of the baseline failed": (
        with_failures("before", 7, failed=1),
        with_failures("after", 8),
        "pass",
        "any of 9 measures",
    ),
    "most runs of the candidate failed": (
        with_failures("before", 12),
        with_failures("after", 3, failed=9),
        "regression",
        "INVALID runs went from 0 of 12 to 9 of 12",
    ),
    "the host disturbed both": (
        with_failures("before", 8, disturbed=2),
        with_failures("after", 8, disturbed=3),
        "pass",
        "any of 8 measures",
    ),
    "the host disturbed the candidate alone, time and again": (
        with_failures("before", 8),
        with_failures("after", 8, disturbed=8),
        "inconclusive",
        "the host invalidated 8 of 16 runs of the candidate and 0 of 8 of the baseline",
    ),
}


@pytest.mark.parametrize(("baseline", "candidate", "outcome", "said"), FAILING.values(), ids=FAILING)
def test_runs_that_are_not_valid_are_counted_on_either_side(
    baseline: Side, candidate: Side, outcome: str, said: str
) -> None:
    decision = decide(baseline, candidate, gauges())
    assert decision.outcome == outcome
    assert said in decision.reason
    root = ET.fromstring(junit(decision, "gate-quick").encode())
    bad = root.find(".//failure") is not None or root.find(".//error") is not None
    assert bad == (outcome != "pass")


def test_both_sides_say_how_many_runs_they_lost_and_why() -> None:
    text = lines(decide(*FAILING["a run of the candidate failed"][:2], gauges()))
    assert text[0] == "Baseline: before, 8 valid runs of 8 (8 RECOVERED)"
    assert text[1] == (
        "Candidate: after, 7 valid runs of 8 (7 RECOVERED); 1 failed: disconnects before the trigger: 1"
    )
    assert "3 invalidated by the host" in lines(decide(*FAILING["the host disturbed both"][:2], gauges()))[1]


def test_without_a_baseline_a_candidate_that_spoils_a_run_does_not_pass_on_its_objectives() -> None:
    decision = decide(None, with_failures("mine.toml", 4, failed=1), gauges(), slos=[promise("met")])
    assert decision.outcome == "inconclusive"
    assert decision.reason == "1 of 5 runs failed: disconnects before the trigger: 1"


TOO_FEW: dict[str, tuple[str, int, str, str]] = {
    "as many as were asked for": ("met", 0, "pass", "all SLOs met (1)"),
    "more than were asked for": ("met", 2, "pass", "all SLOs met (1)"),
    "one short": (
        "met",
        -1,
        "inconclusive",
        "met; too few: ≥ 1 more valid run expected; about 1 more round needed to decide",
    ),
    "two short": (
        "met",
        -2,
        "inconclusive",
        "met; too few: ≥ 2 more valid runs expected; about 2 more rounds needed to decide",
    ),
    "short, and violated": ("violated", -2, "regression", "on: violated"),
    "short, and inconclusive anyhow": (
        "inconclusive",
        -2,
        "inconclusive",
        "from the trigger on: inconclusive; about 2 more rounds needed to decide",
    ),
}


@pytest.mark.parametrize(("answer", "look", "outcome", "said"), TOO_FEW.values(), ids=TOO_FEW)
def test_fewer_valid_runs_than_were_asked_for_violate_an_objective_but_do_not_meet_it(
    answer: str, look: int, outcome: str, said: str
) -> None:
    candidate = with_failures("mine.toml", 1, disturbed=2)
    decision = decide(None, candidate, gauges(), slos=[promise(answer)], look=look, looks=4)
    assert decision.outcome == outcome
    assert decision.reason.endswith(said)
    root = ET.fromstring(junit(decision, "gate-quick").encode())
    bad = root.find(".//failure") is not None or root.find(".//error") is not None
    assert bad == (outcome != "pass")


def test_an_accepted_regression_does_not_make_an_objective_met_by_too_few_runs() -> None:
    ours, theirs = with_failures("after", 4, disturbed=1), with_failures("before", 5)
    keys = {gauge.key: "known" for gauge in gauges()}
    decision = decide(theirs, ours, gauges(), slos=[promise("met")], look=-1, looks=4, accepted=keys)
    assert decision.outcome == "inconclusive"


@pytest.mark.parametrize("outcome", ["invalid", "failed"])
@pytest.mark.parametrize("change", [{}, {"pod_loop": 1.5}], ids=["no worse", "worse"])
def test_a_gate_that_was_broken_off_says_why_and_does_not_pass(
    outcome: Outcome, change: dict[str, float]
) -> None:
    decision = decided(change, broken_off=(outcome, "the pod of the candidate ended"))
    assert (decision.outcome, decision.reason) == (outcome, "the pod of the candidate ended")


def test_a_look_that_has_no_more_runs_than_the_one_before_is_no_second_chance() -> None:
    first = decided(runs=5, looks=4)
    assert first.outcome == "pass"
    again = decided(runs=5, looks=4, earlier=msgspec.structs.replace(first, excluded=()))
    assert again.outcome == "inconclusive"
    assert decided(runs=5, looks=4, earlier=first).outcome == "pass"


def test_disturbed_runs_use_up_no_look() -> None:
    assert look_of(with_failures("a", 5), with_failures("b", 4, failed=1), 5) == 0
    assert look_of(with_failures("a", 6), with_failures("b", 4, disturbed=2), 5) == -1
    assert look_of(None, with_failures("b", 6), 5) == 1

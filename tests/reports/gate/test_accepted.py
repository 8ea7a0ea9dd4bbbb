"""Accepted regressions: what a file may say, what counts today, and that no output hides them."""

import contextlib
import random
import re
import xml.etree.ElementTree as ET
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.gate.accepted import (
    ALL,
    Acceptance,
    Accepted,
    AcceptedError,
    everything,
    in_force,
    read_acceptances,
)
from reports.gate.decision import Decision, Side, decide
from reports.gate.github import LONGEST, annotations, comment, step_summary
from reports.gate.junit import junit
from reports.gate.measures import ALLOWED_KEYS, FAILED, VERDICT, gauges
from reports.gate.slo import SloDecision
from reports.gate.text import lines, title
from tests.support.gate_runs import TYPICAL, drawn, run, side

TODAY = date(2026, 6, 1)
REASON = "cap of 1 s, agreed with the client team (until 2026-12-31, storm-accepted.toml)"
ENTRY = """
[[accept]]
measure = "attempts"
reason = "cap of 1 s, agreed with the client team"
until = 2026-12-31
"""


def decided(
    accepted: dict[str, str] | None = None, *, slos: tuple[SloDecision, ...] = (), **shifts: Any
) -> Decision:
    """A decision between runs of which some measures are multiplied."""
    rng = random.Random(7)
    baseline = side(*drawn(rng, 6), name="git:main")
    candidate = side(*drawn(rng, 6, **shifts), name="storm.toml")
    return decide(baseline, candidate, gauges(), slos=slos, accepted=accepted)


def violated() -> SloDecision:
    return SloDecision(
        rule="availability ≥ 90 %", found=("28 %",), runs=2, violated=2, answer="violated", why="SLO violated"
    )


# -- the file ----------------------------------------------------------------------------------------


def test_an_entry_names_a_measure_a_reason_and_a_last_day() -> None:
    assert read_acceptances(ENTRY, "f") == (
        Acceptance(
            measure="attempts", reason="cap of 1 s, agreed with the client team", until=date(2026, 12, 31)
        ),
    )
    assert read_acceptances("", "f") == ()


REFUSED: dict[str, tuple[str, str]] = {
    "no TOML": ("[[accept", "f: not valid TOML"),
    "another table": ("[accepted]", "f: accepted: unknown key: expected [[accept]]"),
    "a table where a list belongs": ("[accept]\nmeasure = 1", "f: accept: expected tables: [[accept]]"),
    "a list of numbers": ("accept = [1]", "f: accept: expected tables: [[accept]]"),
    "an unknown measure": (
        ENTRY.replace("attempts", "atempts"),
        "f: accept[0].measure: invalid value 'atempts': expected one of verdict, ",
    ),
    "failed runs": (ENTRY.replace("attempts", FAILED), "f: accept[0].measure: invalid value 'failed'"),
    "every measure": (ENTRY.replace("attempts", ALL), "f: accept[0].measure: invalid value '*'"),
    "no reason": (ENTRY.replace("reason", "baseline"), "f: accept[0].reason: missing: expected a sentence"),
    "an empty reason": (
        '[[accept]]\nmeasure = "attempts"\nreason = " "\nuntil = 2026-12-31',
        "f: accept[0].reason: invalid value ' ': expected a sentence",
    ),
    "no last day": (ENTRY.replace("until = 2026-12-31", ""), "f: accept[0].until: missing: expected a date"),
    "a last day as text": (
        ENTRY.replace("2026-12-31", '"2026-12-31"'),
        "f: accept[0].until: invalid value '2026-12-31': expected a date such as 2026-12-31, without quot",
    ),
    "a moment": (
        ENTRY.replace("2026-12-31", "2026-12-31T00:00:00"),
        "f: accept[0].until: invalid value '2026-12-31 00:00:00': expected a date",
    ),
    "a branch as the baseline": (
        ENTRY + 'baseline = "main"',
        "f: accept[0].baseline: invalid value 'main': expected the commit of the baseline, 7 to 40",
    ),
    "an unknown key": (ENTRY + 'untill = ""', "f: accept[0].untill: unknown key: expected measure, reason,"),
    "the second entry": (ENTRY + "[[accept]]", "f: accept[1].measure: missing: expected one of"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_an_error_names_the_file_the_entry_and_what_is_expected(text: str, said: str) -> None:
    with pytest.raises(AcceptedError) as caught:
        read_acceptances(text, "f")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@given(
    st.sampled_from((VERDICT, *ALLOWED_KEYS)),
    st.text(
        st.characters(codec="ascii", exclude_categories=["C"], exclude_characters='"\\'), min_size=1
    ).filter(str.strip),
    st.dates(),
)
def test_every_entry_with_a_known_measure_a_reason_and_a_day_is_read(
    measure: str, reason: str, until: date
) -> None:
    text = f'[[accept]]\nmeasure = "{measure}"\nreason = "{reason}"\nuntil = {until.isoformat()}\n'
    (entry,) = read_acceptances(text, "f")
    assert (entry.measure, entry.reason, entry.until) == (measure, " ".join(reason.split()), until)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(AcceptedError):
        assert all(entry.reason for entry in read_acceptances(text, "f"))


# -- what counts today -------------------------------------------------------------------------------

ENTRIES = st.lists(
    st.builds(
        Acceptance,
        measure=st.sampled_from((VERDICT, *ALLOWED_KEYS)),
        reason=st.just("because"),
        until=st.dates(TODAY - timedelta(days=9), TODAY + timedelta(days=9)),
        baseline=st.sampled_from(("", "abcdef0", "1234567")),
    )
)


@given(ENTRIES)
def test_an_entry_counts_exactly_until_its_last_day_and_against_its_baseline(
    entries: list[Acceptance],
) -> None:
    found = in_force(entries, source="f", today=TODAY, baseline="abcdef0123")
    good = [one for one in entries if one.until >= TODAY and one.baseline in {"", "abcdef0"}]
    assert set(found.reasons) == {one.measure for one in good}
    assert len(found.ignored) == len(entries) - len(good)


def test_what_is_ignored_says_why() -> None:
    old, other = (
        Acceptance(measure="attempts", reason="r", until=TODAY - timedelta(days=1)),
        Acceptance(measure="pod_loop", reason="r", until=TODAY, baseline="1234567"),
    )
    assert in_force([old, other], source="f", today=TODAY).ignored == (
        "f: attempts: expired on 2026-05-31, and is ignored (r)",
        "f: pod_loop: accepted against 1234567, and is ignored: the baseline is no commit that is known (r)",
    )


# -- what it does to a decision ----------------------------------------------------------------------


def test_an_accepted_regression_passes_and_the_reason_says_so_first() -> None:
    assert decided(attempts=1.5).outcome == "regression"
    decision = decided({"attempts": REASON}, attempts=1.5)
    assert decision.outcome == "pass"
    assert decision.reason.startswith("1 accepted regression: connection attempts went from ")
    assert f"accepted: {REASON}, and no regression" in decision.reason
    assert decision.reason.endswith("in any of 7 other measures")


def test_only_the_measure_that_is_named_is_accepted() -> None:
    decision = decided({"attempts": REASON}, attempts=1.5, pod_loop=1.5)
    assert decision.outcome == "regression"
    assert decision.reason.startswith("pod loop during went from")
    assert f"Accepted: {decision.findings[5].why}: {REASON}" in lines(decision)


def test_a_label_accepts_every_measure_but_no_slo_and_no_failed_run() -> None:
    label = everything(Accepted(), "label storm-accepted on pull request 7").reasons
    assert decided(dict(label), attempts=1.5, pod_loop=1.5).outcome == "pass"
    assert decided(dict(label), attempts=1.5, slos=(violated(),)).outcome == "regression"
    rng = random.Random(3)
    before = side(*drawn(rng, 12))
    after = Side(name="after", runs=12, measured=drawn(rng, 3), problems=("clients were lost",))
    assert decide(before, after, gauges(), accepted=label).outcome == "regression"


def test_an_accepted_measure_that_is_inconclusive_holds_nothing_up() -> None:
    loops = (0.3, 0.5, 0.7, 0.4, 0.6, 0.5)
    baseline, candidate = (side(*(run(pod_loop=loop) for loop in some)) for some in (loops, loops[::-1]))
    assert decide(baseline, candidate, gauges()).outcome == "inconclusive"
    decision = decide(baseline, candidate, gauges(), accepted={"pod_loop": REASON})
    assert (decision.outcome, decision.more) == ("pass", None)
    assert decision.reason.startswith("1 accepted inconclusive measure: pod loop during: a regression ≥ ")
    assert any(REASON in line for line in lines(decision))


@given(st.sets(st.sampled_from(sorted(TYPICAL))), st.sets(st.sampled_from(sorted(TYPICAL))))
def test_a_gate_passes_where_exactly_what_is_worse_is_accepted(worse: set[str], named: set[str]) -> None:
    shifts: dict[str, Any] = {key: 0.5 if key == "availability" else 1.6 for key in worse}
    decision = decided(dict.fromkeys(named, REASON), **shifts)
    found = {one.key for one in decision.findings if one.answer == "worse"}
    assert found == worse
    assert (decision.outcome == "pass") == (worse <= named)
    assert {one.key for one in decision.findings if one.accepted} == worse & named


UNUSED = {
    "a measure that is not worse": ({"pod_loop": REASON}, "Accepted, but pod_loop is not worse: "),
    "a measure of no gauge": (
        {"joins": REASON},
        "Accepted, but joins is not among the measures of this gate: ",
    ),
    "everything": ({ALL: REASON}, "Accepted, but no measure is worse: "),
}


@pytest.mark.parametrize(("accepted", "said"), UNUSED.values(), ids=UNUSED)
def test_what_accepts_nothing_is_named(accepted: dict[str, str], said: str) -> None:
    decision = decided(accepted)
    assert decision.outcome == "pass"
    assert decision.notes[-1] == said + REASON


def test_without_a_baseline_there_is_nothing_to_accept() -> None:
    decision = decide(None, side(run()), gauges(), slos=[violated()], accepted={"attempts": REASON})
    assert decision.outcome == "regression"
    assert decision.notes == (f"Accepted, but nothing was compared: {REASON}",)


# -- every output shows it ---------------------------------------------------------------------------


def test_every_output_shows_what_was_accepted() -> None:
    decision = decided({"attempts": "agreed"}, attempts=1.5)
    assert "agreed" in title(decision)
    assert annotations(decision, "s")[1].startswith(
        "::warning title=connection attempts%3A worse%2C accepted::connection attempts went from"
    )
    assert "worse (accepted)" in step_summary(decision, "s")
    assert "worse (accepted)" in comment(decision, "s")
    root = ET.fromstring(junit(decision, "s").encode())
    assert (root.get("failures"), root.get("skipped")) == ("0", "1")
    skipped = root.find(".//skipped")
    assert skipped is not None
    assert skipped.get("message", "").endswith("agreed")


def test_a_comment_begins_with_the_outcome_and_folds_what_has_not_changed() -> None:
    text = comment(decided(attempts=1.5), "s|x", "https://ci.example/1")
    first, _, reason, *_ = text.splitlines()
    assert first == "### s\\|x: REGRESSION"
    assert reason.startswith("connection attempts went from")
    shown, folded = text.split("<details>")
    assert shown.count("\n| ") == 2 + 1
    assert folded.count("\n| ") == 2 + 1 + len(TYPICAL)
    assert text.endswith("[Log of this job](https://ci.example/1)\n")


def test_a_comment_shows_the_worst_measure_run_by_run() -> None:
    chart = comment(decided(attempts=1.5), "s").split("```mermaid")[1].split("```")[0]
    assert 'title "connection attempts: baseline grey, candidate orange"' in chart
    assert "[1, 2, 3, 4, 5, 6]" in chart
    baseline, candidate = re.findall(r"line \[(.*)\]", chart)
    assert max(map(float, baseline.split(", "))) < min(map(float, candidate.split(", ")))


def test_a_measure_that_never_came_is_not_drawn() -> None:
    same = side(*[run(time_to_recover_s=None, pod_loop=0.5)] * 6)
    decision = decide(same, same, gauges(("time_to_recover_s", "pod_loop")))
    assert 'y-axis "pod loop during, percent"' in comment(decision, "s")
    assert "mermaid" not in comment(decide(same, same, gauges(("time_to_recover_s",))), "s")


def test_a_comment_is_never_longer_than_what_is_taken() -> None:
    decision = decide(None, side(run(), name="x" * 70_000), gauges(), slos=[violated()], notes=["y" * 70_000])
    text = comment(decision, "s", "https://ci.example/1")
    assert len(text) <= LONGEST
    assert text.startswith("### s: REGRESSION")
    assert text.endswith("[Log of this job](https://ci.example/1)\n")

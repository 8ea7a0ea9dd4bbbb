"""Change points of a gate's history: slow slips, false positives, what is compared, and how it is told."""

import random
import xml.etree.ElementTree as ET

import msgspec
import pytest

from reports.compare.measures import BY_KEY
from reports.figures.timeline import svg
from reports.figures.trend import MOST_ENTRIES, trend_alt_text, trend_figure
from reports.gate.commit import Commit
from reports.gate.history import GateFileError, TrendEntry
from reports.gate.measures import DEFAULT_KEYS, gauges
from reports.trend.changes import Change, changes, latest_worse, trend_gauges, worse_since
from reports.trend.text import MOST_IN_A_NOTE, change_table, history_note, sentence
from tests.support.gate_runs import run
from tests.support.trends import entry, history, slips

GAUGES = gauges()
SLIPPING = [key for key in DEFAULT_KEYS if key not in {"time_to_recover_s", "disconnects"}]
"""Measures that a share of their value can change; the others are 0 or never scatter."""


def found_in(entries: list[TrendEntry]) -> tuple[Change, ...]:
    return changes(entries, GAUGES)


def worse_by(key: str, share: float) -> float:
    return -share if BY_KEY[key].effect.better == "higher" else share


@pytest.mark.parametrize("key", SLIPPING)
def test_ten_slips_of_two_percent_are_seen_with_the_scatter_of_recorded_runs(key: str) -> None:
    seen = 0
    for seed in range(20):
        slipping = {key: slips(10, 10, worse_by(key, 0.02))}
        found = found_in(history(random.Random(seed), 22, machine="x", scenario="y", **slipping))
        seen += any(change.key == key and change.worse and 9 <= change.index <= 18 for change in found)
    assert seen >= 19


def test_an_unchanged_history_has_hardly_ever_a_change_point() -> None:
    found = sum(bool(found_in(history(random.Random(seed), 30))) for seed in range(50))
    # 0.5 of 50 are expected at the most; more than 3 come in 2 of 1,000 cases.
    assert found <= 3


def test_a_change_for_the_better_is_one_and_says_so() -> None:
    (change,) = found_in(history(random.Random(1), 24, attempts=slips(12, 1, -0.2)))
    assert (change.key, change.index, change.worse) == ("attempts", 12, False)
    assert change.ratio == pytest.approx(0.8, abs=0.01)
    assert change.ratio_low is not None
    assert change.ratio_high is not None
    assert change.ratio_low <= 0.8 <= change.ratio_high
    assert (change.gates_before, change.gates_after, change.from_index, change.to_index) == (12, 12, 0, 23)


def test_what_is_far_below_the_minimum_effect_is_no_change() -> None:
    assert found_in(history(random.Random(1), 60, attempts=slips(30, 1, 0.02))) == ()


def test_a_recovery_that_no_longer_comes_is_a_change_without_a_ratio() -> None:
    entries = [entry(number, [run(time_to_recover_s=None if number > 11 else 3)] * 5) for number in range(24)]
    (change,) = found_in(entries)
    assert (change.key, change.before, change.after, change.ratio) == ("time_to_recover_s", 3, None, None)
    assert sentence(change).startswith(
        "time to recover went from 3 s to never at 000c000000 (2026-11-13): p "
    )


def test_only_gates_of_one_scenario_on_one_machine_are_compared() -> None:
    rng = random.Random(2)
    here = history(rng, 12)
    elsewhere = history(rng, 12, machine="64 cores", attempts=slips(0, 1, 0.5))
    other = history(rng, 12, scenario="gate-full", attempts=slips(0, 1, 0.5))
    assert found_in([*here, *elsewhere]) == ()
    assert found_in([*here, *other]) == ()
    # Runners that take turns are two series.
    assert found_in([one for pair in zip(here, elsewhere, strict=True) for one in pair]) == ()


def test_gates_whose_runs_cannot_be_trusted_are_left_out() -> None:
    entries = history(random.Random(3), 24, attempts=slips(12, 1, 0.5))
    broken = [msgspec.structs.replace(one, outcome="failed") for one in entries[12:]]
    assert found_in([*entries[:12], *broken]) == ()


@pytest.fixture(scope="module")
def slowed() -> list[TrendEntry]:
    return history(random.Random(4), 30, attempts=slips(10, 1, 0.3), pod_loop=slips(20, 1, 0.3))


def test_since_a_commit_only_what_is_new_counts(slowed: list[TrendEntry]) -> None:
    found = found_in(slowed)
    assert [change.key for change in worse_since(found, slowed)] == ["attempts", "pod_loop"]
    assert [change.key for change in worse_since(found, slowed, "000f")] == ["pod_loop"]
    assert [change.key for change in worse_since(found, slowed, slowed[20].commit.id)] == ["pod_loop"]
    assert worse_since(found, slowed, slowed[-1].commit.id) == []


@pytest.mark.parametrize("commit", ["ffff", "00", "main"])
def test_a_commit_that_no_gate_has_is_refused(slowed: list[TrendEntry], commit: str) -> None:
    with pytest.raises(
        GateFileError, match=f"invalid commit '{commit}': expected one of the trend, such as 001b"
    ):
        worse_since((), slowed, commit)


def test_a_change_that_was_taken_back_is_not_the_latest() -> None:
    bump = history(random.Random(5), 36, attempts=lambda number: 1.3 if 14 <= number < 24 else 1.0)
    found = found_in(bump)
    assert [change.worse for change in found] == [True, False]
    assert latest_worse(found) == []


def test_measures_that_only_another_version_knows_are_left_out(slowed: list[TrendEntry]) -> None:
    odd = msgspec.structs.replace(
        slowed[0], measures={**slowed[0].measures, "joy": slowed[0].measures["attempts"]}
    )
    keys = {gauge.key for gauge in trend_gauges([odd])}
    assert keys == {"verdict", *DEFAULT_KEYS}


# -- how it is told --------------------------------------------------------------------------------


def test_a_table_has_a_row_for_each_change_point(slowed: list[TrendEntry]) -> None:
    table = change_table(found_in(slowed))
    first, second = (dict(zip(table.headings, row, strict=True)) for row in table.rows)
    assert (first["since commit"], first["measure"]) == (
        "000a000000",
        "connection attempts (lower is better)",
    )
    assert (first["from"], first["to"], first["result"]) == ("250 in 10 gates", "324 in 20 gates", "worse")
    assert second["ratio"].startswith("1.3")
    assert "scenario" not in first


def test_a_table_of_several_machines_names_them(slowed: list[TrendEntry]) -> None:
    elsewhere = [msgspec.structs.replace(one, machine="64 cores") for one in slowed]
    table = change_table(found_in([*slowed, *elsewhere]))
    assert {row[-1] for row in table.rows} == {"2 cores", "64 cores"}


def test_the_note_of_a_gate_names_the_newest_first_and_where_to_look(slowed: list[TrendEntry]) -> None:
    note = history_note(found_in(slowed), 30, "trend.jsonl")
    assert note.startswith("History of 30 gates, change points for the worse: pod loop during went from ")
    assert note.endswith("see `reconnect-storm report --trend trend.jsonl`.")
    assert history_note((), 30, "trend.jsonl") == ""
    assert f"; and {6 - MOST_IN_A_NOTE} more. " in history_note(found_in(slowed) * 3, 30, "trend.jsonl")


def test_the_chart_marks_change_points_with_both_levels(slowed: list[TrendEntry]) -> None:
    found = found_in(slowed)
    drawing = svg(trend_figure(slowed, GAUGES, found), trend_alt_text(slowed, found))
    ET.fromstring(drawing)
    assert "250 \u2192 324" in drawing
    assert "Change points: connection attempts went from 250 to 324" in drawing
    without = svg(trend_figure(slowed, GAUGES), trend_alt_text(slowed))
    assert "\u2192" not in without
    assert "Change points" not in without


def test_a_change_point_before_the_first_gate_of_the_chart_is_not_drawn() -> None:
    entries = history(random.Random(6), MOST_ENTRIES + 15, attempts=slips(10, 1, 0.3))
    found = found_in(entries)
    assert [change.index for change in found] == [10]
    assert "\u2192" not in svg(trend_figure(entries, GAUGES, found), "alt")


def test_a_commit_is_found_by_its_beginning_only() -> None:
    entries = [
        msgspec.structs.replace(entry(0, [run(attempts=1)]), commit=Commit("abcdef0123", "2026-11-01"))
    ]
    assert worse_since((), entries, "ABCDEF") == []
    with pytest.raises(GateFileError):
        worse_since((), entries, "0123")

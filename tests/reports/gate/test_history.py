"""Files that grow from gate to gate, and the chart of a trend."""

import csv
import json
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from reports.figures.timeline import svg
from reports.figures.trend import MOST_ENTRIES, trend_alt_text, trend_figure
from reports.gate.commit import Commit
from reports.gate.decision import Decision, decide
from reports.gate.history import (
    GateFileError,
    TrendEntry,
    append_runs,
    read_trend,
    trend_entry,
    write_trend,
)
from reports.gate.measures import gauges
from tests.support.gate_runs import drawn, run, side
from tests.support.histories import scenario
from tests.support.judged_runs import run as judged

COMMIT = Commit("0123456789abcdef", "2026-11-26T00:00:00+00:00")
RUN = judged("naive + none", "RECOVERED", 13)
KEYS = ("availability", "time_to_recover_s", "effective_p99_after")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_table_grows_by_a_row_for_each_valid_run(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    lost = judged("naive + none", "METASTABLE", None)
    append_runs(path, [RUN, judged("naive + none", "INVALID")], KEYS, COMMIT)
    append_runs(path, [lost], KEYS, COMMIT)
    first, second = rows(path)
    assert list(first) == ["time", "commit", "scenario", *KEYS]
    assert (first["commit"], first["scenario"]) == (COMMIT.id, "mass-drop")
    assert first["time"] == "2026-11-22T20:00:00Z"
    assert [float(first[key]) for key in KEYS] == [0.5, 13.0, 60.0]
    assert float(second["time_to_recover_s"]) == 54, "of what was never seen, the bound"


def test_what_was_not_measured_has_no_column(tmp_path: Path) -> None:
    append_runs(tmp_path / "runs.csv", [RUN], ("availability", "pod_loop"), COMMIT)
    assert list(rows(tmp_path / "runs.csv")[0]) == ["time", "commit", "scenario", "availability"]


def test_without_a_valid_run_there_is_no_table(tmp_path: Path) -> None:
    append_runs(tmp_path / "runs.csv", [judged("naive + none", "INVALID")], KEYS, COMMIT)
    assert not (tmp_path / "runs.csv").exists()


def test_a_table_with_other_measures_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    append_runs(path, [RUN], ("availability",), COMMIT)
    before = path.read_text()
    with pytest.raises(GateFileError, match=r"runs\.csv: invalid columns time,commit,scenario,availability"):
        append_runs(path, [RUN], KEYS, COMMIT)
    assert path.read_text() == before


# -- trend -------------------------------------------------------------------------------------------


def decision(**shifts: float) -> Decision:
    rng = random.Random(5)
    return decide(side(*drawn(rng, 6)), side(*drawn(rng, 6, **shifts)), gauges())


def entry(commit: str = COMMIT.id, made: Decision | None = None) -> TrendEntry:
    return trend_entry(
        made or decision(),
        gauges(),
        commit=Commit(commit, COMMIT.date),
        run=RUN,
        recorded="2026-11-26T01:00:00+00:00",
    )


def test_a_trend_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "trend.jsonl"
    assert read_trend(path) == []
    entries = [entry("a" * 40), entry("b" * 40, decision(pod_loop=1.5))]
    write_trend(path, entries)
    assert read_trend(path) == entries
    first = json.loads(path.read_text().splitlines()[1])
    assert (first["outcome"], first["scenario"], first["runs"]) == ("regression", "mass-drop", 6)
    assert first["machine"] == "2 cores, test, Python None"


@pytest.mark.parametrize("text", ["{}", "half a li", '{"commit": 1}', "[]"])
def test_a_trend_that_no_gate_has_written_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trend.jsonl"
    write_trend(path, [entry()])
    path.write_text(path.read_text() + text)
    with pytest.raises(GateFileError, match=r"trend\.jsonl: line 2: "):
        read_trend(path)


def test_a_trend_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GateFileError, match="cannot be read"):
        read_trend(tmp_path)


def test_the_chart_shows_every_measure_over_the_commits() -> None:
    never = decide(side(run()), side(run(time_to_recover_s=None), run(time_to_recover_s=3)), gauges())
    moved = entry("c" * 40)
    elsewhere = TrendEntry(
        **{name: getattr(moved, name) for name in moved.__struct_fields__} | {"machine": "x"}
    )
    entries = [entry('<script>"&$x'), entry("b" * 40, decision(pod_loop=1.5)), elsewhere, entry("d", never)]
    drawing = svg(trend_figure(entries, gauges()), trend_alt_text(entries))
    ET.fromstring(drawing)
    assert "<script>" not in drawing
    for name in ("availability", "time to recover", "pod loop during", "bbbbbbbb"):
        assert name in drawing
    assert drawing == svg(trend_figure(entries, gauges()), trend_alt_text(entries)), (
        "the same bytes every time"
    )


def test_a_recovery_that_one_run_did_not_see_has_no_end() -> None:
    some = decide(side(run()), side(*[run(time_to_recover_s=3)] * 2, run(time_to_recover_s=None)), gauges())
    ET.fromstring(svg(trend_figure([entry("e", some)], gauges()), "alt"))


def test_an_axis_of_zeros_begins_at_zero() -> None:
    nothing = decide(side(run()), side(*[run(time_to_recover_s=0)] * 3), gauges())
    panels = trend_figure([entry("e", nothing)], gauges()).axes
    (axis,) = (panel for panel in panels if panel.get_title(loc="left").startswith("time to recover"))
    assert axis.get_ylim() == (0, 1)


def test_a_chart_of_nothing_measured_is_still_a_chart() -> None:
    bare = decide(side(run()), side(run()), gauges())
    ET.fromstring(svg(trend_figure([entry("f", bare)], gauges(())), "alt"))


def test_the_chart_says_in_words_what_it_shows_and_begins_where_it_must() -> None:
    entries = [entry(f"{n:040}") for n in range(MOST_ENTRIES + 5)]
    text = trend_alt_text(entries)
    assert f"over {MOST_ENTRIES} gates ({MOST_ENTRIES} pass)" in text
    assert f"{4:08}"[:8] not in svg(trend_figure(entries, gauges()), "alt").replace(f"{0:08}", "")


def test_the_scenario_of_a_run_is_that_of_its_entry() -> None:
    other = judged("naive + none", "RECOVERED", 13, scenario=scenario(name="gate-quick"))
    made = trend_entry(decision(), gauges(), commit=COMMIT, run=other, recorded="")
    assert made.scenario == "gate-quick"

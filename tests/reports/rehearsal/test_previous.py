"""Several rehearsals: the latest compared with previous ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reports.figures.palette import COLOURS, LINES
from reports.rehearsal import write_rehearsals
from reports.rehearsal.facts import facts
from reports.rehearsal.previous import differences, label_of, previous_chapter
from reports.rundir.reader import Run
from scenarios.cli.main import main
from tests.support.acted_runs import LIMIT, PUSH, SCALE
from tests.support.histories import history, scenario, seconds, storm
from tests.support.page_outline import Outline, markdown_tables
from tests.support.rehearsals import plain, rehearsed, saved

OCTOBER, NOVEMBER = "2026-10-25T20:00:00Z", "2026-11-25T20:00:00Z"


def sentences(before: Run, latest: Run) -> list[str]:
    return list(previous_chapter([facts(before), facts(latest)], "").blocks[0].items)  # type: ignore[union-attr]


def rows(before: Run, latest: Run) -> dict[str, tuple[str, ...]]:
    table = previous_chapter([facts(before), facts(latest)], "").blocks[2].content  # type: ignore[union-attr]
    return {row[0]: row[1:] for row in table.rows}


FIXED = (rehearsed(None, SCALE, started_utc=OCTOBER), rehearsed(26, PUSH, LIMIT, started_utc=NOVEMBER))


def test_a_fix_that_holds_is_told_first() -> None:
    told = sentences(*FIXED)
    assert told[0] == "Verdict: OUTAGE, then RECOVERED: better."
    assert told[1] == "Hypothesis: refuted before (not recovered within 49 s), confirmed now (13 s)."
    rule = "SLO time to recover ≤ 60 s, from the trigger’s end"
    assert f"{rule}: violated before (not recovered within 49 s), met now (13 s)." in told
    assert any(line.startswith("No longer seen: ") and "new pods saturated" in line for line in told)


def test_a_fix_that_did_not_hold_is_told_as_well() -> None:
    told = sentences(*reversed(FIXED))
    assert told[0] == "Verdict: RECOVERED, then OUTAGE: worse."
    assert told[1] == "Hypothesis: confirmed before (13 s), refuted now (not recovered within 49 s)."
    assert any(line.startswith("New surprises: ") for line in told)


def test_the_table_sets_measure_beside_measure_and_says_which_way() -> None:
    found = rows(*FIXED)
    assert found["verdict"] == ("OUTAGE", "RECOVERED", "")
    assert found["hypothesis"] == ("refuted", "confirmed", "")
    assert found["time to recover"] == ("≥ 49 s", "13 s", "better")
    assert found["availability"] == ("5.0 %", "57 %", "better")
    assert found["client-seconds of stale data"] == ("3,800", "1,710", "better")
    assert found["effective p99 during"][-1] == "below minimum effect"
    assert found["first alert after"] == ("0 s", "0 s", "")
    assert rows(*reversed(FIXED))["time to recover"] == ("13 s", "≥ 49 s", "worse")


def test_two_that_both_never_recovered_cannot_be_told_apart_by_that() -> None:
    never = rehearsed(None, started_utc=OCTOBER), rehearsed(None, started_utc=NOVEMBER)
    assert rows(*never)["time to recover"][-1] == ""
    assert sentences(*never)[0] == "Verdict: OUTAGE, then OUTAGE: no change."
    assert sentences(*never)[-1] == "Scenario, seed, machine and versions are the same."


def test_what_else_differs_is_told_since_it_may_be_the_reason() -> None:
    other: dict[str, Any] = {"seed": 7, "versions": {"nginx": "1.32"}, "machine": {"cores": 4}}
    pair = rehearsed(30, started_utc=OCTOBER), rehearsed(30, started_utc=NOVEMBER, **other)
    expected = [
        "seed 1 → 7",
        "machine: cores 2 → 4",
        "machine: cpu_model test → –",
        "machine: pinned yes → –",
        "version of reconnect-storm 0.1.0 → –",
        "version of nginx 1.31.3 → 1.32",
    ]
    assert differences(*map(facts, pair)) == expected
    assert sentences(*pair)[-1] == f"Other differences, possible causes: {'; '.join(expected)}."


def test_an_event_that_was_switched_off_is_told_by_its_name() -> None:
    event = {"do": "set_limit", "at_s": 20.0, "limit": "per-ip"}
    before, latest = (
        facts(plain(storm(0.0), scenario=scenario(event=[{**event, "enabled": enabled}])))
        for enabled in (False, True)
    )
    assert differences(before, latest) == ["no set_limit → set_limit"]


def test_a_rehearsal_that_is_not_to_be_relied_on_proves_nothing() -> None:
    spoilt = rehearsed(26, PUSH, started_utc=NOVEMBER, status="interrupted", problem="the power failed")
    told = sentences(FIXED[0], spoilt)
    assert told[0] == "Verdict: OUTAGE, then INVALID: not comparable."
    assert "Not reliable: 2026-11-25." in told


def test_rehearsals_without_a_hypothesis_or_a_trigger_can_stand_side_by_side() -> None:
    pair = plain(seconds(0, 20), trigger_s=None, started_utc=OCTOBER), plain(storm(0.0), started_utc=NOVEMBER)
    found = rows(*pair)
    assert "hypothesis" not in found
    assert found["availability"] == ("–", "0 %", "")
    assert found["client-seconds of stale data"] == ("–", "5,400", "")


def test_each_is_called_by_its_day_and_by_more_where_that_is_not_enough() -> None:
    runs = [
        facts(rehearsed(30, started_utc=moment, directory=Path(f"runs/{number}")))
        for number, moment in enumerate((OCTOBER, NOVEMBER, "2026-11-25T21:00:00Z", "2026-11-25T21:00:00Z"))
    ]
    assert [label_of(run, runs) for run in runs] == [
        "2026-10-25",
        "2026-11-25 20:00:00",
        "2026-11-25 21:00:00 (2)",
        "2026-11-25 21:00:00 (3)",
    ]


def test_the_report_is_about_the_latest_and_has_the_older_ones_beside_it(tmp_path: Path) -> None:
    files = write_rehearsals([FIXED[1], FIXED[0]], tmp_path)
    html = files.html.read_text(encoding="utf-8")
    found = Outline()
    found.feed(html)
    assert len(found.ids) == len(set(found.ids))
    assert found.seen["svg"] == 2
    assert html.index("Compared with previous rehearsals") < html.index("Timeline")
    markdown = files.markdown.read_text(encoding="utf-8")
    assert "2026-11-25 20:00 UTC" in markdown
    assert all(len(widths) == 1 for widths in markdown_tables(markdown))
    for picture in re.findall(r"\]\(([\w-]+\.svg)\)", markdown):
        assert (tmp_path / picture).exists()
    told = json.loads(files.json.read_text())
    assert [one["verdict"]["name"] for one in told["earlier"]] == ["OUTAGE"]
    assert told["compared_with_previous"][0] == "Verdict: OUTAGE, then RECOVERED: better."
    assert told["verdict"]["name"] == "RECOVERED"


def test_the_command_reports_on_rehearsals_and_on_other_runs(tmp_path: Path) -> None:
    older, latest = (saved(run, tmp_path / "runs" / name) for run, name in zip(FIXED, "ab", strict=True))
    result = CliRunner().invoke(main, ["report", str(older), str(latest), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    for ending in ("html", "md", "json", "pdf"):
        path = tmp_path / "out" / f"rehearsal.{ending}"
        assert str(path) in result.output
        assert path.exists()
    assert not (tmp_path / "out" / "report.html").exists()
    saved(history(storm(100.0)), tmp_path / "runs" / "c")
    result = CliRunner().invoke(
        main, ["report", str(tmp_path / "runs"), "--out", str(tmp_path / "both"), "--json"]
    )
    assert [one["directory"][-1] for one in json.loads(result.stdout)] == ["a", "b", "c"]
    assert {"rehearsal.html", "report.html"} <= {path.name for path in (tmp_path / "both").iterdir()}


def test_a_rehearsal_of_an_older_schema_is_refused_with_the_reason(tmp_path: Path) -> None:
    run = saved(FIXED[0], tmp_path / "run")
    path = run / "run.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 1'))
    result = CliRunner().invoke(main, ["report", str(run)])
    assert result.exit_code == 2
    assert "invalid schema version 1: expected 2: it was written before staleness" in result.output
    assert not (run / "rehearsal.html").exists()


def test_no_two_arms_look_the_same_until_there_are_more_than_colours() -> None:
    assert len({(colour, str(line)) for colour, line in zip(COLOURS, LINES, strict=True)}) == len(COLOURS)
    assert len(set(map(str, LINES))) == len(LINES)


@pytest.mark.parametrize("number", [2, 3])
def test_several_older_ones_have_a_column_each(number: int) -> None:
    runs = [facts(rehearsed(30, started_utc=f"2026-0{month}-01T20:00:00Z")) for month in range(1, number + 1)]
    table = previous_chapter(runs, "").blocks[2].content  # type: ignore[union-attr]
    assert len(table.headings) == number + 2
    assert {len(row) for row in table.rows} == {number + 2}

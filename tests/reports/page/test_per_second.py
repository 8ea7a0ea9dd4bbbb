import csv
import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reports.page.per_second import ArmSeconds, PerSecond, Shown, as_json, per_second, second_tables
from reports.page.write import write_report
from reports.rundir.reader import Run
from reports.rundir.series import Row
from reports.text import units
from tests.support.compared_runs import HOSTILE, arm, two_by_two
from tests.support.histories import history, latencies_of, seconds, storm, with_seconds

KEYS = ("effective_p99_ms", "fanout_p99_ms", "useful", "attempts", "limited", "pod_loop", "pod_cpu")
MOST_BYTES = 1_500_000


def uneven(rows: list[Row], seed: int) -> list[Row]:
    """The same seconds with numbers of their own, and some cells empty."""
    changed = []
    for place, row in enumerate(rows):
        own: Row = {
            key: round((row[key] or 0) * (1 + (place * seed % 7) / 10) + seed / 8, 4) for key in KEYS[3:]
        }
        own["effective_p99_ms"] = 40.5 + place * seed
        own["fanout_p99_ms"] = None if place % 5 == 1 else round(9.96 + place, 4)
        changed.append(row | own)
    return changed


def written(run: Run, directory: Path) -> Run:
    """The run after it has been written to a run directory and read again."""
    with_seconds(run, directory)
    return Run.load(directory)


def embedded(html: Path) -> dict[str, Any]:
    """The numbers in a page, as its script reads them."""
    pattern = r'<script type="application/json" id="per-second">(.*?)</script>'
    (text,) = re.findall(pattern, html.read_text(encoding="utf-8"), re.DOTALL)
    found: dict[str, Any] = json.loads(text)
    return found


def cells(directory: Path, key: str) -> list[float | None]:
    """One column of series.csv from the steady state on; `useful` as a share of `clients`."""
    with (directory / "series.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if float(row["t_s"]) >= 0]
    if key == "useful":
        return [round(float(row["useful"]) / float(row["clients"]), 6) for row in rows]
    return [float(row[key]) if row[key] else None for row in rows]


def test_every_number_in_the_page_is_that_of_series_csv(tmp_path: Path) -> None:
    runs = [
        written(
            history(
                uneven([*seconds(-3, 0), *storm(share)], seed), arm=name, latencies=latencies_of(storm(share))
            ),
            tmp_path / name,
        )
        for seed, (name, share) in enumerate((("a", 5.0), ("b", 60.0)), start=1)
    ]
    found = embedded(write_report(runs, tmp_path / "report")[1])
    assert [shown["key"] for shown in found["shown"]] == [*KEYS]
    assert found["first_s"] == -8
    for own in found["arms"]:
        for key, column in zip(KEYS, own["columns"], strict=True):
            assert column == cells(tmp_path / own["name"], key), (own["name"], key)
        assert own["at_least"] == cells(tmp_path / own["name"], "effective_at_least")


def test_of_several_runs_every_number_is_the_median(tmp_path: Path) -> None:
    # Where no run is valid, all of them count.
    runs = [
        written(history(uneven(storm(50.0), seed), status="interrupted", round=seed), tmp_path / str(seed))
        for seed in (1, 2, 3, 4)
    ]
    (own,) = per_second(runs).arms
    for key, column in zip(KEYS, own.columns, strict=True):
        for second, value in enumerate(column):
            there = [cell for run in "1234" if (cell := cells(tmp_path / run, key)[second]) is not None]
            assert value == (pytest.approx(statistics.median(there), abs=1e-6) if there else None)


def test_arms_share_one_clock_whenever_their_triggers_were() -> None:
    early = history(storm(100.0), arm="early", trigger_s=8)
    late = history(storm(100.0)[:30], arm="late", trigger_s=12)
    found = per_second([early, late])
    assert (found.first_s, found.seconds) == (-12, 66)
    first, second = (arm.columns[2] for arm in found.arms)
    assert first == (*[None] * 4, *[1] * 62)
    assert second == (*[1] * 30, *[None] * 36)
    assert {len(column) for arm in found.arms for column in (*arm.columns, arm.at_least)} == {66}


def test_a_run_without_a_trigger_counts_from_its_steady_state() -> None:
    found = per_second([history(seconds(0, 20), trigger_s=None)], "fan-out spread")
    assert (found.zero, found.first_s, found.seconds) == ("of steady state", 0, 20)
    assert found.shown[1].name == "fan-out spread p99"


def test_a_run_of_which_nothing_is_recorded_has_no_seconds(tmp_path: Path) -> None:
    runs = [history([], status="interrupted", phases=(), latencies={})]
    assert per_second(runs).seconds == 0
    html = write_report(runs, tmp_path)[1].read_text(encoding="utf-8")
    assert "<details" not in html


def test_the_table_has_a_row_a_second_and_says_what_is_only_a_bound() -> None:
    (table,) = second_tables(per_second([arm("naive + none", None)]))
    assert table.label == "naive + none"
    assert table.headings == (
        "second", "effective p99", "fan-out p99", "served", "attempts", "refusals", "pod loop", "pod CPU",
    )  # fmt: skip
    assert table.rows[0] == ("−8 s", "60 ms", "60 ms", "100 %", "0/s", "0/s", "6.0 %", "5.0 %")
    assert table.rows[8] == ("0 s", "≥ 5 s", "60 ms", "5.0 %", "50/s", "0/s", "6.0 %", "50 %")
    assert [row[0] for row in table.rows] == [
        *(f"−{second} s" for second in range(8, 0, -1)),
        *(f"{second} s" for second in range(54)),
    ]


def test_a_number_that_is_not_recorded_is_a_dash() -> None:
    rows = [row | {"pod_loop": None} for row in storm(100.0)]
    found = per_second([history(rows)])
    assert {row[6] for row in second_tables(found)[0].rows} == {units.NOTHING}
    assert "NaN" not in as_json(found)


NAMES = {
    "the end of the script": '</script><script>alert("a")</script>',
    "the beginning of a comment": "<!--<script>",
    "quotes": "\"a' \\",
    "separators of lines": "a\u2028b\u2029c\n",
    "an entity": "&lt;&amp;",
    "another script": "\u5c71\U0001f525",
    "hostile": HOSTILE,
}


def named(name: str) -> PerSecond:
    columns = ((1.5,), (None,))
    return PerSecond("from", 0, -0.5, 1.5, (Shown(name, name, "ms"),), (ArmSeconds(name, "", columns, (1,)),))


@pytest.mark.parametrize("label", NAMES)
def test_a_name_is_harmless_in_the_numbers_of_a_page(label: str) -> None:
    text = str(as_json(named(NAMES[label])))
    assert text.isascii()
    assert text.isprintable()
    assert not re.search("[<>&]", text)
    assert json.loads(text)["arms"][0]["name"] == NAMES[label]


@given(st.text())
def test_every_name_is_read_back_from_the_numbers_of_a_page(name: str) -> None:
    text = str(as_json(named(name)))
    assert re.fullmatch("[ !-%'-;=?-~]*", text)
    assert json.loads(text)["arms"][0]["name"] == name


def test_the_figure_is_in_the_page_in_three_sizes_each_with_its_panels(tmp_path: Path) -> None:
    text = write_report(two_by_two(), tmp_path)[1].read_text(encoding="utf-8")
    sizes = re.findall(r'<div class="chart (\w+)" data-left="([\d.]+)" data-right="([\d.]+)"', text)
    assert [name for name, *_ in sizes] == ["normal", "wide", "narrow"]
    assert all(0 < float(left) < 20 and 90 < float(right) < 100 for _, left, right in sizes)
    assert text.count('<svg role="img" aria-label="Five charts') == 3


def test_what_needs_the_script_is_hidden_without_it_and_the_numbers_are_not(tmp_path: Path) -> None:
    text = write_report(two_by_two(), tmp_path)[1].read_text(encoding="utf-8")
    assert '<fieldset class="arms scripted" hidden>' in text
    assert '<p class="quiet scripted" id="figure-keys" hidden>' in text
    assert text.count('type="checkbox"') == 4
    details = text[
        text.index('<details id="numbers-per-second">') : text.index("<summary>Numbers per second")
    ]
    assert "hidden" not in details
    assert text.count('<th scope="row">−8 s</th>') == 4
    single = write_report([arm("naive + none", 3)], tmp_path / "one")[1].read_text(encoding="utf-8")
    assert 'type="checkbox"' not in single


def test_a_report_on_four_runs_of_each_of_four_arms_stays_small(tmp_path: Path) -> None:
    runs = [
        replace(run, rows=tuple(uneven(storm(50.0, to_s=180), number)))
        for number, run in enumerate(two_by_two(4))
    ]
    assert write_report(runs, tmp_path)[1].stat().st_size < MOST_BYTES

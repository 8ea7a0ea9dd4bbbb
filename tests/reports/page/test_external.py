"""Reports on an external target: what cannot be known is one sentence, and no row or column of dashes."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from reports.compare.comparison import compare
from reports.page.notes import EXTERNAL
from reports.page.table import main_grid, terminal_report
from reports.page.write import write_report
from reports.rundir.reader import Run, is_external
from reports.text import units
from tests.support.histories import history, scenario, storm

UNKNOWN = dict.fromkeys(
    (
        *("pod_cpu", "pod_cpu_total", "pod_loop", "pod_loop_max", "pod_lag_ms", "nginx_cpu"),
        *("ticks_sent", "tick_late_ms", "nginx_limited", "pod_shed", "handshakes"),
    )
)


def run(policy: str, back_s: int, *, url: str = "http://127.0.0.1:3000") -> Run:
    """Without anything that only the gateway and its proxy know, and with some refusals."""
    rows = [{**row, **UNKNOWN, "limited": 3.0} for row in storm(lambda t: 100.0 if t >= 8 + back_s else 5.0)]
    made = scenario(fleet__policy=policy, target={"url": url})
    return history(rows, arm=policy, scenario=made, stability={})


ARMS = {
    "one arm": [run("incident", 5)],
    "two arms": [run("naive", 20), run("incident", 5)],
}


@pytest.mark.parametrize("runs", ARMS.values(), ids=ARMS)
def test_no_row_and_no_column_is_all_dashes(runs: list[Run], tmp_path: Path) -> None:
    for row in main_grid(compare(runs)):
        assert any(cell.text != units.NOTHING for cell in row.cells), row
    markdown, _ = write_report(runs, tmp_path)
    tables = re.findall(r"(?:^\|.*\|\n)+", markdown.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(tables) > 3
    for table in tables:
        rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
        for lines in (rows, list(zip(*rows, strict=True))[1:]):
            assert not [line for line in lines if {*line[1:]} == {units.NOTHING}], table


@pytest.mark.parametrize("runs", ARMS.values(), ids=ARMS)
def test_what_cannot_be_known_is_one_sentence_in_every_medium(runs: list[Run], tmp_path: Path) -> None:
    for path in write_report(runs, tmp_path):
        assert path.read_text(encoding="utf-8").count(EXTERNAL) == 1
    out = io.StringIO()
    Console(file=out, width=500).print(terminal_report(runs, 500))
    assert out.getvalue().count(EXTERNAL) == 1


def test_other_gateways_are_not_called_external(tmp_path: Path) -> None:
    runs = [run("naive", 20, url="")]
    assert not is_external(runs[0])
    assert not is_external(history(storm(5.0)))
    markdown, _ = write_report(runs, tmp_path)
    assert "External target" not in markdown.read_text(encoding="utf-8")


def test_a_fix_is_told_without_what_is_not_known() -> None:
    (text,) = compare(ARMS["two arms"]).effects
    assert "time to recover fell from 20 s to 5 s" in text
    assert "CPU" not in text
    assert units.NOTHING not in text

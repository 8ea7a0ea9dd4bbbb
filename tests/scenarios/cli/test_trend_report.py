"""`report --trend`: change points of a gate's history as somebody reads them."""

import json
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reports.gate.history import write_trend
from scenarios.cli.main import main
from tests.support.trends import history, slips


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


@pytest.fixture
def slowed(tmp_path: Path) -> Path:
    """Twelve gates, then twelve with more attempts."""
    path = tmp_path / "trend.jsonl"
    write_trend(path, history(random.Random(1), 24, attempts=slips(12, 1, 0.3)))
    return path


@pytest.fixture
def steady(tmp_path: Path) -> Path:
    path = tmp_path / "steady.jsonl"
    write_trend(path, history(random.Random(1), 24))
    return path


def test_a_change_for_the_worse_is_printed_drawn_and_an_exit_status(slowed: Path) -> None:
    result = typed("--trend", slowed)
    assert result.exit_code == 1, result.output
    assert result.output.startswith("1 change point in 24 gates, 1 for the worse.")
    assert "000c000000" in result.output
    ET.parse(slowed.with_name("trend.jsonl.svg"))


def test_a_history_without_a_change_is_good(steady: Path) -> None:
    result = typed("--trend", steady)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("No change point in 24 gates.")


def test_what_is_older_than_the_commit_does_not_count(slowed: Path) -> None:
    assert typed("--trend", slowed, "--since", "000c").exit_code == 1
    result = typed("--trend", slowed, "--since", "000d")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("1 change point in 24 gates, 0 for the worse since 000d.")


def test_programs_read_the_same(slowed: Path) -> None:
    result = typed("--trend", slowed, "--json")
    document = json.loads(result.output)
    assert result.exit_code == document["exit_status"] == 1
    assert document["gates"] == 24
    (change,) = document["changes"]
    assert (change["key"], change["commit"]["id"][:4], change["worse"]) == ("attempts", "000c", True)
    assert change["p"] < 0.01


def test_the_chart_goes_to_the_folder_for_it(slowed: Path, tmp_path: Path) -> None:
    typed("--trend", slowed, "--out", tmp_path / "charts")
    assert (tmp_path / "charts" / "trend.jsonl.svg").exists()
    assert not slowed.with_name("trend.jsonl.svg").exists()


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("", (), "trend.jsonl: no gate in it: expected a file written by `gate --trend`"),
        ("{}\n", (), "trend.jsonl: line 1: "),
        (
            None,
            ("--since", "ffff"),
            "--since: invalid commit 'ffff': expected one of the trend, such as 0015",
        ),
        (None, ("runs/x",), "--trend: invalid argument 'runs/x': expected no RUN with --trend"),
    ],
)
def test_a_mistake_is_one_line(slowed: Path, text: str | None, arguments: tuple[str, ...], said: str) -> None:
    if text is not None:
        slowed.write_text(text)
    result = typed("--trend", slowed, *arguments)
    assert result.exit_code == 2, result.output
    assert len(result.output.strip().splitlines()) == 1
    assert said in result.output
    assert not slowed.with_name("trend.jsonl.svg").exists()


def test_since_needs_a_trend() -> None:
    result = typed("--since", "0123")
    assert result.exit_code == 2
    assert "--since: invalid value '0123': expected only with --trend FILE" in result.output


def test_a_trend_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = typed("--trend", tmp_path / "none.jsonl")
    assert result.exit_code == 2
    assert "none.jsonl' does not exist" in result.output

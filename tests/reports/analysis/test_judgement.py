"""Judgements, and where they are kept."""

from pathlib import Path

from reports.analysis.judgement import assess, judge_run, judgement_of
from reports.compare.comparison import compare
from reports.rundir.reader import load_info
from tests.support.histories import history, storm, with_seconds


def test_a_run_without_a_judgement_is_judged_when_it_is_compared() -> None:
    unjudged = history(storm(100.0))
    assert judgement_of(unjudged) == assess(unjudged)
    assert compare([unjudged]).arms[0].verdict == "RECOVERED"


def test_judging_keeps_everything_in_run_json(tmp_path: Path) -> None:
    original = history(storm(lambda t: 0.0 if t < 20 else 100.0))
    with_seconds(original, tmp_path / "run")
    judged = judge_run(tmp_path / "run")
    assert judged.info.verdict == {"name": "RECOVERED", "reason": judged.info.verdict["reason"]}
    assert load_info(tmp_path / "run") == judged.info
    assert judgement_of(judged) == assess(original)
    assert judged.histograms == {}


def test_a_run_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    with_seconds(history(storm(100.0), status="running"), tmp_path / "run")
    assert judge_run(tmp_path / "run").info.verdict["name"] == "INVALID"
    assert load_info(tmp_path / "run").verdict == {}

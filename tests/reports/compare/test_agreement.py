"""Predictions and measurements agree, or it is said where they do not."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from reports.analysis.judgement import judge_run
from reports.compare.agreement import agreement, agreement_table
from reports.figures.agreement import agreement_alt_text, agreement_figure
from reports.rundir.reader import Run
from reports.rundir.writer import save_info
from scenarios.cli.main import main
from scenarios.scenario.loader import load
from scenarios.simulator.run import Prediction, simulate

SMALL = (
    "fleet.clients=60",
    "gateway.handshake_cpu_ms=5",
    'event=[{at_s=3, do="drop_all"}]',
    "phases.duration_s=14",
    "phases.during_s=4",
    "phases.recovery_window_s=4",
    "phases.rescue_at_s=0",
)


def run(folder: Path, arm: str, *sets: str, seed: int = 1, measured: bool = False) -> Run:
    scenario = load("mass-drop", (*SMALL, *sets, f"fleet.seed={seed}"))
    simulate(Prediction(scenario=msgspec.structs.replace(scenario, matrix={}), directory=folder, arm=arm))
    judged = judge_run(folder)
    if measured:
        judged.info.predicted = False
        save_info(folder, judged.info)
    return judged


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def measured(folder: Path) -> list[Run]:
    here = folder / "measured"
    return [
        run(here / "a", "gentle", measured=True),
        run(here / "b", "heavy", "gateway.handshake_cpu_ms=200", measured=True),
    ]


def test_what_was_predicted_well_agrees(folder: Path, measured: list[Run]) -> None:
    found = agreement(
        measured,
        [
            run(folder / "p1", "gentle", seed=2),
            run(folder / "p2", "heavy", "gateway.handshake_cpu_ms=200", seed=2),
        ],
    )
    assert found.same_verdict == (2, 2)
    assert all(pair.agrees for pair in found.pairs if pair.measure.key == "time_to_recover_s")
    never = next(
        pair for pair in found.pairs if pair.arm == "heavy" and pair.measure.key == "time_to_recover_s"
    )
    assert never.measured is None
    assert never.ratio is None
    ratios = [
        pair.ratio for pair in found.pairs if pair.arm == "gentle" and pair.measure.key == "availability"
    ]
    assert ratios == pytest.approx([1.0], abs=0.02)


def test_what_was_predicted_badly_does_not(folder: Path, measured: list[Run]) -> None:
    found = agreement(measured, [run(folder / "p3", "gentle", "gateway.handshake_cpu_ms=60")])
    assert found.same_verdict == (0, 1)
    assert {arm for arm, _, _ in found.verdicts} == {"gentle"}, "an arm that one side has alone is left out"
    rows = agreement_table(found).rows
    verdict = rows[0]
    assert (verdict[1], verdict[-1]) == ("verdict", "no")
    assert ("time to recover", "no") in {(row[1], row[-1]) for row in rows}


def test_invalid_runs_do_not_count(folder: Path, measured: list[Run]) -> None:
    spoilt = run(folder / "p4", "gentle")
    spoilt.info.validity["valid"] = False
    assert agreement(measured, [spoilt]).verdicts == ()
    assert agreement(measured, [spoilt]).same_verdict == (0, 0)


def test_the_command_predicts_recorded_runs_and_says_how_far_it_agrees(
    folder: Path, measured: list[Run]
) -> None:
    del measured
    arguments: list[Any] = ["simulate", "--against", str(folder / "measured"), "--runs", str(folder / "out")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "predicted verdict matches the measured one in 2 of 2 runs" in done.output
    (drawn,) = (folder / "out").rglob("agreement.svg")
    assert "gentle: at most" in drawn.read_text()


def test_the_figure_has_a_panel_for_each_arm_that_both_sides_have(folder: Path, measured: list[Run]) -> None:
    heavy = run(folder / "p5", "heavy <1>", "gateway.handshake_cpu_ms=200")
    gentle = run(folder / "p6", "gentle", seed=3)
    drawing = agreement_figure(measured, [gentle, heavy])
    titles = [panel.get_title(loc="left") for panel in drawing.axes]
    assert titles == ["gentle: measured RECOVERED, predicted RECOVERED"]
    line_of = {line.get_label(): line for line in drawing.axes[0].get_lines()}
    assert {"measured", "predicted"} <= set(line_of)
    text = agreement_alt_text(measured, [gentle, heavy])
    assert "gentle: at most" in text
    assert "heavy" not in text


def test_without_a_common_arm_the_figure_is_empty(folder: Path, measured: list[Run]) -> None:
    other = run(folder / "p7", "other")
    assert agreement_figure(measured, [other]).axes[0].get_title(loc="left") == ""

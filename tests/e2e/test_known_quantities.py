"""The measurement says what is known beforehand: every check of the calibration but the A/A comparisons."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scenarios.selftest.checks import CHECKS

pytestmark = [pytest.mark.e2e, pytest.mark.measures, pytest.mark.needs_two_cores]

NAMES = (*CHECKS, "sampler")


def calibrate(*options: str, runs: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "scenarios.cli", "calibrate", "--runs", str(runs), *options],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_is_known_is_read_back(name: str, tmp_path: Path) -> None:
    # A pause of this machine for a tenth of a second is in a p99, and no noise that a run would notice.
    for attempt in range(3):
        done = calibrate("--json", "--only", name, runs=tmp_path / str(attempt))
        assert done.stdout, done.stderr
        readings: list[dict[str, Any]] = json.loads(done.stdout)["readings"]
        assert {reading["check"] for reading in readings} == {name}
        if done.returncode == 0:
            break
    assert [reading for reading in readings if not reading["good"]] == []
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_pool_without_runs_enough_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = calibrate("--aa-from", str(tmp_path / "empty"), runs=tmp_path / "runs")
    assert done.returncode == 2
    assert "no run directory: expected one" in done.stderr


def test_a_check_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = calibrate("--only", "luck", runs=tmp_path)
    assert done.returncode == 2
    assert "invalid value 'luck': expected one of" in done.stderr

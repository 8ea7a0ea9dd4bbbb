"""The compiled loop does, event for event, what its lines say; here they are played as Python as well."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.watched_storms import STORMS, seen

ROOT = Path(__file__).parents[3]
PARTS = 4
"""Of all storms: a process for each."""


def test_a_storm_is_the_same_each_time() -> None:
    assert seen("what pods go through") == seen("what pods go through")


@pytest.mark.parametrize("part", range(PARTS))
def test_the_compiled_loop_leaves_everything_as_its_lines_do(part: int) -> None:
    storms = [*STORMS][part::PARTS]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.support.uncompiled", *storms],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    uncompiled = json.loads(done.stdout)
    for storm in storms:
        assert seen(storm) == uncompiled[storm], storm

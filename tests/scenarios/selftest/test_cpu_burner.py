"""The program that uses a known amount of CPU time."""

import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest

LONGEST_S = 60


@pytest.mark.parametrize("end", [psutil.Process.kill, psutil.Process.terminate], ids=["SIGKILL", "SIGTERM"])
def test_the_child_of_a_burner_ends_with_it(end: Callable[[psutil.Process], None]) -> None:
    command = [sys.executable, "-m", "scenarios.selftest.cpu_burner", "0.02"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as burner:
        assert burner.stdout is not None
        assert float(burner.stdout.readline()) >= 0.02
        parent = psutil.Process(burner.pid)
        children = parent.children()
        end(parent)
        burner.wait(LONGEST_S)
    assert len(children) == 1
    _, alive = psutil.wait_procs(children, LONGEST_S)
    assert alive == []

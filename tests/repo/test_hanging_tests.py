"""A test that never ends must neither keep the others from running nor leave it open which one it was."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs import ROOT

DEADLOCK = """
import threading

def test_before(): pass

def test_hangs():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

def test_after(): pass
"""


def test_every_test_has_a_time_limit_and_its_stacks_are_written_before(
    request: pytest.FixtureRequest,
) -> None:
    stacks_s, limit_s = (float(request.config.getini(name)) for name in ("faulthandler_timeout", "timeout"))
    assert 60 <= stacks_s < limit_s <= 600


def test_a_test_that_hangs_is_named_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(DEADLOCK)
    options = ("-c", ROOT / "pyproject.toml", "--rootdir", tmp_path, "-p", "no:cacheprovider")
    limits = ("-o", "faulthandler_timeout=1", "-o", "timeout=3")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-n", "1", *limits, "test_it.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "crashed while running 'test_it.py::test_hangs'" in done.stdout
    assert 'test_it.py", line 9 in test_hangs' in done.stderr
    assert "1 failed, 2 passed" in done.stdout.splitlines()[-1]

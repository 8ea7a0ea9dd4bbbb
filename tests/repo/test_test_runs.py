"""How tests run: all of them, none for ever, and Ctrl-C reaches what they start."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import LONGEST
from tests.support.needs import ROOT

DEADLOCK = """
import threading

import pytest

def test_before(): pass

@pytest.mark.timeout(4)
def test_hangs():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

def test_after(): pass
"""


def test_make_finds_every_end_to_end_test_although_it_does_not_look_everywhere() -> None:
    (line,) = re.findall(
        r"^END_TO_END = (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    searched = [ROOT / place for place in line.split()]
    assert all(place.exists() for place in searched)
    marked = [
        path
        for path in ROOT.glob("tests/**/test_*.py")
        if re.search(r"\bmark\.(e2e|measures)\b", path.read_text(encoding="utf-8"))
    ]
    assert len(marked) > 40
    assert not [str(path) for path in marked if not any(place in (path, *path.parents) for place in searched)]


def test_the_longest_files_are_there_and_nothing_orders_them_again() -> None:
    assert [name for name in LONGEST if not (ROOT / "tests" / "e2e" / name).exists()] == []
    (line,) = re.findall(r".* --dist loadfile .*", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert "--no-loadscope-reorder" in line, "files with most tests would begin first"


def test_every_test_has_a_time_limit_and_its_stacks_are_written_before(
    request: pytest.FixtureRequest,
) -> None:
    stacks_s, limit_s = (float(request.config.getini(name)) for name in ("faulthandler_timeout", "timeout"))
    assert 60 <= stacks_s < limit_s <= 600


def run_tests(
    folder: Path, *options: object, starter: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    """Runs test_it.py of a folder as the project's tests are run."""
    settings = ("-c", ROOT / "pyproject.toml", "--rootdir", folder, "-p", "no:cacheprovider", *options)
    return subprocess.run(
        [*starter, sys.executable, "-m", "pytest", *map(str, settings), "test_it.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_test_that_hangs_is_named_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(DEADLOCK)
    done = run_tests(tmp_path, "-n", 1, "-o", "faulthandler_timeout=0.5")
    assert done.returncode == 1, done.stdout
    assert "crashed while running 'test_it.py::test_hangs'" in done.stdout
    assert 'test_it.py", line 12 in test_hangs' in done.stderr
    assert "1 failed, 2 passed" in done.stdout.splitlines()[-1]


INTERRUPTED = """
import signal, subprocess, sys

PROGRAM = "print('up', flush=True); import time; time.sleep(60)"

def test_it():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=-1, stderr=subprocess.DEVNULL) as child:
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == -signal.SIGINT
"""
IN_THE_BACKGROUND = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a program as a script does with "&": the shell has Ctrl-C ignored, and the program inherits that."""


@pytest.mark.parametrize("processes", [0, 1])
def test_ctrl_c_reaches_a_program_of_tests_that_run_in_the_background(tmp_path: Path, processes: int) -> None:
    (tmp_path / "test_it.py").write_text(INTERRUPTED)
    starter = (sys.executable, "-c", IN_THE_BACKGROUND)
    done = run_tests(tmp_path, "-p", "tests.conftest", "-n", processes, starter=starter)
    assert done.returncode == 0, done.stdout


def test_make_keeps_bytecode_also_where_the_environment_says_not_to() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "--eval", "environment: ; @env", "environment"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "KEPT": "yes"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.splitlines()
    assert "KEPT=yes" in shown
    assert "PYTHONDONTWRITEBYTECODE=1" not in shown

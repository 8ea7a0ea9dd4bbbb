"""A machine without the tools that some tests need: they are skipped, and it is said what to install."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.needs import NEEDS, ROOT, SKIP_VARIABLE

TESTS = ROOT / "tests"
SOME = (
    "tests/scenarios/gate/test_repository.py",
    "tests/scenarios/gate/test_program_version.py::test_this_version_can_run_what_it_has_and_nothing_else",
    "tests/scenarios/gate/test_program_version.py::test_another_project_cannot_run",
)
"""All tests of the first one need git, the second needs a commit, and the third needs nothing."""


def without_tools(wish: str) -> "subprocess.CompletedProcess[str]":
    """Runs these tests with nothing on the PATH."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *SOME],
        cwd=ROOT,
        env={**os.environ, "PATH": os.devnull, SKIP_VARIABLE: wish},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_bare_machine_skips_what_it_cannot_do_and_the_summary_says_what_to_install() -> None:
    done = without_tools("allow")
    assert done.returncode == 0, done.stdout
    summary = done.stdout.partition("short test summary info")[2]
    assert re.search(
        r"SKIPPED \[\d+\] tests/scenarios/gate/test_repository.py: git: found none; install", summary
    )
    assert "a commit of this project: found none; run the tests in a clone" in summary
    assert re.search(r"\d+ passed, \d+ skipped", done.stdout.splitlines()[-1])


def test_where_nothing_may_be_skipped_a_missing_tool_is_an_error() -> None:
    done = without_tools("forbid")
    assert done.returncode == 1, done.stdout
    assert f"{SKIP_VARIABLE}=forbid, but Skipped: git: found none; install the package git" in done.stdout
    assert re.search(r"\d+ passed, \d+ errors", done.stdout.splitlines()[-1])


def test_a_wish_that_nobody_understands_is_refused() -> None:
    done = without_tools("perhaps")
    assert done.returncode == 4
    assert f"{SKIP_VARIABLE}: invalid value 'perhaps': expected allow or forbid" in done.stderr


def test_no_file_has_a_way_of_its_own_to_skip() -> None:
    skips = re.compile(r"pytest\.(?:mark\.skip|importorskip|skip)\b")
    found = {str(path.relative_to(TESTS)) for path in TESTS.rglob("*.py") if skips.search(path.read_text())}
    # Whether packages of Node or Python can be had is known only when they have been asked for.
    assert found == {"conftest.py", "conformance/conftest.py", "e2e/conftest.py"}


@pytest.mark.parametrize("name", NEEDS)
def test_each_need_is_one_that_some_test_has(name: str) -> None:
    used = re.compile(rf"pytest\.mark\.needs_{name}\b")
    assert any(used.search(path.read_text(encoding="utf-8")) for path in TESTS.rglob("*.py"))

"""How coverage follows the processes of tests: greenlets where there are some, and threads everywhere."""

import sys

import coverage
import pytest

from tests.support.needs import ROOT


@pytest.mark.parametrize(
    ("command", "followed"),
    [
        (["python", "-P", "start.py", "locust", "-f", "locustfile.py"], ["thread", "gevent"]),
        (["python", "-m", "locust", "--worker"], ["thread", "gevent"]),
        (["python", "-P", "start.py", "gateway_stub"], ["thread"]),
        (["python", "-m", "pytest"], ["thread"]),
    ],
)
def test_greenlets_are_followed_in_processes_of_locust(
    command: list[str], followed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", command)
    tracing = coverage.Coverage(data_file=None, config_file=str(ROOT / "pyproject.toml"))
    # Plugins are asked when it is first used.
    tracing.get_data()
    assert tracing.get_option("run:concurrency") == followed

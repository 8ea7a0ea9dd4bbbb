"""What is left of a run that fails, whatever else fails then."""

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest

from reports.rundir.writer import RunWriter
from scenarios.runner import run as runner
from scenarios.runner.plan import Plan
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import build

SECRET = "open-sesame"


class Nowhere:
    """A place of which only its facts are asked."""

    def __init__(self) -> None:
        self.machine: dict[str, Any] = {}
        self.pod_cores, self.clocks = None, ()

    def fitted(self, scenario: Scenario) -> Scenario:
        """The same."""
        return scenario


class Fails:
    """A run of which a part says a secret, in its log and in its error."""

    def __init__(self, plan: Plan, *_: Any) -> None:
        self._folder = plan.directory

    async def conduct(self) -> None:
        """Fails."""
        (self._folder / "pod.log").write_text(f"login with {SECRET}", encoding="utf-8")
        raise RuntimeError(f"no login with {SECRET}")

    def write_everything(self) -> None:
        """Has nothing."""


def failed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Exception:
    """The error that such a run ends with."""

    async def nowhere(*_: Any, **__: Any) -> Nowhere:
        return Nowhere()

    monkeypatch.setattr(runner, "place_for", nowhere)
    monkeypatch.setattr(runner, "_Conductor", Fails)
    scenario = build({"target": {"auth": {"token": SECRET}}}, source="test")
    plan = Plan(scenario=scenario, arm="arm", round=1, directory=folder)
    with pytest.raises((RuntimeError, OSError)) as caught:
        asyncio.run(runner.run(plan, lambda _: None))
    return caught.value


def test_an_error_that_nobody_expected_says_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(failed(tmp_path / "run", monkeypatch)) == "no login with (hidden)"


def test_logs_keep_no_secret_when_the_disk_is_full_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = RunWriter.save

    def full(writer: RunWriter) -> None:
        if writer.info.status != "running":
            raise OSError(errno.ENOSPC, "No space left on device")
        save(writer)

    monkeypatch.setattr(RunWriter, "save", full)
    error = failed(tmp_path / "run", monkeypatch)
    assert isinstance(error, OSError)
    assert (tmp_path / "run" / "pod.log").read_text(encoding="utf-8") == "login with (hidden)"

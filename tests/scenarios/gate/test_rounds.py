"""Runs of a version of the user's programs that cannot be started."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from scenarios.cli.progress import LiveView
from scenarios.exit_status import FAILED
from scenarios.gate.own_version import own_version
from scenarios.gate.repository import repository_of, revision
from scenarios.gate.rounds import Player, Schedule, play
from scenarios.gate.version import Version
from scenarios.host.process import StackError
from scenarios.runner.plan import Plan
from scenarios.scenario.loader import load
from tests.support.histories import history, storm, with_seconds
from tests.support.repositories import commit, new_repository

pytestmark = pytest.mark.needs_git


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A gateway with packages beside it that no commit has."""
    folder = new_repository(tmp_path / "shop")
    commit(
        folder, {"storm.toml": '[gateway]\ncommand = "python server.py"\n', ".gitignore": "node_modules\n"}
    )
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "package").touch()
    return folder


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], object]], None]:
    """Makes every run fail, after something was done with its folder."""

    def make(before: Callable[[Path], object]) -> None:
        async def run(plan: Plan, *_: Any) -> None:
            before(plan.directory)
            raise StackError("pod-0 ended by itself (exit status 1); pod-0.log: Cannot find module")

        monkeypatch.setattr("scenarios.gate.rounds.run", run)

    return make


def failed(shop: Path, folder: Path, *, versioned: bool = True) -> str:
    """What is said of the run."""
    repository = repository_of(shop)
    version = Version(text="git:main", repository=repository, commit=revision("main", repository))
    scenario = load(str(shop / "storm.toml"))
    with own_version(version, scenario, cached=False, say=print) as own:
        player = Player(
            name="baseline",
            scenario=own.scenario if versioned else scenario,
            source="storm.toml",
            version=own if versioned else None,
        )
        return played(player, folder)


def played(player: Player, folder: Path) -> str:
    """What is said of a round that fails."""
    schedule = Schedule(rounds=1, most_rounds=1, retries=0)
    view = LiveView(Console(quiet=True), 1)
    with pytest.raises(StackError) as error:
        asyncio.run(play([player], schedule, folder, view, invalidated=lambda _: "", enough=lambda _: True))
    return str(error.value)


def test_a_version_whose_gateway_does_not_start_is_named_with_what_it_lacks(
    shop: Path, tmp_path: Path, fails: Callable[[Callable[[Path], object]], None]
) -> None:
    fails(lambda _: None)
    said = failed(shop, tmp_path / "runs")
    assert said.startswith("git:main (")
    assert "Cannot find module" in said
    assert "not node_modules: expected the command that installs what is missing as gateway.setup" in said


def test_a_gateway_that_crashes_later_lacks_nothing(
    shop: Path, tmp_path: Path, fails: Callable[[Callable[[Path], object]], None]
) -> None:
    fails(lambda folder: with_seconds(history(storm(100.0)), folder))
    assert "gateway.setup" not in failed(shop, tmp_path / "runs")


def test_the_working_tree_gets_no_advice_about_versions(
    shop: Path, tmp_path: Path, fails: Callable[[Callable[[Path], object]], None]
) -> None:
    fails(lambda _: None)
    assert failed(shop, tmp_path / "runs", versioned=False).startswith("pod-0 ended by itself")


class HasEnded:
    """A child, and its process, that has written its log."""

    def __init__(self) -> None:
        self.process = self

    async def wait(self) -> int:
        """Its exit status."""
        return FAILED

    async def stop(self, _grace_s: float) -> None:
        """Has ended."""


def test_another_version_may_say_secrets_of_the_scenario_and_they_are_not_kept(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / "storm.toml").write_text('[target]\nurl = "http://127.0.0.1:9"\nauth = {token = "open-sesame"}\n')

    async def starts(*_: Any, log: Path, **__: Any) -> HasEnded:
        log.write_text("login with open-sesame", encoding="utf-8")
        return HasEnded()

    monkeypatch.setattr("scenarios.gate.rounds.start", starts)
    monkeypatch.setattr("scenarios.gate.rounds.command_of", lambda _: ["reconnect-storm"])
    scenario = load(str(shop / "storm.toml"))
    player = Player(name="baseline", scenario=scenario, source="storm.toml", root=shop)
    played(player, tmp_path / "runs")
    (log,) = (tmp_path / "runs").rglob("command.log")
    assert log.read_text(encoding="utf-8") == "login with (hidden)"

"""The command that searches for settings to ship, on storms small enough to wait for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from reports.tuning.result import Tuning
from scenarios.cli.commands import tune as command
from scenarios.cli.commands.tune_confirm import on_the_bench
from scenarios.cli.main import main
from scenarios.policies.stock.catalogue import STOCK
from scenarios.scenario.loader import load
from scenarios.tuning import search
from scenarios.tuning.candidate import Candidate
from scenarios.tuning.evaluate import evaluate
from scenarios.tuning.stock_settings import stock_settings

SMALL = (
    "fleet.clients=60",
    "gateway.handshake_cpu_ms=40",
    "phases.duration_s=24",
    "phases.during_s=5",
    "phases.recovery_window_s=5",
    "phases.rescue_at_s=0",
)
FEW = ("--trials", "2", "--finalists", "1", "--seeds", "2", "--sizes", "0.5,1", "--processes", "1")


def tune(folder: Path, *more: str) -> Result:
    sets = [part for key in SMALL for part in ("--set", key)]
    return CliRunner().invoke(main, ["tune", "mass-drop", *sets, *FEW, "--runs", str(folder), *more])


def results(folder: Path) -> Path:
    [path] = folder.glob("tune-mass-drop/*/tune.json")
    return path


class Once:
    """A pure function that is called once with the same arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._known: dict[bytes, Any] = {}

    def __call__(self, *arguments: Any) -> Any:
        key = msgspec.json.encode(arguments)
        if key not in self._known:
            self._known[key] = self._function(*arguments)
        return self._known[key]


@pytest.fixture(scope="module")
def once() -> dict[str, Once]:
    """What takes a search its time: storms, and the options of stock clients."""
    return {"evaluate": Once(evaluate), "stock_settings": Once(stock_settings)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, once: dict[str, Once]) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patched:
        for name, function in once.items():
            patched.setattr(search, name, function)
        return tune(folder), folder


@pytest.fixture
def played(whole: object, once: dict[str, Once], monkeypatch: pytest.MonkeyPatch) -> None:
    """A search plays no storm that the first one of this file has played."""
    for name, function in once.items():
        monkeypatch.setattr(search, name, function)


def test_it_prints_the_settings_to_ship(whole: tuple[Result, Path]) -> None:
    shown, folder = whole
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("Recommended: ")
    for text in ("Fix of the incident", "socket.io-client (JavaScript):", "python-socketio:", "tune.html"):
        assert text in shown.output
    found = msgspec.json.decode(results(folder).read_bytes(), type=Tuning)
    assert found.complete
    assert found.triggers == ("share 1", "share 0.5")
    assert all(one.score.storms == 4 for one in found.finalists)
    origins = {origin for one in found.finalists for origin in one.origin.split(" = ")}
    assert {"now", "naive", "incident's fix", "closed form"} <= origins


def test_it_says_what_stock_clients_can_do_of_them(whole: tuple[Result, Path]) -> None:
    shown, folder = whole
    found = msgspec.json.decode(results(folder).read_bytes(), type=Tuning)
    assert [one.client for one in found.stock_clients] == [*STOCK]
    assert all(f"    {name}: " in shown.output for name in STOCK)
    page = results(folder).with_name("tune.html").read_text()
    assert "Stock clients: nearest options" in page


def test_a_stock_clients_options_can_be_searched_alone(tmp_path: Path) -> None:
    shown = tune(
        tmp_path,
        "--client",
        "socketio-js@4.8",
        "--set",
        "fleet.policy=socketio-js",
        "--seeds",
        "1",
        "--sizes",
        "1",
    )
    assert shown.exit_code in {0, 1}, shown.output
    found = msgspec.json.decode(results(tmp_path).read_bytes(), type=Tuning)
    assert {one.name.split()[0] for one in found.finalists} == {"socketio-js"}
    assert found.of_origin("default options") is not None
    assert "Warning: current settings: From attempt 4 on, every client waits exactly 5.000 s" in shown.output
    assert "Share of clients on one value before attempt 0, 1, 2, …: " in shown.output


@pytest.mark.no_cover  # plays what the first search has played
def test_the_same_seed_finds_the_same(whole: tuple[Result, Path], tmp_path: Path) -> None:
    assert tune(tmp_path).exit_code == 0
    ours, theirs = (json.loads(results(folder).read_text()) for folder in (whole[1], tmp_path))
    assert ours | {"command": ""} == theirs | {"command": ""}


@pytest.mark.usefixtures("played")
def test_where_nobody_keeps_the_constraints_the_nearest_are_shown(tmp_path: Path) -> None:
    shown = tune(tmp_path, "--max-time-to-recover-s", "0", "--json")
    assert shown.exit_code == 1
    found = json.loads(shown.stdout)
    assert found["chosen"] is None
    assert found["settings"] == ""
    assert all("expected ≤ 0 s" in " ".join(one["broken"]) for one in found["finalists"])


def test_ctrl_c_keeps_what_was_computed_and_resume_goes_on(
    whole: tuple[Result, Path],
    played: None,
    once: dict[str, Once],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks = []

    def interrupted(task: Any) -> Any:
        tasks.append(task)
        if len(tasks) == 6:
            raise KeyboardInterrupt
        return once["evaluate"](task)

    monkeypatch.setattr(search, "evaluate", interrupted)
    stopped = tune(tmp_path)
    assert stopped.exit_code == 130
    assert "The search was stopped before it was complete." in stopped.output
    path = results(tmp_path)
    assert json.loads(path.read_text())["storms"] == 5
    tasks += [None] * 100
    before = len(tasks)
    again = tune(tmp_path, "--resume", str(path.parent))
    assert again.exit_code == 0, again.output
    found, wanted = (json.loads(p.read_text()) for p in (path, results(whole[1])))
    assert len(tasks) - before == wanted["storms"] - 5
    assert {**found, "command": ""} == {**wanted, "command": ""}


@pytest.mark.usefixtures("played")
def test_the_chosen_settings_are_carried_out_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def confirm(scenario: Any, arms: Any, directory: Path, **_: Any) -> int:
        asked.append((scenario, arms, directory))
        return 3

    monkeypatch.setattr(command, "confirm", confirm)
    assert tune(tmp_path, "--confirm").exit_code == 3
    [(scenario, arms, directory)] = asked
    assert scenario.fleet.clients == 60
    assert "chosen" in arms
    assert len({one.name for one in arms.values()}) == len(arms)
    assert directory == results(tmp_path).parent / "confirmed"


def test_the_bench_gets_the_arms_scaled_and_for_a_shorter_time() -> None:
    limit = {"name": "global", "rate_per_s": 500, "burst": 100}
    arms = {
        "chosen": Candidate(name="a", policy="spread", limit=limit, reset_backoff="stable"),
        "now": Candidate(name="b", policy="naive", limit="none", reset_backoff="open"),
        "later": Candidate(
            name="c", policy="naive", limit="none", reset_backoff="stable", stable_after_s=7.0
        ),
    }
    production = msgspec.structs.replace(load("production"), matrix={})
    small = on_the_bench(production, arms, most_clients=100, watch_s=90).scenario
    assert small.fleet.clients == 100
    assert small.phases.duration_s == 96
    assert small.arms["chosen"] == {
        "fleet.policy": "spread",
        "fleet.reset_backoff": "stable",
        "edge.limit": {"name": "global", "rate_per_s": 5.0, "burst": 1},
    }
    assert [*small.arms] == ["chosen", "now", "later"]
    assert small.arms["later"]["fleet.stable_after_s"] == 7.0


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--sizes", "0,1"), "--sizes: invalid value '0,1': expected shares > 0"),
        (("--sizes", "all"), "--sizes: invalid value 'all': expected shares > 0"),
        (("--client", "socketio-j"), "--client: invalid value 'socketio-j': expected socketio-js, "),
        (("--client", "pusher"), "--client: invalid value 'pusher': expected a stock client with options"),
        (("--set", "event=[]"), "event: expected at least one fault"),
        (("--set", "fleet.policy=nonsense"), "fleet.policy: invalid value 'nonsense'"),
    ],
)
def test_mistakes_cost_one_line(tmp_path: Path, more: tuple[str, ...], complaint: str) -> None:
    shown = tune(tmp_path, *more)
    assert shown.exit_code == 2
    assert complaint in shown.output
    assert not [*tmp_path.iterdir()]


def test_results_of_another_scenario_are_not_gone_on_with(whole: tuple[Result, Path]) -> None:
    folder = results(whole[1]).parent
    shown = tune(whole[1], "--set", "fleet.clients=61", "--resume", str(folder))
    assert shown.exit_code == 2
    assert "results of another scenario" in shown.output


def test_a_former_name_of_an_option_is_accepted_with_a_warning(tmp_path: Path) -> None:
    shown = tune(tmp_path, "--max-nat-victim-s", "50", "--sizes", "0")
    assert "warning: --max-nat-victim-s is now --max-shared-ip-recovery-s" in shown.output
    assert "--max-nat-victim-s" not in CliRunner().invoke(main, ["tune", "--help"]).output

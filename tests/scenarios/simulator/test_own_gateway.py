"""A gateway of the user's own is simulated with its own costs, and not without any."""

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from reports.analysis.judgement import judge_run
from reports.rundir.reader import Run
from scenarios.cli.main import main
from scenarios.scenario.loader import load
from scenarios.scenario.program import STUB_KEYS
from scenarios.scenario.stability import stability
from scenarios.scenario.validate import ScenarioError
from scenarios.simulator.costs import CostFileError, Costs
from scenarios.simulator.fit import CalibrationError, calibrate
from scenarios.simulator.own_gateway import modelled
from scenarios.simulator.run import Prediction, simulate

OWN = """
[gateway]
command = "node server.js"
pods = 3
cores = 2
path = "/realtime/"

[feed]
rate_hz = 8
due_field = "meta.at"

[fleet]
clients = 40

[target]
auth = { token = "secret" }

[[event]]
at_s = 3
do = "drop_all"

[phases]
duration_s = 12
during_s = 2
recovery_window_s = 2
rescue_at_s = 0
control_s = 0
"""
KEYS = ("gateway.handshake_cpu_ms=4.5", "gateway.tick_cpu_us=18", "gateway.backlog=511")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.fixture
def costs_file(tmp_path: Path) -> Path:
    path = tmp_path / "costs.toml"
    path.write_text("handshake_cpu_ms = 4.5\ntick_cpu_us = 18\nbacklog = 511\n", encoding="utf-8")
    return path


def test_measured_costs_take_the_place_of_the_stubs(own: Path) -> None:
    scenario, costs = modelled(load(str(own)), Costs(), KEYS)
    gateway = scenario.gateway
    assert not scenario.own_gateway
    assert (gateway.pods, gateway.cores) == (3, 2)
    assert (gateway.handshake_cpu_ms, gateway.tick_cpu_us, gateway.backlog) == (4.5, 18, 511)
    assert scenario.feed.rate_hz == 8
    assert scenario.fleet.clients == 40
    assert costs == Costs()


def test_sessions_are_not_recovered_in_the_model(own: Path) -> None:
    loaded = load(str(own), ["fleet.recovery=true"])
    assert loaded.fleet.recovery
    assert not modelled(loaded, Costs(), KEYS)[0].fleet.recovery


def test_stability_is_estimated_with_the_measured_handshake(own: Path) -> None:
    scenario, _ = modelled(load(str(own)), Costs(), KEYS)
    assert stability(scenario).handshake_cpu_s == pytest.approx(0.0045)


@pytest.mark.parametrize("limit", ["global", "per-ip+global"])
def test_a_rate_that_follows_from_an_unknown_handshake_is_refused(own: Path, limit: str) -> None:
    with pytest.raises(ScenarioError, match=r"edge\.limit: .* expected a limit with rate_per_s"):
        load(str(own), [f"edge.limit={limit}"])
    load(str(own), ['edge.limit={name="global", rate_per_s=20}'])


def test_fitted_costs_are_the_whole_of_a_handshake_and_a_tick(own: Path) -> None:
    fitted = Costs(upgrade_cpu_s=0.007, join_cpu_s=0.003, tick_cpu_s=20e-6, close_cpu_s=1e-4)
    scenario, costs = modelled(load(str(own)), fitted, ())
    assert scenario.gateway.handshake_cpu_ms == pytest.approx(10)
    assert scenario.gateway.tick_cpu_us == pytest.approx(20)
    assert (costs.upgrade_cpu_s, costs.join_cpu_s, costs.tick_cpu_s) == (0, 0, 0)
    assert costs.close_cpu_s == 1e-4


def test_costs_without_a_handshake_are_refused(own: Path) -> None:
    with pytest.raises(CostFileError, match="no CPU for a handshake"):
        modelled(load(str(own)), Costs(upgrade_cpu_s=0.0, join_cpu_s=0.0), ())


@pytest.mark.parametrize("command", ["simulate", "tune"])
def test_without_costs_the_command_says_how_to_get_them(own: Path, command: str) -> None:
    done = CliRunner().invoke(main, [command, str(own)])
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert "gateway.command" in done.output
    assert "run `reconnect-storm measure` first" in done.output


def test_it_is_simulated_with_a_file_of_costs(own: Path, costs_file: Path, tmp_path: Path) -> None:
    arguments = ["simulate", str(own), "--costs", str(costs_file), "--runs", str(tmp_path / "runs")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    run = judge_run(next((tmp_path / "runs" / "own").glob("*/01-*")))
    assert run.info.predicted
    assert run.info.scenario["gateway"]["handshake_cpu_ms"] == 4.5
    assert run.info.stability["handshake_cpu_s"] == pytest.approx(0.0045)
    against = [*arguments[:1], *arguments[2:4], "--against", str(run.directory), *arguments[4:]]
    done = CliRunner().invoke(main, against)
    assert done.exit_code == 2, "the run is one of the stub"
    assert "--against" in done.output


def test_it_is_tuned_with_a_file_of_costs(own: Path, costs_file: Path, tmp_path: Path) -> None:
    few = ("--trials", "1", "--finalists", "1", "--seeds", "1", "--sizes", "1", "--processes", "1")
    done = CliRunner().invoke(
        main, ["tune", str(own), "--costs", str(costs_file), *few, "--runs", str(tmp_path), "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["clients"] == 40


def recorded(folder: Path, costs: Costs, *sets: str) -> Run:
    """A run with the pods and the series of a real one, whose gateway tells nothing about itself."""
    scenario = replace(load("mass-drop", sets), matrix={}, arms={})
    simulate(Prediction(scenario=scenario, directory=folder / "run", arm="arm", costs=costs))
    run = judge_run(folder / "run")
    table = msgspec.to_builtins(run.info.scenario)
    gateway = {key: value for key, value in table["gateway"].items() if key not in STUB_KEYS}
    run.info.scenario = {**table, "gateway": {**gateway, "command": "node server.js"}}
    run.info.predicted = False
    told = ("handshakes", "joined", "gone_early", "short_sessions", "ticks_sent", "shed")
    return replace(run, pods=tuple({**row, **dict.fromkeys(told)} for row in run.pods))


STORM = (
    'fleet.policy={name="spread", window_s=8}',
    "fleet.connect_timeout_s=5",
    "gateway.handshake_cpu_ms=4",
    "gateway.tick_cpu_us=0",
    "gateway.pods=3",
    'event=[{at_s=6, do="drop_all"}, {at_s=26, do="drop_share", share=0.5}]',
)


def test_costs_are_fitted_to_the_clients_joins_and_ticks(tmp_path: Path) -> None:
    costs = Costs(upgrade_cpu_s=2e-3, join_cpu_s=1e-3, tick_cpu_s=50e-6, idle_cpu=0.03, close_cpu_s=0.0)
    found = calibrate([recorded(tmp_path, costs, *STORM)]).costs
    assert found.upgrade_cpu_s + found.join_cpu_s == pytest.approx(7e-3, rel=0.1)
    assert found.tick_cpu_s == pytest.approx(50e-6, rel=0.15)
    assert found.idle_cpu == pytest.approx(0.03, rel=0.2)


def test_a_run_in_which_nobody_joins_tells_no_handshake(tmp_path: Path) -> None:
    calm = recorded(tmp_path, Costs(), *STORM, "event=[]", "phases.duration_s=30", "phases.rescue_at_s=0")
    with pytest.raises(CalibrationError, match="reconnect-storm measure"):
        calibrate([calm])

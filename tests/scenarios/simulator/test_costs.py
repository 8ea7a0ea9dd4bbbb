"""What another gateway was measured to cost becomes a scenario and the model's costs."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from scenarios.cli.main import main
from scenarios.scenario.loader import load
from scenarios.simulator.costs import CostFileError, Costs, read
from scenarios.simulator.run import Prediction, simulate


def test_a_measured_handshake_is_the_whole_of_it(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("handshake_cpu_ms = 1.2\ntick_cpu_us = 22\nclose_cpu_ms = 0.1\nidle_cpu = 0.02\n")
    costs, overrides = read(file)
    gateway = load("mass-drop", overrides).gateway
    assert (gateway.handshake_cpu_ms, gateway.tick_cpu_us) == (1.2, 22)
    assert (costs.upgrade_cpu_s, costs.join_cpu_s, costs.tick_cpu_s) == (0, 0, 0), (
        "nothing comes on top of it"
    )
    assert costs.close_cpu_s == pytest.approx(1e-4)
    assert costs.idle_cpu == 0.02
    assert costs.nginx_request_cpu_s == Costs().nginx_request_cpu_s, "the edge stays nginx"


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("node.toml", "tick_cpu_us = 22", "handshake_cpu_ms"),
        ("node.toml", "handshake_cpu_ms = 0\ntick_cpu_us = 1", "> 0"),
        (
            "node.toml",
            "handshake_cpu_ms = 1\ntick_cpu_us = 1\nhandshake = 3",
            "expected handshake_cpu_ms, tick",
        ),
        ("node.toml", "handshake_cpu_ms =", "node.toml"),
        ("costs.json", '{"tick_cpu_ms": 1}', "expected tick_cpu_s"),
        ("costs.json", "\xff", "costs.json"),
        ("nowhere.json", None, "nowhere.json"),
    ],
)
def test_a_mistake_says_what_was_found_and_what_is_allowed(
    tmp_path: Path, name: str, text: str | None, complaint: str
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text, encoding="latin-1")
    with pytest.raises(CostFileError, match=complaint):
        read(file)


def test_costs_that_were_kept_are_taken_again(tmp_path: Path) -> None:
    node, kept = tmp_path / "node.toml", tmp_path / "kept.json"
    node.write_text("handshake_cpu_ms = 5\ntick_cpu_us = 22\n")
    arguments = ["simulate", "mass-drop", "--costs", str(node), "--keep-costs", str(kept)]
    small = [
        *("--set", "fleet.clients=20", "--set", "phases.duration_s=8", "--set", "phases.rescue_at_s=0"),
        *("--set", "phases.during_s=1", "--set", "phases.recovery_window_s=1", "--set", "phases.control_s=0"),
    ]
    done = CliRunner().invoke(main, [*arguments, *small, "--runs", str(tmp_path / "runs")])
    assert done.exit_code == 0, done.output
    assert read(kept) == (read(node)[0], ())


def test_recorded_runs_have_their_own_scenario(tmp_path: Path) -> None:
    node = tmp_path / "node.toml"
    node.write_text("handshake_cpu_ms = 5\ntick_cpu_us = 22\n")
    scenario = replace(load("mass-drop", ["event=[]", "phases.rescue_at_s=0"]), matrix={})
    simulate(Prediction(scenario=scenario, directory=tmp_path / "run", arm="arm"))
    done = CliRunner().invoke(main, ["simulate", "--costs", str(node), "--against", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "--against" in done.output

"""The command that measures a gateway: what it refuses before it starts anything, and how it ends."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from scenarios.cli.commands import measure as command
from scenarios.cli.main import main
from scenarios.host.process import StackError
from scenarios.measure.driver import MeasurePlan, NoisyHostError
from scenarios.measure.result import Measured
from scenarios.simulator.costs import read_measured
from tests.scenarios.measure.test_result import FOUND


def measured(monkeypatch: pytest.MonkeyPatch, ending: Measured | Exception) -> list[MeasurePlan]:
    """Replaces the measurement; returns the plans that it is called with."""
    plans: list[MeasurePlan] = []

    async def measure(plan: MeasurePlan, on_progress: Callable[[str], None]) -> Measured:
        plans.append(plan)
        on_progress("cycle 1 of 5")
        if isinstance(ending, Exception):
            raise ending
        return ending

    monkeypatch.setattr(command, "measure", measure)
    return plans


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--set", "target.url=http://127.0.0.1:1"), "target.url: not supported by measure"),
        (("--out", "nowhere/costs.toml"), "no such folder: nowhere"),
        (("--cycles", "2"), "--cycles"),
        (("--gateway", "no-such-program-at-all"), "no-such-program-at-all was not found"),
        (("no-such-scenario",), "no such scenario"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(arguments: tuple[str, ...], complaint: str) -> None:
    done = CliRunner().invoke(main, ["measure", *arguments])
    assert done.exit_code == 2
    assert complaint in done.output
    assert done.output.count("\n") == 1


def test_it_writes_a_file_and_says_what_to_type_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    plans = measured(monkeypatch, FOUND)
    done = CliRunner().invoke(main, ["measure", "--cycles", "4", "--clients", "300"])
    assert done.exit_code == 0, done.output
    assert (plans[0].gateway, plans[0].cycles, plans[0].most_clients) == ("built-in stub", 4, 300)
    assert read_measured(tmp_path / "costs.toml").handshake_cpu_ms == 4.97
    assert done.stdout.splitlines()[-1] == "next: reconnect-storm tune --costs costs.toml"
    assert "cycle 1 of 5 …" in done.stderr


def test_the_file_of_a_scenario_has_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    plans = measured(monkeypatch, FOUND)
    scenario = tmp_path / "mine.toml"
    scenario.write_text('[gateway]\ncommand = ["python3", "-m", "gateway", "--api-key", "hunter2"]\n')
    done = CliRunner().invoke(main, ["measure", str(scenario)])
    assert done.exit_code == 0, done.output
    assert read_measured(tmp_path / "costs-mine.toml").backlog == 511
    assert plans[0].gateway.startswith("python3 -m gateway")
    assert "hunter2" not in plans[0].gateway
    assert done.stdout.splitlines()[-1].startswith(
        f"next: reconnect-storm tune {scenario} --costs costs-mine"
    )


def test_json_has_the_estimates_and_the_file_is_written_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measured(monkeypatch, FOUND)
    done = CliRunner().invoke(main, ["measure", "--json", "--out", str(tmp_path / "costs.toml")])
    assert done.exit_code == 0, done.output
    assert '"handshake_s": {' in done.stdout
    assert (tmp_path / "costs.toml").exists()


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (NoisyHostError("noisy host: other processes used 40 % of core 0"), 3, "INVALID: noisy host: "),
        (StackError("timed out: 3 of 30 clients joined"), 5, "3 of 30 clients joined"),
    ],
)
def test_a_measurement_that_fails_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, status: int, said: str
) -> None:
    measured(monkeypatch, error)
    done = CliRunner().invoke(main, ["measure", "--out", str(tmp_path / "costs.toml")])
    assert done.exit_code == status
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []

"""`doctor --noise`: what is printed, the exit status, and hosts of which little is known."""

import json
from collections.abc import Iterator, Sequence

import pytest
from click.testing import CliRunner, Result

from scenarios.cli.main import main
from scenarios.host.machine import Cores
from scenarios.host.noise import Second

TWO, ONE, UNPINNED = Cores((0,), (1,)), Cores((0,), (0,)), Cores((), ())


def a_second(foreign: float | None = 0.0, late_ms: float = 0.1, wall_ms: float = 0.5) -> Second:
    return Second(
        foreign=foreign,
        steal=None if foreign is None else 0.0,
        late_ms=(late_ms,) * 10,
        wall_ms=(wall_ms,) * 10,
        cpu_ms=(0.5,) * 10,
    )


def doctor(
    monkeypatch: pytest.MonkeyPatch, every: Second, *arguments: str, cores: Cores = TWO, seconds: int = 20
) -> Result:
    def measure(probed: Sequence[int | None], wanted: int) -> Iterator[dict[int | None, Second]]:
        assert wanted == seconds
        for _ in range(seconds):
            yield dict.fromkeys(probed, every)

    monkeypatch.setattr("scenarios.cli.noise.measure", measure)
    monkeypatch.setattr("scenarios.host.machine.assign_cores", lambda *_: cores)
    monkeypatch.setattr("scenarios.cli.commands.doctor.findings", lambda *_: [])
    return CliRunner().invoke(main, ["doctor", "gate-quick", "--noise", *arguments])


def words(result: Result) -> str:
    return " ".join(result.stdout.split())


def test_a_quiet_host_is_good_and_says_how_many_rounds_a_gate_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(monkeypatch, a_second())
    assert result.exit_code == 0, result.output
    assert "Noise of this host in 20 s" in words(result)
    assert "core 0 (pods, proxy)" in words(result)
    assert "Estimate for gate-quick on this host" in words(result)
    assert "This is an estimate" in words(result)
    assert "`reconnect-storm gate gate-quick --baseline gate-quick`" in words(result)
    assert "INVALID" not in words(result)
    assert result.stderr.splitlines() == [f"measuring noise: {number} of 20 s" for number in (5, 10, 15, 20)]


def test_a_host_that_invalidates_runs_says_so_first_and_is_an_exit_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = doctor(monkeypatch, a_second(foreign=0.6))
    assert result.exit_code == 3
    assert "Runs will be INVALID here: noisy host: other processes used 60 % of core 0" in words(result)
    assert "Runs will be INVALID here: noisy host: other processes used 60 % of core 1" in words(result)


def test_timers_that_are_late_on_the_generators_core_invalidate_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(monkeypatch, a_second(late_ms=12.0))
    assert result.exit_code == 3
    assert "load generator late before the trigger" in words(result)
    assert "expected ≤ 5 ms, got 12 ms" in words(result)


def test_one_core_is_enough_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(monkeypatch, a_second(), cores=ONE)
    assert result.exit_code == 0, result.output
    assert "core 0 (pods, proxy, load generator)" in words(result)


def test_what_a_system_does_not_tell_is_said_to_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(monkeypatch, a_second(foreign=None), cores=UNPINNED)
    assert result.exit_code == 0, result.output
    assert "any core" in words(result)
    assert "CPU of other processes and of the hypervisor is unknown" in words(result)


def test_a_quota_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Account:
        def quota_cores(self) -> float:
            return 1.5

    monkeypatch.setattr("scenarios.cli.noise.own_account", Account)
    assert "CPU quota: 1.5 cores" in words(doctor(monkeypatch, a_second()))


def test_programs_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(monkeypatch, a_second(foreign=0.6), "--json", "--noise-s", "6", seconds=6)
    assert result.exit_code == 3
    noise = json.loads(result.stdout)["noise"]
    assert (noise["seconds"], noise["reference"], noise["gate_rounds"]) == (6, "gate-quick", 5)
    assert [core["core"] for core in noise["cores"]] == [0, 1]
    assert len(noise["invalid"]) == 2
    assert {one["key"] for one in noise["estimates"]} >= {"availability", "pod_loop"}


@pytest.mark.parametrize("seconds", ["4", "x"])
def test_a_time_that_is_too_short_is_refused(seconds: str) -> None:
    result = CliRunner().invoke(main, ["doctor", "--noise", "--noise-s", seconds])
    assert result.exit_code == 2
    assert "--noise-s: invalid value" in result.output


def test_an_interrupt_ends_it_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object) -> Iterator[dict[int | None, Second]]:
        yield {0: a_second(), 1: a_second()}
        raise KeyboardInterrupt

    monkeypatch.setattr("scenarios.cli.noise.measure", measure)
    monkeypatch.setattr("scenarios.cli.commands.doctor.findings", lambda *_: [])
    result = CliRunner().invoke(main, ["doctor", "--noise"])
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "reconnect-storm: interrupted"

"""What a host takes away from its cores: the probes, and what is made of their lines."""

import os
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.disturbance import taken
from scenarios.host import noise_probe
from scenarios.host.machine import Cores, MachineError
from scenarios.host.noise import Second, core_noise, measure, probed_cores, rows, second

MS = 1_000_000


def a_second(
    *,
    foreign: float | None = 0.0,
    steal: float | None = 0.0,
    late_ms: float = 0.1,
    wall_ms: float = 0.5,
    cpu_ms: float = 0.5,
) -> Second:
    return Second(
        foreign=foreign,
        steal=steal,
        late_ms=(late_ms,) * 100,
        wall_ms=(wall_ms,) * 100,
        cpu_ms=(cpu_ms,) * 100,
    )


def line(at_s: float, busy: int, steal: int, own_s: float, **measured: Any) -> dict[str, Any]:
    """A line of a probe on core 1; the kernel counts in ticks, of which a second has a hundred."""
    stat = f"cpu1 {busy} 0 0 0 0 0 0 {steal} 0 0\n"
    return {
        "stat": stat,
        "own_cpu_ns": int(own_s * 1e9),
        "at_ns": int(at_s * 1e9),
        "late_ns": [MS // 10] * 5,
        "wall_ns": [MS] * 5,
        "cpu_ns": [MS] * 5,
        **measured,
    }


def test_what_others_had_is_what_the_kernel_counts_less_the_probe_itself() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    found = second(1, line(10, 0, 0, 0), line(12, ticks, ticks // 10, 0.6))
    assert found.foreign == pytest.approx(0.2)
    assert found.steal == pytest.approx(0.05)
    assert found.late_ms == (0.1,) * 5


def test_figures_that_differ_a_little_are_not_below_nothing() -> None:
    found = second(1, line(10, 0, 0, 0), line(11, 0, 0, 0.02))
    assert found.foreign == 0


@pytest.mark.parametrize("core", [1, None])
def test_where_the_kernel_does_not_tell_it_is_unknown(core: int | None) -> None:
    bare = line(10, 0, 0, 0, stat=""), line(11, 0, 0, 0, stat="")
    found = second(core, *bare)
    assert (found.foreign, found.steal) == (None, None)
    noise = core_noise(core, [found])
    assert (noise.foreign, noise.steal) == (None, None)


def test_a_quiet_core_varies_by_nothing() -> None:
    found = core_noise(0, [a_second()] * 5)
    assert (found.seconds, found.foreign, found.lost, found.longest_gap_ms) == (5, 0, 0, 0)
    assert found.late_p50_ms == found.late_p99_ms == found.late_worst_ms == pytest.approx(0.1)
    assert found.block_variation == pytest.approx(0)
    assert found.speed_variation == pytest.approx(0)


def test_a_core_that_is_taken_away_loses_time_that_no_cpu_clock_counts() -> None:
    found = core_noise(0, [a_second(wall_ms=0.5), a_second(wall_ms=1.5)])
    assert found.lost == pytest.approx(0.5)
    assert found.longest_gap_ms == pytest.approx(1.0)
    assert found.speed_variation == pytest.approx(0.7071, abs=1e-3)
    assert found.block_variation == pytest.approx(0)


def test_a_cpu_that_slows_down_takes_more_cpu_time_for_the_same_work() -> None:
    found = core_noise(0, [a_second(cpu_ms=0.4, wall_ms=0.4), a_second(cpu_ms=0.6, wall_ms=0.6)])
    assert found.lost == 0
    assert found.block_variation == pytest.approx(0.2, abs=0.01)


def test_timers_that_are_late_in_some_seconds_vary() -> None:
    found = core_noise(0, [a_second(late_ms=0.1)] * 2 + [a_second(late_ms=8.1)] * 2)
    assert found.late_p99_variation_ms == pytest.approx(4.62, abs=0.01)


TIMES_MS = st.lists(st.floats(0.01, 100), min_size=1, max_size=20).map(tuple)


@given(st.lists(st.tuples(TIMES_MS, TIMES_MS), min_size=1, max_size=5))
def test_figures_of_a_core_are_within_their_bounds(parts: list[tuple[Any, Any]]) -> None:
    seconds = [
        Second(foreign=0.1, steal=0.0, late_ms=late, wall_ms=wall, cpu_ms=tuple(one / 2 for one in wall))
        for late, wall in parts
    ]
    found = core_noise(3, seconds)
    assert found.late_p50_ms <= found.late_p99_ms <= found.late_worst_ms
    assert found.lost == pytest.approx(0.5)
    assert min(found.block_variation, found.speed_variation, found.late_p99_variation_ms) >= 0


# -- by the rules of a run -------------------------------------------------------------------------

TWO = Cores((0,), (1,))


def judged(cores: Cores, **by_core: list[Second]) -> list[str]:
    seconds: list[dict[int | None, Second]] = [
        {int(name.removeprefix("core")): every[number] for name, every in by_core.items()}
        for number in range(20)
    ]
    described = {"cores": 1, "stack_cores": cores.stack, "generator_cores": cores.generator}
    return [worst.sentence for worst in taken(rows(seconds, cores), described) if worst.too_much]


def test_a_busy_core_is_told_by_the_rule_that_would_invalidate_a_run() -> None:
    (sentence,) = judged(TWO, core0=[a_second(foreign=0.5)] * 20, core1=[a_second()] * 20)
    assert sentence == "noisy host: other processes used 50 % of core 0 (pods and proxy), expected ≤ 10 %"


def test_a_hypervisor_that_takes_the_generators_core_is_told() -> None:
    (sentence,) = judged(TWO, core0=[a_second()] * 20, core1=[a_second(steal=0.3)] * 20)
    assert sentence.startswith("noisy host: the hypervisor took 30 % of core 1 (load generator)")


def test_a_host_with_one_core_is_judged_as_a_whole() -> None:
    one = Cores((0,), (0,))
    assert probed_cores(one) == (0,)
    (sentence,) = judged(one, core0=[a_second(foreign=0.4)] * 20)
    assert "core 0 (the whole run)" in sentence


def test_a_host_that_tells_nothing_is_not_judged() -> None:
    unknown = [a_second(foreign=None, steal=None)] * 20
    assert judged(TWO, core0=unknown, core1=unknown) == []


def test_a_system_that_pins_nothing_has_one_probe_anywhere() -> None:
    assert probed_cores(Cores((), ())) == (None,)


# -- real probes -----------------------------------------------------------------------------------


def test_a_probe_that_stood_still_for_a_second_tells_of_it_all_the_same() -> None:
    long_ago_ns = 0
    assert len(noise_probe._sleep(long_ago_ns)) == 1
    assert [len(times) for times in noise_probe._work(long_ago_ns)] == [1, 1]


def probes() -> list[psutil.Process]:
    children = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [child for child in children if "noise_probe.py" in " ".join(child.cmdline())]


def own_core() -> int | None:
    return min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def test_a_probe_tells_of_every_second_and_ends() -> None:
    core = own_core()
    found = [now[core] for now in measure([core], 2)]
    assert len(found) == 2
    noise = core_noise(core, found)
    assert noise.late_worst_ms > 0
    assert 0 <= noise.lost < 1
    assert min(len(one.wall_ms) for one in found) > 0
    assert probes() == []


@pytest.fixture
def started() -> Iterator[Iterator[dict[int | None, Second]]]:
    running = measure([None], 600)
    next(running)
    yield running
    running.close()  # type: ignore[attr-defined]


def test_whoever_stops_a_measurement_leaves_no_probe(started: Any) -> None:
    assert len(probes()) == 1
    started.close()
    assert probes() == []


def test_a_probe_that_ends_early_is_an_error(started: Any) -> None:
    (probe,) = probes()
    probe.kill()
    with pytest.raises(MachineError, match=r"the noise probe ended early \(exit status -9\)"):
        list(started)

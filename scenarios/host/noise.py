"""What this host takes away from its cores while no run uses them: one probe a core, for some seconds.

All probes work at the same time, as the parts of a run do: two cores that are threads of one physical core
slow each other, and so they should here.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from scenarios.host.cpu import core_times
from scenarios.host.machine import Cores, MachineError

_PROBE = str(Path(__file__).with_name("noise_probe.py"))
_LAUNCHER = str(Path(__file__).with_name("launcher.py"))
_DESCRIPTORS = 64


class Second(Struct, frozen=True, kw_only=True):
    """One core in one second."""

    foreign: float | None
    """Share of the core that other processes had; None where the kernel does not tell."""
    steal: float | None
    """Share that the hypervisor took; likewise."""
    late_ms: tuple[float, ...]
    """Of each sleep."""
    wall_ms: tuple[float, ...]
    """Of each block of work."""
    cpu_ms: tuple[float, ...]
    """CPU time of each block of work."""


class CoreNoise(Struct, frozen=True, kw_only=True):
    """One core over the whole measurement; what is unknown is None."""

    core: int | None
    """None where this system cannot keep a process on a core."""
    seconds: int
    foreign: float | None
    """Share of the core that other processes had."""
    steal: float | None
    late_p50_ms: float
    late_p99_ms: float
    """Lateness of a sleep of one millisecond."""
    late_worst_ms: float
    late_p99_variation_ms: float
    """Standard deviation of the p99 from second to second."""
    lost: float
    """Share of a busy loop's time during which it did not run: clock less CPU time."""
    longest_gap_ms: float
    """The most that one block of work lost."""
    block_variation: float
    """Coefficient of variation of the CPU time of a block of work: frequency, caches, a thread beside it."""
    speed_variation: float
    """Coefficient of variation of the time that a block takes by the clock, from second to second."""


def probed_cores(cores: Cores) -> tuple[int | None, ...]:
    """The cores of the pods and of the generator, each once; `None` where nothing is pinned."""
    return tuple(dict.fromkeys((*cores.stack, *cores.generator))) or (None,)


def measure(cores: Sequence[int | None], seconds: int) -> Iterator[dict[int | None, Second]]:
    """Yields what the probes say after each second. Ends them however it ends. Raises MachineError."""
    with contextlib.ExitStack() as stops:
        probes = {core: stops.enter_context(_probe(core, seconds)) for core in cores}
        last = {core: _line(core, probe) for core, probe in probes.items()}
        for _ in range(seconds):
            now = {core: _line(core, probe) for core, probe in probes.items()}
            yield {core: second(core, last[core], now[core]) for core in cores}
            last = now


@contextlib.contextmanager
def _probe(core: int | None, seconds: int) -> Iterator["subprocess.Popen[bytes]"]:
    name = "-" if core is None else str(core)
    interpreter = [sys.executable, "-I", "-S"]
    launcher = [*interpreter, _LAUNCHER, str(os.getpid()), str(int(signal.SIGKILL)), name, str(_DESCRIPTORS)]
    process = subprocess.Popen(  # noqa: S603
        [*launcher, "--", *interpreter, _PROBE, name, str(seconds)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # An interrupt from the keyboard is for this process, which then ends the probes.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None  # noqa: S101
        process.stdout.close()


def _line(core: int | None, probe: "subprocess.Popen[bytes]") -> dict[str, Any]:
    assert probe.stdout is not None  # noqa: S101
    line = probe.stdout.readline()
    if not line.endswith(b"\n"):
        where = "" if core is None else f" on core {core}"
        raise MachineError(f"the noise probe{where} ended early (exit status {probe.wait()})")
    told: dict[str, Any] = msgspec.json.decode(line)
    return told


def second(core: int | None, last: Mapping[str, Any], now: Mapping[str, Any]) -> Second:
    """From two lines of a probe."""
    span_s = (now["at_ns"] - last["at_ns"]) / 1e9
    before, after = (core_times(line["stat"]).get(-1 if core is None else core) for line in (last, now))
    foreign = steal = None
    if before is not None and after is not None:
        own_s = (now["own_cpu_ns"] - last["own_cpu_ns"]) / 1e9
        # Small differences between the kernel's figures may come out below nothing.
        foreign = max(0.0, (after.busy - before.busy - own_s) / span_s)
        steal = max(0.0, (after.steal - before.steal) / span_s)
    times = {name: tuple(value / 1e6 for value in now[f"{name}_ns"]) for name in ("late", "wall", "cpu")}
    return Second(
        foreign=foreign, steal=steal, late_ms=times["late"], wall_ms=times["wall"], cpu_ms=times["cpu"]
    )


def core_noise(core: int | None, seconds: Sequence[Second]) -> CoreNoise:
    """The figures of a core; it needs one second."""
    late, wall, cpu = (
        [np.array(getattr(one, name), np.float64) for one in seconds]
        for name in ("late_ms", "wall_ms", "cpu_ms")
    )
    sleeps, blocks, used = np.concatenate(late), np.concatenate(wall), np.concatenate(cpu)
    return CoreNoise(
        core=core,
        seconds=len(seconds),
        foreign=_mean([one.foreign for one in seconds]),
        steal=_mean([one.steal for one in seconds]),
        late_p50_ms=float(np.percentile(sleeps, 50)),
        late_p99_ms=float(np.percentile(sleeps, 99)),
        late_worst_ms=float(sleeps.max()),
        late_p99_variation_ms=_deviation([float(np.percentile(part, 99)) for part in late]),
        lost=max(0.0, 1 - float(used.sum() / blocks.sum())),
        longest_gap_ms=max(0.0, float((blocks - used).max())),
        block_variation=_variation(used),
        speed_variation=_variation(np.array([float(part.mean()) for part in wall])),
    )


def rows(seconds: Sequence[Mapping[int | None, Second]], cores: Cores) -> list[dict[str, float | None]]:
    """The seconds as a run has them, for the rules that say when a host is too noisy."""
    parts = {"stack": cores.stack, "generator": cores.generator}
    found: list[dict[str, float | None]] = []
    for t_s, by_core in enumerate(seconds):
        row: dict[str, float | None] = {"t_s": float(t_s)}
        for part, own in parts.items():
            known = [by_core[core] for core in own if core in by_core]
            foreign = [one.foreign for one in known if one.foreign is not None]
            steal = [one.steal for one in known if one.steal is not None]
            row[f"{part}_foreign_cpu"] = sum(foreign) if foreign else None
            row[f"{part}_steal"] = max(steal) if steal else None
            late = [float(np.percentile(one.late_ms, 99)) for one in known]
            row[f"{part}_late_p99_ms"] = max(late) if late else None
        found.append(row)
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _variation(values: NDArray[np.float64]) -> float:
    return _deviation(values.tolist()) / float(values.mean()) if len(values) else 0.0

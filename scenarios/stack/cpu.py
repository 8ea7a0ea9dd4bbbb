"""CPU-seconds per second: of the nginx processes, the generator, and everybody else."""

from collections.abc import Sequence

import psutil
from msgspec import Struct


class CpuShares(Struct, frozen=True):
    """CPU-seconds per second since the last sample."""

    nginx: float | None
    """None where nginx is not ours."""
    generator: float | None
    """None where it reports that by itself."""
    foreign: float | None
    """Processes that are neither part of the run nor its runner; None where parts are on other machines."""
    steal: float


class CpuSampler:
    """Takes differences between samples; the first sample is the zero, and what it returns means nothing."""

    def __init__(self, own_pid: int) -> None:
        self._own_pid = own_pid
        self._last: dict[int, float] = {}
        self._last_machine = _machine()

    def sample(
        self,
        span_s: float,
        *,
        nginx: int | None,
        generator: int | None,
        pods: Sequence[int],
        sidecars: Sequence[int] = (),
    ) -> CpuShares:
        """Shares over the `span_s` seconds since the last sample, of these processes and their children."""
        groups = {
            "nginx": [] if nginx is None else _with_children(nginx),
            "generator": [] if generator is None else _with_children(generator),
            "pods": pods,
            "sidecars": sidecars,
            "own": [self._own_pid],
        }
        now = {pid: _cpu_s(pid) for pids in groups.values() for pid in pids}
        used = {
            # A process that is new since the last sample has used all it has used since then.
            name: sum(now[pid] - self._last.get(pid, 0.0) for pid in pids) / span_s
            for name, pids in groups.items()
        }
        (last_busy, last_steal), self._last_machine = self._last_machine, _machine()
        busy, steal = self._last_machine
        self._last = now
        return CpuShares(
            nginx=None if nginx is None else used["nginx"],
            generator=None if generator is None else used["generator"],
            foreign=max(0.0, (busy - last_busy) / span_s - sum(used.values())),
            steal=(steal - last_steal) / span_s,
        )


def _machine() -> tuple[float, float]:
    """(busy, stolen) CPU-seconds of the whole machine since it booted."""
    times = psutil.cpu_times()
    busy = times.user + times.nice + times.system
    busy += getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    return busy, getattr(times, "steal", 0.0)


def _cpu_s(pid: int) -> float:
    """CPU-seconds that a process has used; 0 when it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _with_children(pid: int) -> list[int]:
    """The workers of nginx and of Locust do the work; they may change with a reload."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children())]
    except psutil.NoSuchProcess:
        return []

"""CPU-seconds per second: of the nginx processes, the generator, and everybody else."""

import psutil
from msgspec import Struct


class CpuShares(Struct, frozen=True):
    """CPU-seconds per second since the last sample."""

    nginx: float | None
    """None where nginx is not ours."""
    generator: float
    foreign: float
    """Processes that are neither part of the run nor its runner."""
    steal: float


class CpuSampler:
    """Takes differences between samples; the first sample is the zero."""

    def __init__(
        self, *, nginx_pid: int | None, generator_pid: int, pod_pids: list[int], own_pid: int
    ) -> None:
        self._groups = {
            "nginx": [] if nginx_pid is None else [nginx_pid],
            "generator": [generator_pid],
            "pods": pod_pids,
            "own": [own_pid],
        }
        self._last = self._read()

    def sample(self, span_s: float) -> CpuShares:
        """Shares over the `span_s` seconds since the last sample."""
        now, last = self._read(), self._last
        self._last = now
        # A child that ended takes its counter with it, so a sum can fall.
        used = {key: max(0.0, now[key] - last[key]) / span_s for key in now}
        ours = sum(used[key] for key in self._groups)
        return CpuShares(
            nginx=used["nginx"] if self._groups["nginx"] else None,
            generator=used["generator"],
            foreign=max(0.0, used["machine"] - ours),
            steal=used["steal"],
        )

    def _read(self) -> dict[str, float]:
        totals = {key: sum(map(_cpu_s, pids)) for key, pids in self._groups.items()}
        # nginx's and Locust's workers do the work; they may change with a reload.
        for name in ("nginx", "generator"):
            totals[name] += sum(_cpu_s(child) for pid in self._groups[name] for child in _children(pid))
        times = psutil.cpu_times()
        busy = times.user + times.nice + times.system
        busy += getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
        return {**totals, "machine": busy, "steal": getattr(times, "steal", 0.0)}


def _cpu_s(pid: int) -> float:
    """CPU-seconds that a process has used; 0 when it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []

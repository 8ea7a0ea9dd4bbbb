"""CPU-seconds per second: of the nginx processes, the generator, and everybody else, also core by core."""

import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import psutil
from msgspec import Struct

from scenarios.host.machine import Cores

_NOBODY = Cores((), ())
_STAT = Path("/proc/stat")


class CoreShares(Struct, frozen=True):
    """What a part of the run did not have of its cores, in CPU-seconds per second."""

    foreign: float
    """What processes used there that are neither part of the run nor its runner."""
    steal: float
    """What the hypervisor took of the core of which it took most."""


class CpuShares(Struct, frozen=True):
    """CPU-seconds per second since the last sample."""

    nginx: float | None
    """None where nginx is not ours."""
    generator: float | None
    """None where it reports that by itself."""
    foreign: float | None
    """Processes that are neither part of the run nor its runner; None where parts are on other machines.

    The kernel counts a process and a core by different clocks, so it may be a little below 0. To cut that off
    would make something of nothing in a mean over seconds."""
    steal: float
    stack: CoreShares | None = None
    """On the cores of pods and nginx; None where they have no cores of their own."""
    generator_core: CoreShares | None = None
    """On the core of the generator, likewise."""


class CoreTimes(Struct, frozen=True):
    """CPU-seconds of a core, or of all of them, since the machine was booted.

    The kernel's own work, such as the packets of our connections, is neither: it is done in the name of
    whoever happens to run, and most of it is ours.
    """

    busy: float
    steal: float


class CpuSampler:
    """Takes differences between samples; the first sample is the zero, and what it returns means nothing.

    cores: where the parts are that `sample` is told of, if they are kept there.
    """

    def __init__(self, own_pid: int, cores: Cores = _NOBODY) -> None:
        self._own_pid = own_pid
        self._cores = cores
        self._last: dict[int, _Spent] = {}
        self._last_stack: set[int] = set()
        self._last_proxy: list[int] = []
        self._last_machine, self._last_cores = _machine(), core_times()

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
        proxy = [] if nginx is None else _with_children(nginx)
        load = [] if generator is None else _with_children(generator)
        # Who has just been ended may still be on its way out, and is in nobody's account until it is gone.
        stack = {*proxy, *pods, *sidecars, *self._last_stack}
        now = {pid: spent for pid in {*stack, *load, self._own_pid} if (spent := _spent(pid)) is not None}
        last, self._last, self._last_stack = self._last, now, stack & now.keys()
        (last_machine, last_cores) = self._last_machine, self._last_cores
        machine, cores = self._last_machine, self._last_cores = _machine(), core_times()

        def own(pids: Iterable[int]) -> float:
            # A process that is new since the last sample has used all it has used since then.
            return sum(now[p].own - (last[p].own if p in last else 0.0) for p in pids if p in now) / span_s

        def whole(pids: Collection[int]) -> float:
            """With what their children had used that have ended, whom nobody can ask any more."""
            before = sum(last[p].own + last[p].ended for p in pids if p in last)
            return (sum(now[p].own + now[p].ended for p in pids if p in now) - before) / span_s

        last_proxy, self._last_proxy = self._last_proxy, proxy
        # What an old worker had used that has ended is in the account of its master, while that is the same.
        same = proxy[:1] == last_proxy[:1]
        by_proxy = whole({*proxy, *last_proxy}) if same else own(proxy)
        runner = own([self._own_pid])
        # Pods and nginx that have ended: the runner waited for them.
        by_stack = whole(stack) + whole([self._own_pid]) - runner
        by_load = whole(load)

        def on(ids: tuple[int, ...], ours: float) -> CoreShares | None:
            known = [core for core in ids if core in cores and core in last_cores]
            if not ids or len(known) != len(ids):
                return None
            busy = sum(cores[core].busy - last_cores[core].busy for core in known)
            steal = max(cores[core].steal - last_cores[core].steal for core in known)
            return CoreShares(foreign=busy / span_s - ours, steal=steal / span_s)

        # The runner is kept nowhere, so it is taken to have been where the question is.
        shared = by_stack + by_load if set(self._cores.stack) & set(self._cores.generator) else None
        return CpuShares(
            nginx=None if nginx is None else by_proxy,
            generator=None if generator is None else own(load),
            foreign=(machine.busy - last_machine.busy) / span_s - by_stack - by_load - runner,
            steal=(machine.steal - last_machine.steal) / span_s,
            stack=on(self._cores.stack, (by_stack if shared is None else shared) + runner),
            generator_core=on(self._cores.generator, (by_load if shared is None else shared) + runner),
        )


class _Spent(Struct, frozen=True):
    """CPU-seconds of a process, and of those of its children that have ended and been waited for."""

    own: float
    ended: float


def core_times(table: str | None = None) -> Mapping[int, CoreTimes]:
    """The times of each core by its number; nothing where the system cannot keep a process on a core.

    table: what the kernel says, if it is not to be asked.
    """
    if table is None:
        if not sys.platform.startswith("linux"):
            return {}
        table = _STAT.read_text(encoding="ascii")
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    found = {}
    for line in table.splitlines():
        name, *cells = line.split()
        number = name.removeprefix("cpu")
        if name.startswith("cpu") and number.isdigit():
            user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, cells[:8])
            found[int(number)] = CoreTimes((user + nice + system) / ticks_per_s, steal / ticks_per_s)
    return found


def _machine() -> CoreTimes:
    times = psutil.cpu_times()
    return CoreTimes(times.user + times.nice + times.system, getattr(times, "steal", 0.0))


def _spent(pid: int) -> _Spent | None:
    """None when the process is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return None
    # Where the system does not tell of children, what ended ones had used since the last sample is lost.
    return _Spent(
        own=float(times.user + times.system), ended=float(times.children_user + times.children_system)
    )


def spent_s(pid: int) -> float:
    """CPU-seconds that a process and its children that are there have used so far."""
    return sum(spent.own for each in _with_children(pid) if (spent := _spent(each)) is not None)


def _with_children(pid: int) -> list[int]:
    """The workers of nginx and of Locust do the work; they may change with a reload."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children())]
    except psutil.NoSuchProcess:
        return []

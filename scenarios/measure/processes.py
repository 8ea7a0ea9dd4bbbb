"""CPU time and memory of a pod's processes."""

import os
import time
from collections.abc import Iterable

import psutil

from scenarios.programs.kept import KeptProgram
from scenarios.programs.tree import Tree


def tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants that are there now; nothing once it has ended."""
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class CpuClock:
    """CPU time of processes that come and go, of one pod each clock.

    Of processes alone, what one used after the last reading before its end is lost.
    """

    def __init__(self) -> None:
        self._spent: dict[tuple[int, float], float] = {}
        self._program_s = 0.0
        self._tree: Tree | None = None
        """Of the program; it remembers what children had used that nothing waited for."""

    def cpu_s(self, processes: Iterable[psutil.Process]) -> float:
        """CPU-seconds of these and of all that were ever asked for; never less than before."""
        for process in processes:
            try:
                key = (process.pid, process.create_time())
                self._spent[key] = max(self._spent.get(key, 0.0), _cpu_s(process))
            except psutil.Error:
                continue
        return sum(self._spent.values())

    def program_cpu_s(self, program: KeptProgram) -> float:
        """CPU-seconds of a program and all its descendants; never less than before.

        Descendants that began and ended between two readings count: the account of the program has them, but
        in steps of 10 ms where it has no control group. The clocks of the processes that are there are finer.
        """
        self._tree = self._tree or Tree(program)
        by_clocks_s, by_account_s = self.cpu_s(program.processes()), self._tree.use().cpu_ns / 1e9
        self._program_s = max(self._program_s, by_clocks_s, by_account_s)
        return self._program_s


def rss_bytes(processes: Iterable[psutil.Process]) -> int:
    """Resident memory of all of them; pages that they share count for each."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def _cpu_s(process: psutil.Process) -> float:
    # Linux has a clock for each process, in nanoseconds; its other figures count in steps of 10 ms.
    if os.name == "posix" and hasattr(os, "sched_getaffinity"):
        try:
            return time.clock_gettime(~process.pid << 3 | 2)
        except OSError:
            pass
    times = process.cpu_times()
    return float(times.user + times.system)

"""What a program and all its descendants use: CPU time, memory, and how busy their main threads are."""

import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil
from msgspec import Struct

from scenarios.host.cpu_account import CgroupV2
from scenarios.programs.kept import KeptProgram

_PROC = Path("/proc")
_CONNECTION = re.compile(rb"^ *\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 01 ", re.MULTILINE)
"""A line of /proc/net/tcp about an established connection, with its local port."""
_LISTENING = re.compile(rb"^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A ", re.MULTILINE)
_LASTS_S = 0.5
_TABLES = ("net/tcp", "net/tcp6")
_LOOPBACK = (b"0100007F", b"00000000000000000000000001000000", b"0000000000000000FFFF00000100007F")


class TreeUse(Struct, frozen=True):
    """Sums over all processes of a program, since it was started."""

    t_ns: int
    """CLOCK_MONOTONIC."""
    cpu_ns: int
    rss_bytes: int
    main_ns: Mapping[int, int]
    """How long the main thread of each process ran or was ready to run, by process id."""

    def busiest_ns(self, before: "TreeUse") -> int | None:
        """How long the busiest main thread was occupied since `before`; None where nothing says it."""
        taken = [spent - before.main_ns.get(pid, 0) for pid, spent in self.main_ns.items()]
        return max(taken, default=None)


class Spent(Struct, frozen=True):
    """CPU-seconds of a process, and of its children that have ended and been waited for."""

    own: float = 0.0
    ended: float = 0.0


class CpuLedger:
    """Adds up the CPU time of processes that come and go, without a control group; the sum never falls."""

    def __init__(self) -> None:
        self._last: dict[int, Spent] = {}
        self._lost_s = 0.0
        """Of processes that ended without being waited for: no other account has it."""

    def total_s(self, now: Mapping[int, Spent]) -> float:
        """CPU-seconds of all processes so far. now: of those that run, and of their keeper, by process id."""
        gone_s = sum(spent.own + spent.ended for pid, spent in self._last.items() if pid not in now)
        taken_over_s = sum(spent.ended - self._last.get(pid, _NOTHING).ended for pid, spent in now.items())
        self._lost_s += max(0.0, gone_s - taken_over_s)
        self._last = dict(now)
        return self._lost_s + sum(spent.own + spent.ended for spent in now.values())


_NOTHING = Spent()


class Tree:
    """The processes of one program, over time."""

    def __init__(self, program: KeptProgram) -> None:
        self._program = program
        self._ledger = CpuLedger()

    def use(self) -> TreeUse:
        """What the program has used by now.

        The CPU time is that of its control group where it has one. Else it is that of its processes, of those
        that have ended, and of orphans that its keeper adopted.
        """
        rss_bytes = 0
        main_ns: dict[int, int] = {}
        spent: dict[int, Spent] = {}
        for process in self._program.processes():
            try:
                with process.oneshot():
                    spent[process.pid] = _spent(process)
                    rss_bytes += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            if (occupied := _main_thread_ns(process.pid)) is not None:
                main_ns[process.pid] = occupied
        cpu_ns = _group_cpu_ns(self._program.group)
        if cpu_ns is None:
            # The keeper's own time is not the program's.
            keeper = self._program.keeper.pid
            spent[keeper] = Spent(0.0, _keeper_spent(keeper).ended)
            cpu_ns = int(self._ledger.total_s(spent) * 1e9)
        return TreeUse(time.monotonic_ns(), cpu_ns, rss_bytes, main_ns)


def _spent(process: psutil.Process) -> Spent:
    times = process.cpu_times()
    return Spent(times.user + times.system, times.children_user + times.children_system)


def _keeper_spent(pid: int) -> Spent:
    try:
        return _spent(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return _NOTHING


def _group_cpu_ns(group: Path | None) -> int | None:
    if group is None:
        return None
    try:
        return CgroupV2(group).use().cpu_ns
    except (OSError, KeyError, ValueError):
        return None


def _main_thread_ns(pid: int) -> int | None:
    """Nanoseconds that the main thread ran, or waited for a core, from the scheduler's statistics."""
    try:
        run_ns, wait_ns, _ = (_PROC / f"{pid}/task/{pid}/schedstat").read_bytes().split()
    except (OSError, ValueError):
        return None
    return int(run_ns) + int(wait_ns)


class Connections:
    """Open connections by local port; the kernel's tables are read once for all pods that ask together."""

    def __init__(self) -> None:
        self._read_s = -math.inf
        self._found: Mapping[int, int] = {}

    def to(self, port: int) -> int:
        """Open connections to this port, at most half a second ago."""
        now_s = time.monotonic()
        if now_s - self._read_s > _LASTS_S:
            self._read_s, self._found = now_s, established(_read_tables())
        return self._found.get(port, 0)


def established(tables: Iterable[bytes]) -> Counter[int]:
    """Open connections by local port, in the kernel's tables."""
    return Counter(int(port, 16) for table in tables for port in _CONNECTION.findall(table))


def listens_elsewhere(port: int, tables: Iterable[bytes] | None = None) -> bool:
    """Whether a process of this machine listens on this port of other addresses than loopback."""
    return any(
        int(number, 16) == port and address not in _LOOPBACK
        for table in (_read_tables() if tables is None else tables)
        for address, number in _LISTENING.findall(table)
    )


def listening_ports(program: KeptProgram) -> list[int]:
    """Ports on which the program or a descendant listens."""
    found: set[int] = set()
    for process in program.processes():
        try:
            connections = process.net_connections(kind="tcp")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        found |= {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}
    return sorted(found)


def _read_tables() -> list[bytes]:
    found = []
    for name in _TABLES:
        try:
            found.append((_PROC / name).read_bytes())
        except OSError:
            continue
    return found

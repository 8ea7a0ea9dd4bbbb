"""What a program and all its descendants use: CPU time, memory, and how busy their main threads are."""

import re
import time
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


def use(program: KeptProgram) -> TreeUse:
    """What a program has used by now.

    The CPU time is that of its control group where it has one, else that of its processes, of those that
    have ended and been waited for, and of orphans that its keeper adopted.
    """
    processes = program.processes()
    rss_bytes, cpu_s = 0, 0.0
    main_ns: dict[int, int] = {}
    for process in processes:
        try:
            with process.oneshot():
                times = process.cpu_times()
                rss_bytes += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        cpu_s += times.user + times.system + times.children_user + times.children_system
        if (spent := _main_thread_ns(process.pid)) is not None:
            main_ns[process.pid] = spent
    cpu_ns = _group_cpu_ns(program.group)
    if cpu_ns is None:
        cpu_ns = int((cpu_s + _adopted_s(program)) * 1e9)
    return TreeUse(time.monotonic_ns(), cpu_ns, rss_bytes, main_ns)


def _group_cpu_ns(group: Path | None) -> int | None:
    if group is None:
        return None
    try:
        return CgroupV2(group).use().cpu_ns
    except (OSError, KeyError, ValueError):
        return None


def _adopted_s(program: KeptProgram) -> float:
    """CPU-seconds of what the keeper has waited for: orphans, and in the end the program."""
    try:
        times = psutil.Process(program.keeper.pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.children_user + times.children_system)


def _main_thread_ns(pid: int) -> int | None:
    """Nanoseconds that the main thread ran, or waited for a core, from the scheduler's statistics."""
    try:
        run_ns, wait_ns, _ = (_PROC / f"{pid}/task/{pid}/schedstat").read_bytes().split()
    except (OSError, ValueError):
        return None
    return int(run_ns) + int(wait_ns)


def established(ports: Iterable[int], tables: Iterable[bytes] | None = None) -> dict[int, int]:
    """Open connections to each of these local ports. tables: what the kernel says, if it is known."""
    found = dict.fromkeys(ports, 0)
    for table in _read_tables() if tables is None else tables:
        for port in _CONNECTION.findall(table):
            number = int(port, 16)
            if number in found:
                found[number] += 1
    return found


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

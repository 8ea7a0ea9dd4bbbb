"""What a host has used of its CPU: its control group's account, or that of its processes where it has none.

The kernel's account of a container counts every process in it, whether it still is there or not, and says
how long a quota held them up. Version 2 of control groups and version 1 write it differently.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

import psutil
from msgspec import Struct

ROOT = Path("/sys/fs/cgroup")


class CpuUse(Struct, frozen=True):
    """CPU time, and time held up by a quota, since some moment."""

    cpu_ns: int
    throttled_ns: int = 0


class CpuAccount(Protocol):
    """Tells what has been used."""

    source: str
    """In words, for a report."""

    def use(self) -> CpuUse:
        """By now."""

    def quota_cores(self) -> float | None:
        """How many cores may be used; None without a quota."""


class CgroupV2:
    """`cpu.stat` has all of it, in microseconds."""

    source = "cgroup v2"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def use(self) -> CpuUse:
        """`usage_usec` and `throttled_usec`; without a quota there may be no line of the latter."""
        fields = _fields(self._folder / "cpu.stat")
        return CpuUse(fields["usage_usec"] * 1_000, fields.get("throttled_usec", 0) * 1_000)

    def quota_cores(self) -> float | None:
        """`cpu.max` has quota and period, or `max` for no quota."""
        quota, period = (self._folder / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)


class CgroupV1:
    """Two controllers, which may share a folder; times are in nanoseconds."""

    source = "cgroup v1"

    def __init__(self, account: Path, cpu: Path) -> None:
        self._account = account
        self._cpu = cpu

    def use(self) -> CpuUse:
        """`cpuacct.usage`, and `throttled_time` of `cpu.stat`."""
        throttled_ns = _fields(self._cpu / "cpu.stat").get("throttled_time", 0)
        return CpuUse(int((self._account / "cpuacct.usage").read_text(encoding="ascii")), throttled_ns)

    def quota_cores(self) -> float | None:
        """A quota of -1 is none."""
        quota = int((self._cpu / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period = int((self._cpu / "cpu.cfs_period_us").read_text(encoding="ascii"))
        return None if quota < 0 else quota / period


class ProcessTree:
    """This process, its descendants, and those of them that have ended and been waited for."""

    source = "processes"

    def use(self) -> CpuUse:
        """Without what a quota held up, which no process knows."""
        own = psutil.Process()
        return CpuUse(sum(_cpu_ns(process) for process in (own, *own.children(recursive=True))))

    def quota_cores(self) -> float | None:
        """None: a quota belongs to a control group."""
        return None


def own_account(root: Path = ROOT) -> CpuAccount:
    """The account of the control group that has this process and its kin alone, as a container's has."""
    own = psutil.Process()
    kin = {process.pid for process in (own, *own.parents(), *own.children(recursive=True))}
    return cgroup_of(kin, root) or ProcessTree()


def cgroup_of(pids: Collection[int], root: Path = ROOT) -> CgroupV2 | CgroupV1 | None:
    """The control group at the root of what we see, if nobody but these processes is in it.

    On a machine without containers that is the whole machine's, which has no quota and many other processes.
    """
    if _alone(root, pids) and (root / "cpu.max").exists():
        return CgroupV2(root)
    account = _first(root, "cpuacct.usage", ("cpuacct", "cpu,cpuacct"))
    cpu = _first(root, "cpu.cfs_quota_us", ("cpu", "cpu,cpuacct"))
    if account and cpu and _alone(account, pids):
        return CgroupV1(account, cpu)
    return None


def _first(root: Path, file: str, folders: Collection[str]) -> Path | None:
    return next((root / folder for folder in folders if (root / folder / file).exists()), None)


def _alone(folder: Path, pids: Collection[int]) -> bool:
    try:
        members = (folder / "cgroup.procs").read_text(encoding="ascii").split()
    except OSError:
        return False
    return {int(member) for member in members} <= set(pids)


def _fields(path: Path) -> dict[str, int]:
    lines = path.read_text(encoding="ascii").splitlines()
    return {name: int(value) for name, value in (line.split() for line in lines)}


def _cpu_ns(process: psutil.Process) -> int:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0
    return int(1e9 * (times.user + times.system + times.children_user + times.children_system))


def boot_id() -> str:
    """Tells kernels apart; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"{os.uname().nodename}"

"""What a host has used of its CPU, as both versions of control groups write it."""

import os
from pathlib import Path

import psutil
import pytest

from scenarios.host import cpu_account
from scenarios.host.cpu_account import CgroupV1, CgroupV2, CpuUse, ProcessTree, cgroup_of, own_account


def v2(root: Path, *, procs: str = "1\n7\n", quota: str = "50000 100000", throttled: bool = True) -> Path:
    more = "nr_periods 10\nnr_throttled 3\nthrottled_usec 250000\n" if throttled else ""
    (root / "cgroup.procs").write_text(procs)
    (root / "cpu.max").write_text(f"{quota}\n")
    (root / "cpu.stat").write_text(f"usage_usec 1500000\nuser_usec 1\nsystem_usec 2\n{more}")
    return root


def v1(root: Path, *, folders: tuple[str, str] = ("cpuacct", "cpu"), quota: int = 75_000) -> Path:
    account, cpu = (root / name for name in folders)
    for folder in {account, cpu}:
        folder.mkdir()
    (account / "cgroup.procs").write_text("1\n7\n")
    (account / "cpuacct.usage").write_text("1500000000\n")
    (cpu / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (cpu / "cpu.cfs_period_us").write_text("100000\n")
    (cpu / "cpu.stat").write_text("nr_periods 10\nnr_throttled 3\nthrottled_time 250000000\n")
    return root


USED = CpuUse(1_500_000_000, 250_000_000)


def test_version_2_is_read(tmp_path: Path) -> None:
    found = cgroup_of({1, 7, 8}, v2(tmp_path))
    assert isinstance(found, CgroupV2)
    assert found.use() == USED
    assert found.quota_cores() == 0.5


def test_without_a_quota_nothing_is_throttled(tmp_path: Path) -> None:
    found = cgroup_of({1, 7}, v2(tmp_path, quota="max 100000", throttled=False))
    assert found is not None
    assert found.use() == CpuUse(1_500_000_000, 0)
    assert found.quota_cores() is None


@pytest.mark.parametrize("folders", [("cpuacct", "cpu"), ("cpu,cpuacct", "cpu,cpuacct")], ids=str)
def test_version_1_is_read(tmp_path: Path, folders: tuple[str, str]) -> None:
    found = cgroup_of({1, 7}, v1(tmp_path, folders=folders))
    assert isinstance(found, CgroupV1)
    assert found.use() == USED
    assert found.quota_cores() == 0.75


def test_a_quota_of_minus_one_is_none(tmp_path: Path) -> None:
    found = cgroup_of({1, 7}, v1(tmp_path, quota=-1))
    assert found is not None
    assert found.quota_cores() is None


def test_a_control_group_with_others_in_it_is_not_ours(tmp_path: Path) -> None:
    assert cgroup_of({7}, v2(tmp_path)) is None
    (tmp_path / "one").mkdir()
    assert cgroup_of({7}, v1(tmp_path / "one")) is None


def test_without_control_groups_there_is_none(tmp_path: Path) -> None:
    assert cgroup_of({1, 7}, tmp_path) is None


def test_processes_count_where_there_is_no_control_group(tmp_path: Path) -> None:
    found = own_account(tmp_path)
    assert isinstance(found, ProcessTree)
    assert found.quota_cores() is None
    before = found.use()
    sum(range(2_000_000))
    after = found.use()
    assert after.cpu_ns >= before.cpu_ns > 0
    assert after.throttled_ns == 0


def test_a_process_that_has_ended_meanwhile_counts_as_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def cpu_times(self) -> None:
            raise psutil.NoSuchProcess(1)

    assert cpu_account._cpu_ns(Gone()) == 0  # type: ignore[arg-type]


def test_kernels_can_be_told_apart_even_where_the_system_does_not_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert cpu_account.boot_id()

    def fails(*_: object, **__: object) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", fails)
    assert cpu_account.boot_id() == os.uname().nodename

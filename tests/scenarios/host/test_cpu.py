"""Whose CPU time is whose: the kernel's tables, second by second, against what the sampler makes of them."""

import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from scenarios.host import cpu
from scenarios.host.cpu import CoreShares, CpuSampler, CpuShares, core_times
from scenarios.host.machine import Cores

RUNNER, NGINX, WORKER, POD, GENERATOR = 1, 10, 11, 20, 30
CORES = Cores((0,), (1,))

Spent = tuple[float, float]
"""CPU-seconds of a process, and of its children that have ended."""


class Kernel:
    """A machine of two cores, and what the kernel says of it."""

    def __init__(self) -> None:
        self.processes: dict[int, Spent] = dict.fromkeys((RUNNER, NGINX, WORKER, POD, GENERATOR), (0.0, 0.0))
        self.children = {NGINX: [WORKER], GENERATOR: []}
        self.cores = {number: dict.fromkeys(("busy", "softirq", "steal"), 0.0) for number in (0, 1)}

    def table(self) -> str:
        """As in /proc/stat, with the sum over all cores first."""
        lines = []
        for number, core in self.cores.items():
            busy, softirq, steal = (round(100 * core[kind]) for kind in ("busy", "softirq", "steal"))
            lines.append(f"cpu{number} {busy} 0 0 5 5 0 {softirq} {steal} 0 0")
        return "cpu  9 9 9 9 9 9 9 9 9 9\n" + "\n".join(lines) + "\nintr 5 0 0\nctxt 7\n"

    def all_cores(self) -> Any:
        """As psutil tells it."""
        total = {
            kind: sum(core[kind] for core in self.cores.values()) for kind in ("busy", "softirq", "steal")
        }
        return SimpleNamespace(
            user=total["busy"], nice=0.0, system=0.0, softirq=total["softirq"], irq=0.0, steal=total["steal"]
        )

    def process(self, pid: int) -> Any:
        """As psutil tells it. Raises NoSuchProcess."""
        if pid not in self.processes:
            raise psutil.NoSuchProcess(pid)
        own, ended = self.processes[pid]
        return SimpleNamespace(
            cpu_times=lambda: SimpleNamespace(user=own, system=0.0, children_user=ended, children_system=0.0),
            children=lambda: [SimpleNamespace(pid=child) for child in self.children.get(pid, [])],
        )


class Rig:
    """The sampler on that machine; each call of `second` is one second of it."""

    def __init__(self, kernel: Kernel, cores: Cores) -> None:
        self.kernel = kernel
        self.sampler = CpuSampler(RUNNER, cores)
        self.pods, self.nginx = [POD], NGINX
        self.sample()

    def sample(self) -> CpuShares:
        return self.sampler.sample(1.0, nginx=self.nginx, generator=GENERATOR, pods=self.pods)

    def second(
        self, used: Mapping[int, float] | None = None, *, others: Mapping[int, float] | None = None
    ) -> CpuShares:
        """used: by processes of ours, on their cores; others: by anybody else, by core."""
        for pid, seconds in (used or {}).items():
            own, ended = self.kernel.processes[pid]
            self.kernel.processes[pid] = (own + seconds, ended)
            self.kernel.cores[1 if pid in {GENERATOR, RUNNER} else 0]["busy"] += seconds
        for core, seconds in (others or {}).items():
            self.kernel.cores[core]["busy"] += seconds
        return self.sample()


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(psutil, "Process", made.process)
    monkeypatch.setattr(psutil, "cpu_times", made.all_cores)
    monkeypatch.setattr(cpu, "core_times", lambda: core_times(made.table()))
    return made


@pytest.fixture
def rig(kernel: Kernel) -> Rig:
    return Rig(kernel, CORES)


def had(shares: CoreShares | None) -> tuple[float, float]:
    """What others had: processes, and the hypervisor. The kernel counts in hundredths of a second."""
    assert shares is not None
    return round(shares.foreign, 2), round(shares.steal, 2)


def test_others_are_told_core_by_core(rig: Rig) -> None:
    found = rig.second({POD: 0.5, WORKER: 0.1, NGINX: 0.02, GENERATOR: 0.3}, others={0: 0.25, 1: 0.6})
    assert had(found.stack) == (0.25, 0.0)
    assert had(found.generator_core) == (0.6, 0.0)
    assert found.foreign == pytest.approx(0.85, abs=0.02)
    assert [found.nginx, found.generator] == pytest.approx([0.12, 0.3])


def test_the_kernels_own_work_is_nobodys(rig: Rig, kernel: Kernel) -> None:
    kernel.cores[0]["softirq"] += 0.4
    kernel.cores[1]["softirq"] += 0.4
    found = rig.second({POD: 0.5})
    assert had(found.stack) == had(found.generator_core) == (0.0, 0.0)
    assert found.foreign == pytest.approx(0.0, abs=0.02)


def test_the_runner_may_have_been_on_either_core(rig: Rig) -> None:
    found = rig.second({RUNNER: 0.05})
    assert had(found.generator_core) == (0.0, 0.0)
    assert had(found.stack) == (-0.05, 0.0)
    assert found.foreign == pytest.approx(0.0, abs=0.02)


def test_what_a_pod_used_before_it_was_killed_is_not_others(rig: Rig, kernel: Kernel) -> None:
    rig.second({POD: 0.9})
    own, _ = kernel.processes.pop(POD)
    kernel.processes[RUNNER] = (0.0, own + 0.7)
    rig.pods = []
    found = rig.second(others={0: 0.7})  # which it used in its last second
    assert had(found.stack) == (0.0, 0.0)
    assert had(rig.second(others={0: 0.3}).stack) == (0.3, 0.0)


def test_a_process_that_is_on_its_way_out_still_counts(rig: Rig, kernel: Kernel) -> None:
    rig.pods = []  # whoever ended it has forgotten it, and the kernel has not
    assert had(rig.second({POD: 0.6}).stack) == (0.0, 0.0)
    own, _ = kernel.processes.pop(POD)
    kernel.processes[RUNNER] = (0.0, own)
    assert had(rig.second().stack) == (0.0, 0.0)


def test_a_worker_of_nginx_that_a_reload_ends_is_not_others(rig: Rig, kernel: Kernel) -> None:
    rig.second({WORKER: 0.2})
    kernel.children[NGINX] = [12]
    own, _ = kernel.processes.pop(WORKER)
    kernel.processes |= {NGINX: (0.0, own + 0.1), 12: (0.0, 0.0)}
    found = rig.second({12: 0.05}, others={0: 0.1})
    assert had(found.stack) == (0.0, 0.0)
    assert found.nginx == pytest.approx(0.15), "what the old worker used in its last second is nginx's"


def test_old_workers_that_pile_up_are_nginxs(rig: Rig, kernel: Kernel) -> None:
    workers = [12, 13, 14]
    kernel.processes |= dict.fromkeys(workers, (0.0, 0.0))
    kernel.children[NGINX] = [WORKER, *workers]
    assert rig.second({WORKER: 0.1, 12: 0.2, 13: 0.1, 14: 0.1}).nginx == pytest.approx(0.5)
    # Two of them end, one after some more work.
    ended = sum(kernel.processes.pop(worker)[0] for worker in (12, 13))
    kernel.processes[NGINX] = (0.0, ended + 0.05)
    kernel.children[NGINX] = [WORKER, 14]
    assert rig.second({14: 0.1}, others={0: 0.05}).nginx == pytest.approx(0.15)
    assert rig.second().nginx == pytest.approx(0.0)


def test_an_nginx_that_is_started_anew_is_not_others(rig: Rig, kernel: Kernel) -> None:
    rig.second({WORKER: 0.2, NGINX: 0.1})
    del kernel.processes[WORKER], kernel.processes[NGINX]
    kernel.processes |= {RUNNER: (0.0, 0.3), 40: (0.0, 0.0)}
    rig.nginx = 40
    found = rig.second({40: 0.1})
    assert had(found.stack) == (0.0, 0.0)
    assert found.nginx == pytest.approx(0.1)


def test_a_pod_that_is_started_has_used_all_it_has_used(rig: Rig, kernel: Kernel) -> None:
    kernel.processes[21] = (0.0, 0.0)
    rig.pods = [POD, 21]
    assert had(rig.second({21: 0.8}).stack) == (0.0, 0.0)


def test_the_hypervisor_is_told_of_the_core_of_which_it_took_most(kernel: Kernel) -> None:
    kernel.cores[2] = dict.fromkeys(kernel.cores[0], 0.0)
    rig = Rig(kernel, Cores((0, 2), (1,)))
    for core, seconds in ((0, 0.1), (1, 0.05), (2, 0.4)):
        kernel.cores[core]["steal"] += seconds
    found = rig.second()
    assert (had(found.stack), had(found.generator_core)) == ((0.0, 0.4), (0.0, 0.05))
    assert found.steal == pytest.approx(0.55)


def test_on_a_core_that_all_parts_share_all_parts_are_ours(kernel: Kernel) -> None:
    rig = Rig(kernel, Cores((1,), (1,)))
    kernel.processes[POD] = (0.5, 0.0)
    kernel.cores[1]["busy"] += 0.5
    found = rig.second({GENERATOR: 0.2}, others={1: 0.3})
    assert had(found.stack) == had(found.generator_core) == (0.3, 0.0)


@pytest.mark.parametrize(
    "cores", [Cores((), ()), Cores((7,), (8,))], ids=["not pinned", "unknown to the kernel"]
)
def test_where_parts_have_no_cores_of_their_own_only_the_machine_is_known(
    kernel: Kernel, cores: Cores
) -> None:
    found = Rig(kernel, cores).second(others={0: 0.4})
    assert (found.stack, found.generator_core) == (None, None)
    assert found.foreign == pytest.approx(0.4, abs=0.02)


def test_cores_keep_their_numbers_where_one_is_switched_off() -> None:
    table = "cpu  9 9 9 9\ncpu0 100 50 50 1 1 7 7 20 0 0\ncpu3 300 0 0 1 1 7 7 0 0 0\nsoftirq 9\n"
    assert {number: (core.busy, core.steal) for number, core in core_times(table).items()} == {
        0: (2.0, 0.2),
        3: (3.0, 0.0),
    }


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not pin")
def test_the_kernel_tells_of_every_core_that_a_process_may_be_pinned_to() -> None:
    assert os.sched_getaffinity(0) <= core_times().keys()

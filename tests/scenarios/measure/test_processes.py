"""CPU time and memory of processes that come and go."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scenarios.host.process import last_lines
from scenarios.measure.processes import CpuClock, rss_bytes, tree
from scenarios.programs import kept
from scenarios.programs.kept import start_kept
from scenarios.programs.placeholders import invocation
from scenarios.scenario.program import Program

BURNER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
print("done", flush=True)
time.sleep(60)
"""


@pytest.fixture
def burner() -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-c", BURNER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    for one in tree(process.pid):
        one.kill()
    process.wait()
    process.stdout.close()


def test_a_tree_is_a_process_and_its_descendants(burner: "subprocess.Popen[str]") -> None:
    assert len(tree(burner.pid)) == 2
    assert rss_bytes(tree(burner.pid)) > rss_bytes(tree(burner.pid)[:1]) > 1_000_000


def test_what_a_process_has_used_is_kept_after_its_end(burner: "subprocess.Popen[str]") -> None:
    clock = CpuClock()
    used_s = clock.cpu_s(tree(burner.pid))
    # 0.3 s in its loop, and the start of two interpreters.
    assert 0.3 <= used_s < 3.0
    processes = tree(burner.pid)
    burner.kill()
    burner.wait()
    assert tree(burner.pid) == []
    assert clock.cpu_s(processes) >= used_s
    assert clock.cpu_s([]) >= used_s
    for one in processes[1:]:
        one.kill()


FORKS = """
import os, subprocess, sys, time
while not os.path.exists("begin"):
    time.sleep(0.01)
spin = "import time; end = time.process_time() + 0.03\\nwhile time.process_time() < end: pass"
for _ in range(10):
    subprocess.run([sys.executable, "-I", "-S", "-c", spin])
print("done", flush=True)
time.sleep(60)
"""


async def forks_and_clock(tmp_path: Path) -> tuple[float, float]:
    """What a clock says at the start of a program, and once ten children have begun and ended."""
    called = invocation(program := Program(command=(sys.executable, "-c", FORKS)), {}, environment={})
    child = await start_kept("it", program, called, folder=tmp_path, log=tmp_path / "it.log")
    clock = CpuClock()
    try:
        before_s = clock.program_cpu_s(child)
        (tmp_path / "begin").touch()
        async with asyncio.timeout(60):
            while not last_lines(child.log):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)
        return before_s, clock.program_cpu_s(child)
    finally:
        await child.kill()
        # All processes have ended, and the clock does not go back.
        assert clock.program_cpu_s(child) >= before_s


@pytest.mark.parametrize("group", [True, False], ids=["by its control group, if any", "by its processes"])
def test_children_that_begin_and_end_between_two_readings_count(
    tmp_path: Path, group: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not group:
        monkeypatch.setattr(kept, "new_group", lambda _name: None)
    before_s, after_s = asyncio.run(forks_and_clock(tmp_path))
    assert after_s - before_s >= 10 * 0.03


def test_a_process_that_has_ended_has_no_memory(burner: "subprocess.Popen[str]") -> None:
    ended = psutil.Process(burner.pid)
    children = ended.children()
    burner.kill()
    burner.wait()
    assert rss_bytes([ended]) == 0
    for one in children:
        one.kill()

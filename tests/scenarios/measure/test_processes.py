"""CPU time and memory of processes that come and go."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from scenarios.measure.processes import CpuClock, rss_bytes, tree

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


def test_a_process_that_has_ended_has_no_memory(burner: "subprocess.Popen[str]") -> None:
    ended = psutil.Process(burner.pid)
    children = ended.children()
    burner.kill()
    burner.wait()
    assert rss_bytes([ended]) == 0
    for one in children:
        one.kill()

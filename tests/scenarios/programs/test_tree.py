"""What a program and its descendants use, from what the kernel says."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from scenarios.host.process import last_lines
from scenarios.programs import kept, tree
from scenarios.programs.kept import KeptProgram, start_kept
from scenarios.programs.placeholders import invocation
from scenarios.scenario.program import Program

BURNS = """
import subprocess, sys, time
spin = "import time; end = time.process_time() + 0.4\\nwhile time.process_time() < end: pass"
subprocess.run([sys.executable, "-c", spin])
print("done", flush=True)
time.sleep(60)
"""
MAIN_BURNS = """
import time
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
print("done", flush=True)
time.sleep(60)
"""
LISTENS = """
import socket, time
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
time.sleep(60)
"""


async def first_words(child: KeptProgram) -> list[str]:
    """What it has printed, once it has."""
    for _ in range(3_000):
        if said := last_lines(child.log):
            return said
        await asyncio.sleep(0.02)
    raise AssertionError("it said nothing")


async def use_of(tmp_path: Path, code: str) -> tree.TreeUse:
    program = Program(command=(sys.executable, "-c", code))
    called = invocation(program, {}, environment={})
    child = await start_kept("it", program, called, folder=tmp_path, log=tmp_path / "it.log")
    try:
        assert await first_words(child) == ["done"]
        return tree.Tree(child).use()
    finally:
        await child.kill()


@pytest.mark.parametrize("group", [True, False], ids=["by its control group, if any", "by its processes"])
def test_cpu_of_a_child_that_has_ended_counts(
    tmp_path: Path, group: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not group:
        monkeypatch.setattr(kept, "new_group", lambda _name: None)
    found = asyncio.run(use_of(tmp_path, BURNS))
    assert found.cpu_ns >= 0.4e9
    assert found.rss_bytes > 5_000_000


def test_the_busiest_main_thread_is_that_of_the_process_that_worked(tmp_path: Path) -> None:
    found = asyncio.run(use_of(tmp_path, MAIN_BURNS))
    nothing = tree.TreeUse(0, 0, 0, {})
    busiest = found.busiest_ns(nothing)
    assert busiest is None or busiest >= 0.3e9  # None where the kernel keeps no scheduling statistics


def test_of_several_processes_the_busiest_counts_and_new_ones_from_their_start() -> None:
    before = tree.TreeUse(0, 0, 0, {1: 100, 2: 500})
    now = tree.TreeUse(0, 0, 0, {1: 150, 2: 700, 3: 90})
    assert now.busiest_ns(before) == 200
    assert tree.TreeUse(0, 0, 0, {}).busiest_ns(before) is None


TABLE = b"""  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0
   2: 0100007F:1F90 0100007F:C351 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0
   3: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0
   4: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4 1 0
"""
TABLE6 = b"""  sl  local_address                         remote_address                        st tx_queue
   0: 00000000000000000000000000000000:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:C352 01 00000000:00000000
"""


def test_established_connections_to_a_port_are_counted_in_both_families() -> None:
    found = tree.established([TABLE, TABLE6])
    assert (found[0x1F90], found[0x1F91]) == (2, 0)


@pytest.mark.parametrize(("port", "elsewhere"), [(0x1F90, False), (0x1F91, True), (0x1F92, True), (1, False)])
def test_a_port_on_other_addresses_than_loopback_is_seen(port: int, elsewhere: bool) -> None:
    assert tree.listens_elsewhere(port, [TABLE, TABLE6]) is elsewhere


def test_connections_of_this_machine_are_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            assert tree.Connections().to(port) == 1


def test_ports_on_which_a_descendant_listens_are_found(tmp_path: Path) -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LISTENS!r}])"
    program = Program(command=(sys.executable, "-c", code))

    async def run() -> tuple[list[int], list[str]]:
        called = invocation(program, {}, environment={})
        child: KeptProgram = await start_kept("it", program, called, folder=tmp_path, log=tmp_path / "it.log")
        try:
            said = await first_words(child)
            return tree.listening_ports(child), said
        finally:
            await child.kill()

    ports, said = asyncio.run(run())
    assert [str(port) for port in ports] == said

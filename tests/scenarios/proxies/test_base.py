"""What proxies have in common as children of a run: the signal on which a master takes new workers."""

import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from scenarios.host.machine import free_ports
from scenarios.proxies.base import LocalProxy

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the kernel's tables are Linux's"
)

MASTER = """
import os, signal, socket, sys, time
def again(*_):
    if not os.fork():
        time.sleep(60)
port, how = int(sys.argv[1]), sys.argv[2]
if how != "unprepared":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    signal.signal(signal.SIGUSR2, again)
listener = socket.create_server(("127.0.0.1", port))
time.sleep(0.5)
if how == "forgetful":
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
signal.signal(signal.SIGUSR2, again)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])
while True:
    time.sleep(1)
"""
"""Its port is open before it is ready for the signal, which ends it, or is forgotten, or waits."""


LATE = """
import pathlib, signal, socket, sys, time
def end(*_):
    time.sleep(2.5)
    pathlib.Path(sys.argv[2]).write_text("all of it")
    sys.exit()
signal.signal(signal.SIGTERM, end)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    time.sleep(1)
"""
"""On a busy host it writes the end of its log only seconds after it was told to end."""


class Master(LocalProxy):
    """A master that forks a worker on SIGUSR2, once it is ready for that."""

    name = "master"
    how = ""

    def arguments(self) -> list[str]:
        return ["-c", MASTER, str(self.port), self.how]

    async def configure(self, files: Mapping[str, str]) -> None:
        """It has no configuration."""

    async def reload(self) -> None:
        """A new worker."""
        await self.renew_workers(signal.SIGUSR2)


@pytest.mark.parametrize("how", ["unprepared", "forgetful", "patient"])
def test_a_master_is_told_to_reload_when_it_is_ready_for_the_signal(tmp_path: Path, how: str) -> None:
    async def reloads() -> int:
        (port,) = free_ports(1)
        master = Master(port=port, directory=tmp_path, binary=Path(sys.executable))
        master.how = how
        child = await master.start(descriptors=64)
        try:
            await master.reload()
            await master.reload()
            return len(psutil.Process(child.pid).children())
        finally:
            await child.kill()

    assert asyncio.run(reloads()) == 2


class Late(Master):
    """One that is late with its log."""

    def arguments(self) -> list[str]:
        return ["-c", LATE, str(self.port), str(self.directory / "access.log")]


def test_a_proxy_that_is_late_has_written_all_of_its_log_when_it_has_been_stopped(tmp_path: Path) -> None:
    async def stops() -> None:
        (port,) = free_ports(1)
        child = await Late(port=port, directory=tmp_path, binary=Path(sys.executable)).start(descriptors=64)
        await child.stop()

    asyncio.run(stops())
    assert (tmp_path / "access.log").read_text() == "all of it"

"""Tick sources for a bench or a calibration: started, awaited, stopped."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil
from msgspec import Struct

from reconnect_storm.start import module_command
from scenarios.host import machine
from scenarios.host.process import LocalChild, start


class TickSources(Struct):
    """Running sources that share a port."""

    children: list[LocalChild]
    url: str

    def drop_all(self) -> None:
        """Makes them cut every connection."""
        for child in self.children:
            child.process.send_signal(signal.SIGUSR1)

    def cpu_s(self) -> float:
        """CPU-seconds that they have used since they were started."""
        times = [psutil.Process(child.pid).cpu_times() for child in self.children]
        return float(sum(one.user + one.system for one in times))


@contextlib.asynccontextmanager
async def tick_sources(
    rate_hz: float,
    *,
    folder: Path,
    cores: tuple[int, ...],
    clients: int,
    processes: int = 1,
    delays: bool = False,
    delays_ns: Sequence[int] = (),
) -> AsyncIterator[TickSources]:
    """Runs sources for so many clients; their logs go to `folder`.

    delays: date ticks back by the times that `protocol.known_delays_ns` has; delays_ns: by these.
    """
    (port,) = machine.free_ports(1)
    dating = ["--delays"] if delays else []
    if delays_ns:
        file = folder / "source-delays.json"
        file.write_text(json.dumps(list(delays_ns)), encoding="utf-8")
        dating = ["--delays-from", str(file)]
    children: list[LocalChild] = []
    try:
        for number in range(processes):
            arguments = ["--port", str(port), "--rate", str(rate_hz), *dating]
            child = await start(
                "tick source",
                module_command("gateway_stub.tick_source", *arguments),
                log=folder / f"source-{number}.log",
                cores=cores,
                descriptors=clients + machine.SPARE_DESCRIPTORS,
            )
            children.append(child)
        await _listening(port, children)
        yield TickSources(children, f"http://127.0.0.1:{port}")
    finally:
        for child in children:
            await child.stop()


async def _listening(port: int, children: list[LocalChild]) -> None:
    while True:
        for child in children:
            if error := child.ended():
                raise error
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return

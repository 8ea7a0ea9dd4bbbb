"""The load generator: Locust as a child process, and our end of the channel to it."""

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from scenarios.clients.messages import (
    GENERATOR_VARIABLE,
    BooksClosed,
    CloseBooks,
    GeneratorSettings,
    Interval,
    Message,
    PushPolicy,
    Unframer,
    frame,
)
from scenarios.model import NameOrTable, Scenario
from scenarios.stack.machine import needed_descriptors
from scenarios.stack.processes import Child, start

LOCUSTFILE = Path(__file__).parents[1] / "clients" / "locustfile.py"
_BOOKS_TIMEOUT_S = 10.0


class Generator:
    """A running Locust. on_interval: called with every second that it reports."""

    def __init__(self, child: Child, channel: socket.socket, on_interval: Callable[[Interval], None]) -> None:
        self.child = child
        self._channel = channel
        self._on_interval = on_interval
        self._books_closed = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        scenario: Scenario,
        *,
        port: int,
        epoch_ns: int,
        log: Path,
        cores: tuple[int, ...],
        on_interval: Callable[[Interval], None],
    ) -> Self:
        """Starts Locust; it begins to bring up the clients by itself."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        settings = GeneratorSettings(
            scenario=scenario,
            host="127.0.0.1",
            port=port,
            epoch_ns=epoch_ns,
            channel_fd=theirs.fileno(),
        )
        fleet = scenario.fleet
        try:
            child = await start(
                "generator",
                [
                    *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)),
                    *("--headless", "--users", str(fleet.clients), "--spawn-rate", str(fleet.ramp_per_s)),
                    *("--only-summary", "--skip-log-setup"),
                ],
                log=log,
                cores=cores,
                descriptors=needed_descriptors(fleet.clients),
                environment={GENERATOR_VARIABLE: msgspec.json.encode(settings).decode()},
                pass_fds=(theirs.fileno(),),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(child, ours, on_interval)

    async def push_policy(self, policy: NameOrTable) -> None:
        """Gives every client another reconnect policy."""
        await self._send(PushPolicy(policy))

    async def close_books(self) -> None:
        """Ends the accounting at this moment; returns once everything up to it has been reported."""
        self._books_closed.clear()
        await self._send(CloseBooks())
        async with asyncio.timeout(_BOOKS_TIMEOUT_S):
            await self._books_closed.wait()

    async def stop(self) -> None:
        """Ends Locust and the channel."""
        await self.child.stop()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._channel.close()

    async def _send(self, message: Message) -> None:
        await asyncio.get_running_loop().sock_sendall(self._channel, frame(message))

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        unframer = Unframer()
        while data := await loop.sock_recv(self._channel, 1 << 20):
            for message in unframer.receive(data):
                if isinstance(message, Interval):
                    self._on_interval(message)
                elif isinstance(message, BooksClosed):
                    self._books_closed.set()

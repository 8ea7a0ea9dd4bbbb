"""The load generator: Locust as a child process, and our end of the channel to it."""

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
from msgspec.structs import replace

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.clients.messages import (
    GENERATOR_VARIABLE,
    Aborted,
    BooksClosed,
    CloseBooks,
    Cut,
    GeneratorSettings,
    Interval,
    Message,
    PushPolicy,
    SetFeed,
    Unframer,
    frame,
)
from scenarios.model import Scenario, Target
from scenarios.quantities import NameOrTable
from scenarios.stack.machine import needed_descriptors
from scenarios.stack.processes import LocalChild, StackError, start

LOCUSTFILE = Path(__file__).parents[1] / "clients" / "locustfile.py"
_BOOKS_TIMEOUT_S = 10.0


class Generator:
    """A running Locust. on_interval: called with every second that it reports."""

    def __init__(
        self, child: LocalChild, channel: socket.socket, on_interval: Callable[[Interval], None]
    ) -> None:
        self.child = child
        self.aborted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Resolved with the reason when an abort condition has ended the generator."""
        self._channel = channel
        self._on_interval = on_interval
        self._books_closed = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        scenario: Scenario,
        *,
        epoch_ns: int,
        log: Path,
        cores: tuple[int, ...],
        on_interval: Callable[[Interval], None],
        own_url: str = "",
        descriptors: int | None = None,
        allow_remote: bool = False,
        processes: int = 1,
    ) -> Self:
        """Starts Locust; it begins to bring up the clients by itself.

        own_url: where nginx of our own listens; without one, the scenario's target is the target.
        """
        if own_url:
            scenario = replace(scenario, target=Target(url=own_url))
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        settings = GeneratorSettings(
            scenario=scenario,
            epoch_ns=epoch_ns,
            channel_fd=theirs.fileno(),
            allow_remote=allow_remote,
            own_stack=bool(own_url),
        )
        fleet = scenario.fleet
        try:
            child = await start(
                "generator",
                [
                    *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)),
                    *("--headless", "--users", str(fleet.clients), "--spawn-rate", str(fleet.ramp_per_s)),
                    *("--only-summary", "--skip-log-setup"),
                    *(("--processes", str(processes)) if processes > 1 else ()),
                ],
                log=log,
                cores=cores,
                descriptors=descriptors or needed_descriptors(fleet.clients),
                environment={GENERATOR_VARIABLE: msgspec.json.encode(settings).decode()},
                pass_fds=(theirs.fileno(),),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(child, ours, on_interval)

    async def wait_aborted(self) -> None:
        """Returns never; raises StackError when an abort condition has ended the generator."""
        raise StackError(f"aborted: {await self.aborted}")

    async def push_policy(self, policy: NameOrTable, reach_s: float = 0.0) -> None:
        """Gives every client another reconnect policy, the last one after `reach_s`."""
        await self._send(PushPolicy(policy, reach_s))

    async def cut(self, share: float = 1.0) -> None:
        """Makes that share of the clients lose their connection."""
        await self._send(Cut(share))

    async def set_feed(self, schedule: FeedSchedule) -> None:
        """Tells when the ticks of our own pods are due from now on."""
        await self._send(SetFeed(schedule))

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
                elif isinstance(message, Aborted) and not self.aborted.done():
                    self.aborted.set_result(message.reason)

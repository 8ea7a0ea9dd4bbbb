"""A load generator that stands all the time, on this machine or others: a Locust master and its workers.

The master is driven through a TCP channel, one storm at a time; its end is in
`scenarios/generator/channel_server.py`.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Self

from msgspec.structs import replace

from scenarios.host.process import StackError
from scenarios.scenario.model import Scenario
from scenarios.stack.channel import Channel, MessageStream
from scenarios.wire.framing import FrameError
from scenarios.wire.interval import Interval
from scenarios.wire.orders import Begin, Begun, GeneratorSettings, Hello, Refused
from scenarios.wire.vanishing import notice_when_it_vanishes

_CONNECT_TIMEOUT_S = 10.0
_BEGIN_TIMEOUT_S = 120.0
_LEAVE_TIMEOUT_S = 30.0


class RemoteGenerator(Channel):
    """A Locust master that has started a test for us. workers: how many processes take part."""

    def __init__(
        self, stream: MessageStream, on_interval: Callable[[Interval], None], *, workers: int
    ) -> None:
        super().__init__(stream, on_interval)
        self.workers = workers

    @classmethod
    async def start(
        cls,
        scenario: Scenario,
        *,
        address: tuple[str, int],
        token: str,
        target_url: str,
        epoch_ns: int,
        on_interval: Callable[[Interval], None],
        clock_url: str = "",
        own_stack: bool = True,
        allow_remote: bool = False,
    ) -> Self:
        """Makes the master at `address` start a test; it begins to bring up the clients by itself.

        target_url: what the clients connect to. own_stack: that is nginx and pods of our own, wherever they
        run; without it, `allow_remote` says whether it may be elsewhere than on the workers' loopback.
        clock_url: where our pods tell how long ago the epoch was; empty where the workers share this
        process's clock. Raises StackError where the master cannot be reached or refuses, with its reason.
        """
        settings = GeneratorSettings(
            scenario=replace(scenario, target=replace(scenario.target, url=target_url)),
            epoch_ns=epoch_ns,
            allow_remote=own_stack or allow_remote,
            own_stack=own_stack,
            clock_url=clock_url,
        )
        master = f"the Locust master at {address[0]}:{address[1]}"
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(*address)
        except OSError as error:
            raise StackError(f"{master} cannot be reached: {error or 'no answer'}") from None
        notice_when_it_vanishes(writer.get_extra_info("socket"))
        stream = MessageStream(reader, writer)
        try:
            async with asyncio.timeout(_BEGIN_TIMEOUT_S):
                await stream.send(Hello(token), Begin(settings))
                answer = await stream.receive()
        except (OSError, FrameError) as error:
            await stream.close()
            raise StackError(f"{master}: invalid answer: {error or 'no answer'}") from None
        except BaseException:
            await stream.close()
            raise
        if isinstance(answer, Begun):
            return cls(stream, on_interval, workers=answer.workers)
        await stream.close()
        because = answer.reason if isinstance(answer, Refused) else "it closed the connection"
        raise StackError(f"{master} refused: {because}")

    async def stop(self) -> None:
        """Ends the test; returns when the clients have left, so that another one can begin."""
        self._stream.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await asyncio.wait([self._reading])
        await self._close()

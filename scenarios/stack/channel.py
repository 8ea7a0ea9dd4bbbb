"""The runner's end of the channel to a generator, wherever that runs."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.fields import NameOrTable
from scenarios.host.process import AbortedError, StackError
from scenarios.wire.framing import FrameError, Unframer, frame
from scenarios.wire.interval import Interval
from scenarios.wire.orders import (
    Aborted,
    Cut,
    EndCalm,
    Ended,
    Finalise,
    Finalised,
    Message,
    PushPolicy,
    SetFeed,
)

_CHUNK = 1 << 20
_BOOKS_TIMEOUT_S = 10.0


class MessageStream:
    """Messages over a byte stream, one at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._unframer = Unframer()
        self._received: deque[Message] = deque()

    async def send(self, *messages: Message) -> None:
        """Sends them. Raises OSError where the other end is gone."""
        self._writer.write(b"".join(frame(message) for message in messages))
        await self._writer.drain()

    async def receive(self) -> Message | None:
        """The next message; None when the other end is done. Raises FrameError, OSError."""
        while not self._received:
            data = await self._reader.read(_CHUNK)
            if not data:
                return None
            self._received.extend(self._unframer.receive(data))
        return self._received.popleft()

    def end(self) -> None:
        """Tells the other end that nothing more will come."""
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    async def close(self) -> None:
        """Closes the stream."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Channel:
    """What any generator can be told, and what it reports.

    on_interval: called with every second that it reports.
    """

    def __init__(self, stream: MessageStream, on_interval: Callable[[Interval], None]) -> None:
        self.aborted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Resolved with the reason when an abort condition has ended the generator."""
        self._stream = stream
        self._on_interval = on_interval
        self._books_closed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def wait_aborted(self) -> None:
        """Returns never; raises AbortedError when an abort condition has ended the generator."""
        raise AbortedError(f"aborted: {await self.aborted}")

    async def failed(self) -> None:
        """Returns never; raises StackError when the channel breaks or the other end ends the test."""
        raise StackError(f"generator: {await asyncio.shield(self._reading)}")

    async def push_policy(self, policy: NameOrTable, reach_s: float = 0.0, group: str = "") -> None:
        """Gives every client, or those of a group, another reconnect policy, the last one after `reach_s`."""
        await self._send(PushPolicy(policy, reach_s, group))

    async def cut(self, share: float = 1.0) -> None:
        """Makes that share of the clients lose their connection."""
        await self._send(Cut(share))

    async def set_feed(self, schedule: FeedSchedule) -> None:
        """Tells when the ticks of our own pods are due from now on."""
        await self._send(SetFeed(schedule))

    async def end_calm(self) -> None:
        """Tells that the first event is about to fire."""
        await self._send(EndCalm())

    async def finalise(self) -> None:
        """Ends the accounting at this moment; returns once everything up to it has been reported."""
        self._books_closed.clear()
        await self._send(Finalise())
        try:
            async with asyncio.timeout(_BOOKS_TIMEOUT_S):
                await self._books_closed.wait()
        except TimeoutError:
            raise StackError(
                f"timed out after {_BOOKS_TIMEOUT_S:g} s waiting for the generator's final results"
            ) from None

    async def _send(self, message: Message) -> None:
        try:
            await self._stream.send(message)
        except OSError as error:
            raise StackError(f"lost the channel to the generator: {error}") from None

    async def _close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._stream.close()

    async def _read(self) -> str:
        """Takes what comes until nothing can come any more; returns why."""
        try:
            while (message := await self._stream.receive()) is not None:
                match message:
                    case Interval():
                        self._on_interval(message)
                    case Finalised():
                        self._books_closed.set()
                    case Aborted(reason) if not self.aborted.done():
                        self.aborted.set_result(reason)
                    case Ended(reason):
                        return reason
        except (OSError, FrameError) as error:
            return f"the channel broke: {error}"
        except Exception as error:
            # Whoever waits for an end of the generator learns of it; else nobody would miss its seconds.
            if not self.aborted.done():
                self.aborted.set_exception(StackError(f"invalid report of the generator: {error!r}"))
            raise
        return "the channel was closed"

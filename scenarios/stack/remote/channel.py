"""A runner's end of the WebSocket to a host agent: takes the host, and gives orders to it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal, Self

import aiohttp
import msgspec

from gateway_stub.protocol import TOKEN_HEADER
from scenarios.host.dns import Address
from scenarios.host.hosts import CpuReading
from scenarios.host.process import StackError, end_error
from scenarios.wire.agent import (
    TAKE_PATH,
    Done,
    Ended,
    Order,
    Output,
    Refused,
    Report,
    Signal,
    StartNginx,
    StartPod,
    Taken,
    decode_report,
    encode,
)

_TAKE_TIMEOUT_S = 15.0
_ORDER_TIMEOUT_S = 30.0
_HEARTBEAT_S = 20.0


class RemoteChild:
    """A process that a host agent has started for us."""

    def __init__(self, name: str, log: Path, channel: "AgentChannel") -> None:
        self.name = name
        self.log = log
        self._channel = channel
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._code: int | None = None

    async def kill(self) -> None:
        """Ends the child's whole process group at once, as a crash would."""
        await self._end("kill")

    async def stop(self, grace_s: float | None = None) -> None:  # noqa: ARG002 - its host has one for all
        """Asks the child to end, then makes its whole process group end."""
        await self._end("term")

    async def pause(self) -> None:
        """The child stands still until `resume`."""
        await self._channel.order(Signal("stop"))

    async def resume(self) -> None:
        """The child goes on, if it still is there."""
        await self._channel.order(Signal("cont"))

    async def wait(self) -> None:
        """Returns when it has ended, or its host agent cannot be reached any more."""
        await self._ended.wait()

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines of its standard output, until it ends."""
        while (line := await self._lines.get()) is not None:
            yield line

    def ended(self) -> StackError | None:
        """The error to raise if the child has ended already."""
        return self._error(by_itself=False) if self._ended.is_set() else None

    def ended_by_itself(self) -> StackError:
        """The error that tells how a child ended that should not have."""
        return self._error(by_itself=True)

    def on_line(self, line: bytes) -> None:
        """It has said something."""
        self._lines.put_nowait(line)

    def on_end(self, end: Ended | None) -> None:
        """It has ended; None: nothing is known of it any more."""
        if self._ended.is_set():
            return
        if end is not None:
            self._code = end.code
            with self.log.open("ab") as stream:
                stream.write(end.log)
        self._lines.put_nowait(None)
        self._ended.set()

    def _error(self, *, by_itself: bool) -> StackError:
        if self._ended.is_set() and self._code is None:
            return StackError(f"{self.name} is unreachable: lost {self._channel.name}")
        return end_error(self.name, self._code, self.log, by_itself=by_itself)

    async def _end(self, how: Literal["kill", "term"]) -> None:
        if self._ended.is_set():
            return
        # An agent that we cannot reach ends what it has started for us.
        with contextlib.suppress(StackError, TimeoutError):
            await self._channel.order(Signal(how))
            async with asyncio.timeout(_ORDER_TIMEOUT_S):
                await self._ended.wait()
        self.on_end(None)


class AgentChannel:
    """A host that is ours until we close it.

    on_reading: called about once a second with what the host has used.
    """

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        name: str,
        on_reading: Callable[[CpuReading], None],
    ) -> None:
        self.name = name
        self.logs = Path()
        """Where nginx's logs have to be on that host."""
        self._socket = socket
        self._on_reading = on_reading
        self._child: RemoteChild | None = None
        self._one_order = asyncio.Lock()
        self._unanswered: deque[asyncio.Future[Done]] = deque()
        """Orders come back in order, also those for whose answer nobody waits any more."""
        self._gone = False
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def take(
        cls,
        http: aiohttp.ClientSession,
        address: Address,
        token: str,
        on_reading: Callable[[CpuReading], None],
    ) -> Self:
        """Takes a host. Raises StackError where it cannot be had."""
        name = f"the host agent at {address[0]}:{address[1]}"
        try:
            async with asyncio.timeout(_TAKE_TIMEOUT_S):
                socket = await http.ws_connect(
                    f"http://{address[0]}:{address[1]}{TAKE_PATH}",
                    headers={TOKEN_HEADER: token},
                    heartbeat=_HEARTBEAT_S,
                )
                channel = cls(socket, name, on_reading)
                await channel._begin()
        except (aiohttp.ClientError, OSError, ValueError, msgspec.MsgspecError) as error:
            raise StackError(f"{name} cannot be acquired: {error or 'no answer'}") from None
        return channel

    async def start(self, name: str, order: StartPod | StartNginx, log: Path) -> RemoteChild:
        """Starts a process there. Raises StackError."""
        self._child = child = RemoteChild(name, log, self)
        try:
            await self.order(order)
        except StackError as error:
            child.on_end(None)
            raise StackError(f"{name} did not start: {error}") from None
        return child

    async def order(self, order: Order) -> None:
        """Returns when it has been carried out. Raises StackError where it could not be."""
        async with self._one_order:
            if self._gone:
                raise StackError(f"{self.name} does not answer")
            answer: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
            self._unanswered.append(answer)
            try:
                await self._socket.send_bytes(encode(order))
                async with asyncio.timeout(_ORDER_TIMEOUT_S):
                    done = await answer
            except (ConnectionError, TimeoutError):
                raise StackError(f"{self.name} does not answer") from None
        if done.problem:
            raise StackError(done.problem)

    async def close(self) -> None:
        """Leaves the host; what still runs there ends."""
        await self._socket.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _begin(self) -> None:
        match self._decoded(await self._socket.receive()):
            case Taken(logs=logs):
                self.logs = Path(logs)
                self._reader = asyncio.create_task(self._read())
            case Refused(reason=reason):
                await self._socket.close()
                raise StackError(f"{self.name} cannot be acquired: {reason}")
            case _:
                raise aiohttp.ClientError("incompatible agent protocol")

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                self._take_in(self._decoded(message))
        finally:
            if self._child is not None:
                self._child.on_end(None)
            self._gone = True
            while self._unanswered:
                self._answered(Done(f"lost {self.name}"))

    def _take_in(self, report: Report | None) -> None:
        match report:
            case Done():
                self._answered(report)
            case CpuReading():
                self._on_reading(report)
            case Output(line=line) if self._child is not None:
                self._child.on_line(line)
            case Ended() if self._child is not None:
                self._child.on_end(report)

    def _answered(self, done: Done) -> None:
        answer = self._unanswered.popleft() if self._unanswered else None
        if answer is not None and not answer.done():
            answer.set_result(done)

    @staticmethod
    def _decoded(message: aiohttp.WSMessage) -> Report | None:
        return decode_report(message.data) if message.type is aiohttp.WSMsgType.BINARY else None

"""Servers of tests that leave nothing open, however their test ends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_TURNS = 10
"""Of the event loop, after which a connection that was just accepted has its task."""


@contextlib.asynccontextmanager
async def serving(serve: Serve, port: int = 0, **options: Any) -> AsyncIterator[asyncio.Server]:
    """A server on loopback. At its end its connections are cut, and their tasks have ended.

    `asyncio.Server.close` leaves both to the end of the event loop, where a connection that is still open is
    an error of whichever test runs then. Connections that the other side ends are none of the server's.
    """
    connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[writer] = asyncio.current_task()
        try:
            with contextlib.suppress(OSError, EOFError):
                await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", port, **options)
    try:
        yield server
    finally:
        server.close()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        for writer, task in connections.items():
            writer.transport.abort()
            if task is not None:
                task.cancel()
        ends = (writer.wait_closed() for writer in connections)
        await asyncio.gather(*filter(None, connections.values()), *ends, return_exceptions=True)

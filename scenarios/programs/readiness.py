"""Whether a program is ready: by an HTTP path, by an Engine.IO session, or by taking connections."""

import asyncio
import contextlib

import aiohttp

_NO_KEEPING = {"Connection": "close"}
"""A probe is a new connection each time, as an orchestrator's is."""
_CLOSE = aiohttp.ClientWSTimeout(ws_close=0.2)
_OPEN = "0"
"""Type of the packet with which an Engine.IO server opens a session."""


async def answers(http: aiohttp.ClientSession, url: str, timeout_s: float) -> bool:
    """Whether a GET is answered with 200 in time."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with http.get(url, timeout=timeout, headers=_NO_KEEPING, allow_redirects=False) as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError, ValueError):
        return False


async def opens_session(http: aiohttp.ClientSession, url: str, timeout_s: float) -> bool:
    """Whether an Engine.IO server opens a session by WebSocket in time; the session is closed at once.

    url: with the Engine.IO path. No namespace is joined, so this needs no credentials of Socket.IO.
    """
    try:
        async with asyncio.timeout(timeout_s):
            session = await http.ws_connect(f"{url}?EIO=4&transport=websocket", timeout=_CLOSE)
            opened = str(await session.receive_str()).startswith(_OPEN)
        # A server that does not answer the close is ready all the same.
        await session.close()
    except (aiohttp.ClientError, OSError, ValueError, TypeError, TimeoutError):
        return False
    return opened


async def takes_connections(port: int, timeout_s: float) -> bool:
    """Whether a port of loopback takes a connection in time."""
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True

"""A gateway with SLOTS: an upgrade takes one, or is answered 429.

CLIENTS join at once. After them, joins are slow for SECONDS. The slot of a connection that ends before its
join is never given back if slots are `leaking`, and always if they are `fixed`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import socketio
from aiohttp import web

from tests.support.gateways.shared import gateway, serve


def main(arguments: list[str]) -> None:
    slots, clients, seconds, how = arguments
    taken = 0
    until_s: list[float] = []

    async def slow(_sio: socketio.AsyncServer, _sid: str) -> None:
        if not until_s:
            until_s.append(time.monotonic() + float(seconds))
        await asyncio.sleep(max(0.0, until_s[0] - time.monotonic()))

    @web.middleware
    async def admit(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        nonlocal taken
        if "Upgrade" not in request.headers:
            return await handler(request)
        if taken >= int(slots):
            return web.Response(status=429)
        taken += 1
        try:
            return await handler(request)
        finally:
            if how == "fixed" or "joined" in request:
                taken -= 1

    app = gateway(welcome=int(clients), later=slow)
    app.middlewares.append(admit)
    serve(app)

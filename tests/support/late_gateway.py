"""A gateway of somebody's own that numbers its ticks and stamps them when it sends them.

Ticks are due on a fixed schedule. `GET /block` blocks its event loop when one of the next ticks is due, so
that this one and those after it are late; `GET /told` says how late each tick was stamped. Prints its port.
"""

import asyncio
import time
from typing import Any

import socketio
from aiohttp import web

RATE_HZ = 20.0
PERIOD_NS = round(1e9 / RATE_HZ)
BLOCK_S = 0.6


class LateGateway:
    """Its ticks are due from the first client on."""

    def __init__(self) -> None:
        self.sockets = socketio.AsyncServer(async_mode="aiohttp")
        self.late_ns: dict[int, int] = {}
        self._next = 0
        self._blocked = -1
        self._first_due_ns = 0
        self._ticking: asyncio.Task[None] | None = None

    def app(self) -> web.Application:
        """Its HTTP side."""
        app = web.Application()
        self.sockets.attach(app)
        self.sockets.on("connect", self._connected)
        app.add_routes([web.get("/block", self._block), web.get("/told", self._tell)])
        return app

    async def _connected(self, _sid: str, *_: Any) -> None:
        if self._ticking is None:
            self._first_due_ns = time.monotonic_ns() + PERIOD_NS
            self._ticking = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            due_ns = self._first_due_ns + self._next * PERIOD_NS
            await asyncio.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            if self._next == self._blocked:
                time.sleep(BLOCK_S)  # noqa: ASYNC251
            sent_ns = time.monotonic_ns()
            self.late_ns[self._next] = sent_ns - due_ns
            await self.sockets.emit("tick", {"n": self._next, "at": sent_ns})
            self._next += 1

    async def _block(self, _request: web.Request) -> web.Response:
        self._blocked = self._next + 2
        return web.json_response(self._blocked)

    async def _tell(self, _request: web.Request) -> web.Response:
        return web.json_response(self.late_ns)


async def main() -> None:
    """Serves until it is killed."""
    runner = web.AppRunner(LateGateway().app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)  # noqa: T201 - who started it reads it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

"""What the gateways have in common: ticks, health, metrics, and an address from the environment."""

import asyncio
import contextlib
import itertools
import math
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import socketio
from aiohttp import web

HOST = os.environ.get("HOST", "127.0.0.1")
PORT = int(os.environ.get("PORT", "3000"))
RATE_HZ = 5.0
DRAIN_S = 2.0

Later = Callable[[socketio.AsyncServer, str], Awaitable[None]]
"""What a gateway does to a client before it is joined, given the server and the client's session."""


def gateway(
    *,
    rate_hz: float = RATE_HZ,
    welcome: int = 0,
    later: Later | None = None,
) -> web.Application:
    """A gateway that behaves. rate_hz: of its own ticks, 0 for none.

    later: what every client meets but the first `welcome` ones; None for nothing.
    """
    sio = socketio.AsyncServer(async_mode="aiohttp")
    joined: set[str] = set()
    numbers = itertools.count(1)

    async def connect(sid: str, environ: dict[str, Any], *_: object) -> None:
        if later is not None and next(numbers) > welcome:
            await later(sio, sid)
        joined.add(sid)
        request = environ["aiohttp.request"]
        if request.transport is not None:  # the client is still connected
            request["joined"] = True

    async def disconnect(sid: str, *_: object) -> None:
        joined.discard(sid)

    async def publish() -> None:
        seq = math.ceil(time.time() * rate_hz)
        while True:
            await asyncio.sleep(max(0.0, seq / rate_hz - time.time()))
            await sio.emit("tick", {"seq": seq, "ts": round(seq / rate_hz * 1000)})
            seq += 1

    async def post_tick(request: web.Request) -> web.Response:
        await sio.emit("tick", await request.json())
        return web.Response()

    async def start(_app: web.Application) -> None:
        if rate_hz:
            sio.start_background_task(publish)

    async def drain(_app: web.Application) -> None:
        print("drains", flush=True)
        closing = (sio.eio.disconnect(connection) for connection in list(sio.eio.sockets))
        # engineio waits until the client has read all of its queue. A dead client never does.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*closing), DRAIN_S)

    def answers(text: Callable[[], str]) -> Callable[[web.Request], Any]:
        async def answer(_request: web.Request) -> web.Response:
            return web.Response(text=text())

        return answer

    sio.on("connect", connect)
    sio.on("disconnect", disconnect)
    app = web.Application()
    sio.attach(app)
    app.router.add_get("/healthz", answers(lambda: "alive\n"))
    app.router.add_get("/readyz", answers(lambda: "ready\n"))
    app.router.add_get("/metrics", answers(lambda: f"gateway_clients {len(joined)}\n"))
    app.router.add_post("/ticks", post_tick)
    app.on_startup.append(start)
    app.on_shutdown.append(drain)
    return app


def serve(app: web.Application, *, host: str = HOST, port: int = PORT, ends_on_sigterm: bool = True) -> None:
    """Serves until SIGTERM; says so in one line."""

    def say(*_: object) -> None:
        print(f"process {os.getpid()} listens on {host}:{port}", flush=True)

    web.run_app(app, host=host, port=port, print=say, handle_signals=ends_on_sigterm, shutdown_timeout=0.2)

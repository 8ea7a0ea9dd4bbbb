"""A Socket.IO gateway whose ticks come from another process, through Redis."""

import asyncio
import contextlib
import os

import redis.asyncio
import socketio
from aiohttp import web

HOST = os.environ.get("HOST", "127.0.0.1")
PORT = int(os.environ.get("PORT", "3000"))
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
DRAIN_S = 3.0

# Whatever a process emits through the same Redis goes to the clients of every pod.
sio = socketio.AsyncServer(async_mode="aiohttp", client_manager=socketio.AsyncRedisManager(REDIS_URL))
database = redis.asyncio.from_url(REDIS_URL)


@sio.event
async def connect(sid: str, _environ: object, _auth: object) -> None:
    # A real gateway looks up the session here.
    await sio.emit("welcome", {"sessions": await database.incr("sessions")}, to=sid)


async def readyz(_request: web.Request) -> web.Response:
    """A pod without its Redis is of no use to a client."""
    try:
        await database.ping()
    except redis.RedisError as error:
        return web.Response(text=f"{error}\n", status=503)
    return web.Response(text="ready\n")


async def drain(_app: web.Application) -> None:
    """On SIGTERM, when aiohttp has stopped accepting: closes all connections."""
    closing = (sio.eio.disconnect(connection) for connection in list(sio.eio.sockets))
    # For clients that do not read: engineio waits until each client's queue is empty.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*closing), DRAIN_S)
    await database.aclose()


app = web.Application()
sio.attach(app)
app.add_routes([web.get("/readyz", readyz)])
app.on_shutdown.append(drain)

if __name__ == "__main__":
    web.run_app(app, host=HOST, port=PORT, shutdown_timeout=0.5)

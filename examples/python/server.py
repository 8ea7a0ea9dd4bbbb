"""A Socket.IO gateway: a signed token, a snapshot on connect, and a feed of ticks in rooms.

Settings come from the environment.
"""

import asyncio
import hashlib
import hmac
import json
import math
import os
import time
from itertools import cycle

import socketio
from aiohttp import web

HOST = os.environ.get("HOST", "127.0.0.1")
PORT = int(os.environ.get("PORT", "3000"))
RATE_HZ = float(os.environ.get("RATE_HZ", "5"))
POSITIONS = int(os.environ.get("POSITIONS", "4000"))
TOKEN_SECRET = os.environ.get("TOKEN_SECRET", "change-me").encode()
ROOMS = [f"market-{number}" for number in range(4)]
LAG_PERIOD_S = 0.01
DRAIN_S = float(os.environ.get("DRAIN_S", "3"))

# What a real gateway reads from its session store.
SESSION = json.dumps(
    [
        {"id": k, "symbol": f"SYM{k}", "quantity": k * 37 % 1000, "price": 100 + k / 8}
        for k in range(POSITIONS)
    ]
)

sio = socketio.AsyncServer(async_mode="aiohttp")
clients: set[str] = set()
lags_s: list[float] = []
next_room = cycle(ROOMS)


def is_genuine(token: str) -> bool:
    """Whether a token is NAME.SIGNATURE with our secret."""
    name, _, signature = token.partition(".")
    expected = hmac.new(TOKEN_SECRET, name.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(signature.encode(), expected.encode())


@sio.event
async def connect(sid: str, _environ: object, auth: dict[str, str] | None) -> None:
    if not is_genuine(str((auth or {}).get("token", ""))):
        raise socketio.exceptions.ConnectionRefusedError("invalid token")
    # The expensive part of a handshake: it blocks the event loop, and therefore everybody's ticks.
    snapshot = [position for position in json.loads(SESSION) if position["quantity"] > 990]
    clients.add(sid)
    await sio.enter_room(sid, next(next_room))
    await sio.emit("snapshot", snapshot, to=sid)


@sio.event
async def disconnect(sid: str, _reason: str) -> None:
    clients.discard(sid)


async def publish() -> None:
    """Sends the ticks. Tick k is due at k / RATE_HZ seconds since 1970, so all pods count alike.

    `ts` is when the tick was due, not when the event loop got to it: otherwise a blocked loop would show in
    no latency.
    """
    seq = math.ceil(time.time() * RATE_HZ)
    while True:
        await asyncio.sleep(max(0.0, seq / RATE_HZ - time.time()))
        for room in ROOMS:
            await sio.emit("tick", {"seq": seq, "ts": round(seq / RATE_HZ * 1000), "room": room}, room=room)
        seq += 1


async def measure_lag() -> None:
    """How much later than asked for the event loop comes back."""
    while True:
        begin_s = time.monotonic()
        await asyncio.sleep(LAG_PERIOD_S)
        lags_s.append(time.monotonic() - begin_s - LAG_PERIOD_S)


async def metrics(_request: web.Request) -> web.Response:
    lag_s = sorted(lags_s)[int(len(lags_s) * 0.99)] if lags_s else 0.0
    lags_s.clear()
    gauges = {"gateway_loop_lag_p99_seconds": lag_s, "gateway_clients": len(clients)}
    return web.Response(text="".join(f"{name} {value}\n" for name, value in gauges.items()))


async def healthz(_request: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def readyz(_request: web.Request) -> web.Response:
    return web.Response(text="ready\n")


async def start(_app: web.Application) -> None:
    sio.start_background_task(publish)
    sio.start_background_task(measure_lag)


async def drain(_app: web.Application) -> None:
    """On SIGTERM, when aiohttp has stopped accepting: closes one connection after the other.

    All at once, the clients would be a storm for the other pods. `sio.disconnect` would tell them to stay
    away: the JavaScript client does not come back after it.
    """
    connections = list(sio.eio.sockets)
    closing = []
    for connection in connections:
        closing.append(asyncio.ensure_future(sio.eio.disconnect(connection)))
        await asyncio.sleep(DRAIN_S / len(connections))
    # Not for ever: engineio waits until a client has read all of its queue, and a dead one never does.
    if closing:
        await asyncio.wait(closing, timeout=0.5)


app = web.Application()
sio.attach(app)
app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
app.on_startup.append(start)
app.on_shutdown.append(drain)

if __name__ == "__main__":
    web.run_app(app, host=HOST, port=PORT, shutdown_timeout=0.5)

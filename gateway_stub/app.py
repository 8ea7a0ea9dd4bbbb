"""A gateway pod: python-socketio on aiohttp, one process, one event loop.

Nothing in here scripts a latency. Handshakes cost CPU, ticks cost what python-socketio makes them cost,
and what clients see follows from that.
"""

import asyncio
import logging
import math
import random
import sys
import time
from typing import Any

import msgspec
import socketio
from aiohttp import web
from aiohttp.typedefs import Handler
from socketio.exceptions import ConnectionRefusedError  # noqa: A004 - its own name for a CONNECT_ERROR

from gateway_stub import tokens
from gateway_stub.admission import Admitter
from gateway_stub.broadcaster import Broadcaster
from gateway_stub.connections import Connections, has_left, waited_ms
from gateway_stub.control import control_app
from gateway_stub.cost import Cost
from gateway_stub.feed_schedule import FeedSchedule
from gateway_stub.health import Health
from gateway_stub.loop_monitor import LoopMonitor
from gateway_stub.protocol import RETRY_AFTER_S, TRY_AGAIN_CODE, TRY_AGAIN_REASON, Controls, Settings

SOCKETIO_PATH = "/socket.io/"
SHORT_SESSION_NS = 5_000_000_000
_COUNTED = ("handshakes", "joined", "gone_early", "short_sessions", "shed", "ticks_sent")
_CLIENT_CLOSED_REQUEST = 499
_CLOSING_S = 1.0
"""How long a pod waits for a client's part of a WebSocket's end."""
_FORBIDDEN = 403
_SLOT = web.RequestKey("slot", object)
_BOOKED = web.RequestKey("booked", bool)
"""Of the request that opened a session: its handshake has been counted as joined, or as gone early."""


class Pod:
    """One pod's clients, counters and servers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cost = Cost(
            settings.cpu,
            handshake_cpu_ms=settings.controls.handshake_cpu_ms,
            tick_cpu_us=settings.tick_cpu_us,
        )
        self.totals = dict.fromkeys((*_COUNTED, "join_races"), 0)
        self.monitor = LoopMonitor(self._counts, lambda: self.cost.blocked_ns)
        epoch_ns = settings.epoch_ns or time.monotonic_ns()
        self.health = Health(self.monitor.recent_lag_ms, settings.busy_lag_ms, epoch_ns)
        self.admitter = Admitter(settings.controls.admission)
        self._connections = Connections()
        self._draining: asyncio.Task[None] | None = None
        self._joined_ns: dict[str, int] = {}
        self._unjoined: dict[str, web.Request] = {}
        """By Engine.IO session: the request that opened it, until it joins."""
        self._reported = dict(self.totals)
        self._snapshot = "s" * settings.snapshot_bytes
        logger = logging.getLogger(f"gateway_stub.{settings.name}")
        logger.addHandler(_CountJoinRaces(self.totals))
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        self._sio = socketio.AsyncServer(
            async_mode="aiohttp",
            logger=logger,
            engineio_logger=logger,
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
        )
        self._sio.on("connect", self._connect)
        self._sio.on("disconnect", self._disconnect)
        self._follow_engine()
        self.broadcaster = Broadcaster(
            self._broadcast,
            schedule=settings.controls.feed or FeedSchedule.of(epoch_ns, settings.rate_hz),
            payload_bytes=settings.payload_bytes,
        )
        self.apply(settings.controls)

    def public_app(self) -> web.Application:
        """What clients see; to be made once."""
        app = web.Application(middlewares=[self._attend])
        app.add_routes(self.health.routes())
        self._sio.attach(app)
        return app

    async def serve(self) -> None:
        """Runs until cancelled."""
        settings = self.settings
        control = control_app(
            token=settings.token,
            drop=self.drop,
            drain=self.drain,
            apply=self.apply,
            probes=self.health.routes(),
            totals=self._prometheus_totals,
            last=lambda: self.monitor.last,
        )
        runners = [
            # Without a grace period: a pod that is told to go is rehearsing an outage, not a deployment.
            web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            for app in (control, self.public_app())
        ]
        try:
            for runner, host, port in (
                (runners[0], settings.control_host, settings.control_port),
                (runners[1], settings.host, settings.port),
            ):
                await runner.setup()
                await web.TCPSite(runner, host, port, backlog=settings.backlog).start()
            self.monitor.start()
            self.health.serving = True
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.broadcaster.run())
                tasks.create_task(self.monitor.probe())
        finally:
            self.health.serving = False
            self.drop(1, random.Random(0))  # noqa: S311
            for runner in runners:
                await runner.cleanup()

    def drop(self, share: float, rng: random.Random) -> int:
        """Cuts a share of the clients off; returns how many."""
        return self._connections.drop(share, rng)

    def drain(self, window_s: float, close_code: int | None, rng: random.Random) -> int:
        """Begins to close all joined sessions, one by one; returns how many. A later order replaces it."""
        if self._draining is not None:
            self._draining.cancel()
        sids = self._connections.sample(1.0, rng)
        self._draining = asyncio.create_task(self._connections.drain(sids, window_s, close_code))
        return len(sids)

    def apply(self, controls: Controls) -> Controls:
        """Puts controls in force; returns them with the feed that then is."""
        self.cost.handshake_cpu_ms = controls.handshake_cpu_ms
        self.admitter.rules = controls.admission
        self.broadcaster.schedule = controls.feed or self.broadcaster.schedule
        self.broadcaster.stalled_until_ns = controls.feed_stalled_until_ns
        return msgspec.structs.replace(controls, feed=self.broadcaster.schedule)

    @web.middleware
    async def _attend(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if "sid" in request.query:
            self._connections.note(request)
        elif request.path == SOCKETIO_PATH and request.method == "GET":
            return await self._begin(request, handler)
        return await handler(request)

    async def _begin(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        slot = request[_SLOT] = object()
        lag_ms = self._lag_ms(request.transport) if self.admitter.rules.shed_above_lag_ms else 0.0
        now_ns, forwarded_for = time.monotonic_ns(), request.headers.get("X-Forwarded-For", "")
        if not self.admitter.fits_window(forwarded_for, request.remote or "", now_ns):
            return await self._refuse(request, 429, math.ceil(self.admitter.rules.window_s))
        if not self.admitter.admit(slot, lag_ms=lag_ms, now_ns=now_ns):
            return await self._refuse(request, 503, RETRY_AFTER_S)
        goes_on = False
        try:
            self.totals["handshakes"] += 1
            if self._gives_up(request, request.transport):
                return web.Response(status=_CLIENT_CLOSED_REQUEST)
            self.cost.upgrade()
            if request.transport is None or request.transport.is_closing():
                self._gone_early(request)
            if not self._may_open(request):
                return web.Response(status=_FORBIDDEN)
            response = await handler(request)
            # A polling client joins by its next requests; whatever else is answered has ended.
            goes_on = response.status == 200
            return response
        except ConnectionError:
            # Its client left meanwhile. aiohttp would log a traceback, which costs as much as a handshake.
            self._gone_early(request)
            return web.Response(status=_CLIENT_CLOSED_REQUEST)
        finally:
            if not goes_on:
                self.admitter.release(slot)

    async def _refuse(self, request: web.Request, status: int, retry_after_s: int) -> web.StreamResponse:
        """Turns a handshake away: with a status, or with the end of a WebSocket that is accepted for it."""
        self.totals["shed"] += 1
        if self.admitter.rules.close_1013 and request.query.get("transport") == "websocket":
            accepted = web.WebSocketResponse(timeout=_CLOSING_S)
            await accepted.prepare(request)
            await accepted.close(code=TRY_AGAIN_CODE, message=TRY_AGAIN_REASON.encode())
            return accepted
        return web.Response(status=status, headers={"Retry-After": str(retry_after_s)})

    async def _connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> bool:
        request: web.Request = environ["aiohttp.request"]
        polling = request.query.get("transport") != "websocket"
        transport = None if polling else request.transport
        engine_sid = self._sio.manager.eio_sid_from_sid(sid, "/")
        self._unjoined.pop(engine_sid, None)
        try:
            if self._gives_up(request, *(self._connections.senders(engine_sid) if polling else [transport])):
                return False
            if not self._may_join(request, auth):
                raise ConnectionRefusedError(tokens.EXPIRED)
            self.cost.join()
        finally:
            self.admitter.release(request.get(_SLOT))
        if not polling and (transport is None or transport.is_closing()):
            self._gone_early(request)
            return True
        self.totals["joined"] += 1
        request[_BOOKED] = True
        self._connections.join(sid, engine_sid, transport)
        self._joined_ns[sid] = time.monotonic_ns()
        if self._snapshot:
            await self._sio.emit("snapshot", self._snapshot, to=sid)
        return True

    async def _disconnect(self, sid: str, _reason: str = "") -> None:
        self._connections.leave(sid)
        joined_ns = self._joined_ns.pop(sid, None)
        if joined_ns is not None and time.monotonic_ns() - joined_ns < SHORT_SESSION_NS:
            self.totals["short_sessions"] += 1

    def _follow_engine(self) -> None:
        """Sees sessions end that never joined: their clients left between the upgrade and the join."""
        engine = self._sio.eio
        begin, end = engine.handlers["connect"], engine.handlers["disconnect"]

        async def began(engine_sid: str, environ: dict[str, Any]) -> object:
            self._unjoined[engine_sid] = environ["aiohttp.request"]
            return await begin(engine_sid, environ)

        async def ended(engine_sid: str, reason: str) -> None:
            request = self._unjoined.pop(engine_sid, None)
            if request is not None:
                self._gone_early(request)
            await end(engine_sid, reason)

        engine.on("connect", began)
        engine.on("disconnect", ended)

    def _may_open(self, request: web.Request) -> bool:
        """Whether the token in the header is valid; a client without the header shows its token later."""
        token = tokens.in_headers(request.headers)
        return token is None or self._is_valid(token)

    def _may_join(self, request: web.Request, auth: object) -> bool:
        """Whether the client has shown a valid token, in the header or now."""
        return tokens.in_headers(request.headers) is not None or self._is_valid(tokens.in_auth(auth))

    def _is_valid(self, token: object) -> bool:
        lifetime_s = self.settings.token_lifetime_s
        return not lifetime_s or tokens.is_valid(token, lifetime_s, time.time_ns())

    def _gone_early(self, request: web.Request) -> None:
        """Counts a handshake whose client has left before it joined; once, whoever sees it."""
        if not request.get(_BOOKED):
            request[_BOOKED] = True
            self.totals["gone_early"] += 1

    def _lag_ms(self, transport: asyncio.Transport | None) -> float:
        # The loop accepts one connection a turn: in a storm its turns stay short, and the accept queue long.
        return max(self.monitor.current_lag_ms(), waited_ms(transport))

    def _gives_up(self, request: web.Request, *transports: asyncio.Transport | None) -> bool:
        """Whether the next stage of a handshake is spared, because the other end of all of these has left."""
        if not self.settings.cancel_gone or not all(map(has_left, transports)):
            return False
        self._gone_early(request)
        for transport in transports:
            if transport is not None:
                transport.abort()
        return True

    async def _broadcast(self, payload: dict[str, object]) -> None:
        self.cost.deliver(len(self._connections))
        self.totals["ticks_sent"] += len(self._connections)
        await self._sio.emit(self.settings.event, payload)

    def _counts(self) -> dict[str, float]:
        self._connections.forget_closed()
        now = dict(self.totals)
        difference: dict[str, float] = {name: now[name] - self._reported[name] for name in _COUNTED}
        self._reported = now
        return {
            **difference,
            "clients": len(self._connections),
            "tick_late_ms": self.broadcaster.take_worst_late_ns() / 1e6,
        }

    def _prometheus_totals(self) -> dict[str, float]:
        return {"clients": len(self._connections), **{f"{k}_total": v for k, v in self.totals.items()}}


class _CountJoinRaces(logging.Handler):
    """Counts what python-socketio logs with a traceback when a client leaves in the middle of its join.

    Its connect path looks up a session that is gone already. Under a storm that is daily business; any
    other error is shown.
    """

    def __init__(self, totals: dict[str, int]) -> None:
        super().__init__()
        self._totals = totals

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, KeyError):
            self._totals["join_races"] += 1
        else:
            sys.stderr.write(self.format(record) + "\n")

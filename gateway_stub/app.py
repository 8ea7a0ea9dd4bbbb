"""A gateway pod: python-socketio on aiohttp, one process, one event loop.

Nothing in here scripts a latency. Handshakes cost CPU, ticks cost what python-socketio makes them cost,
and what clients see follows from that.
"""

import asyncio
import logging
import sys
import time
from typing import Any

import socketio
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway_stub.broadcaster import Broadcaster
from gateway_stub.control import control_app
from gateway_stub.cost import HandshakeCost
from gateway_stub.health import Health
from gateway_stub.loop_monitor import LoopMonitor
from gateway_stub.protocol import Settings

SOCKETIO_PATH = "/socket.io/"
SHORT_SESSION_NS = 5_000_000_000


class Pod:
    """One pod's clients, counters and servers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cost = HandshakeCost(settings.handshake_cpu_ms, settings.cpu)
        self.health = Health()
        self.totals = dict.fromkeys(
            ("handshakes", "joined", "gone_early", "short_sessions", "ticks_sent", "join_races"), 0
        )
        self._transports: dict[str, asyncio.Transport | None] = {}
        """By session of those who joined; None where polling makes a new connection for every request."""
        self._polling: dict[str, asyncio.Transport] = {}
        self._upgraded: dict[str, asyncio.Transport] = {}
        """By Engine.IO session: the latest poll, and the WebSocket that took over."""
        self._joined_ns: dict[str, int] = {}
        self._reported = dict(self.totals)
        self._snapshot = "s" * settings.snapshot_bytes
        logger = logging.getLogger(f"gateway_stub.{settings.name}")
        logger.addHandler(_CountJoinRaces(self.totals))
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        self._sio = socketio.AsyncServer(async_mode="aiohttp", logger=logger, engineio_logger=logger)
        self._sio.on("connect", self._connect)
        self._sio.on("disconnect", self._disconnect)
        self.broadcaster = Broadcaster(
            self._broadcast,
            rate_hz=settings.rate_hz,
            payload_bytes=settings.payload_bytes,
            epoch_ns=settings.epoch_ns or time.monotonic_ns(),
        )
        self.monitor = LoopMonitor(self._counts, lambda: self.cost.reserved_ns)

    async def serve(self) -> None:
        """Runs until cancelled."""
        settings = self.settings
        public = web.Application(middlewares=[self._pay_for_upgrade])
        public.add_routes(self.health.routes())
        self._sio.attach(public)
        control = control_app(
            token=settings.token,
            drop_all=self.drop_all,
            set_handshake_cpu_ms=self._set_handshake_cpu_ms,
            totals=self._prometheus_totals,
            last=lambda: self.monitor.last,
        )
        runners = [
            # Without a grace period: a pod that is told to go is rehearsing an outage, not a deployment.
            web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            for app in (public, control)
        ]
        try:
            for runner, host, port in (
                (runners[0], settings.host, settings.port),
                (runners[1], "127.0.0.1", settings.control_port),
            ):
                await runner.setup()
                await web.TCPSite(runner, host, port, backlog=settings.backlog).start()
            self.monitor.start()
            self.health.ready = True
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.broadcaster.run())
                tasks.create_task(self.monitor.probe())
        finally:
            self.health.ready = False
            self.drop_all()
            for runner in runners:
                await runner.cleanup()

    def drop_all(self) -> int:
        """Cuts every client's TCP connection, as a dying load balancer would; returns how many."""
        clients = len(self._transports)
        for transports in (self._transports, self._polling, self._upgraded):
            for transport in list(transports.values()):
                if transport is not None:
                    transport.abort()
        return clients

    @web.middleware
    async def _pay_for_upgrade(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == SOCKETIO_PATH and request.method == "GET" and "sid" not in request.query:
            self.totals["handshakes"] += 1
            self.cost.upgrade()
            if request.transport is None or request.transport.is_closing():
                self.totals["gone_early"] += 1
        if request.method == "GET" and "sid" in request.query and request.transport is not None:
            connections = self._upgraded if "upgrade" in request.headers else self._polling
            connections[request.query["sid"]] = request.transport
        return await handler(request)

    async def _connect(self, sid: str, environ: dict[str, Any], _auth: object = None) -> None:
        request = environ["aiohttp.request"]
        polling = request.query.get("transport") == "polling"
        transport = None if polling else request.transport
        self.cost.join()
        if not polling and (transport is None or transport.is_closing()):
            self.totals["gone_early"] += 1
            return
        self.totals["joined"] += 1
        self._transports[sid] = transport
        self._joined_ns[sid] = time.monotonic_ns()
        if self._snapshot:
            await self._sio.emit("snapshot", self._snapshot, to=sid)

    async def _disconnect(self, sid: str, _reason: str = "") -> None:
        self._transports.pop(sid, None)
        engine_sid = self._sio.manager.eio_sid_from_sid(sid, "/")
        self._polling.pop(engine_sid, None)
        self._upgraded.pop(engine_sid, None)
        joined_ns = self._joined_ns.pop(sid, None)
        if joined_ns is not None and time.monotonic_ns() - joined_ns < SHORT_SESSION_NS:
            self.totals["short_sessions"] += 1

    async def _broadcast(self, payload: dict[str, object]) -> None:
        self.totals["ticks_sent"] += len(self._transports)
        await self._sio.emit(self.settings.event, payload)

    def _set_handshake_cpu_ms(self, value: float) -> None:
        self.cost.cpu_ms = value

    def _counts(self) -> dict[str, float]:
        for transports in (self._polling, self._upgraded):
            for sid in [sid for sid, transport in transports.items() if transport.is_closing()]:
                del transports[sid]
        now = dict(self.totals)
        names = ("handshakes", "joined", "gone_early", "short_sessions", "ticks_sent")
        difference: dict[str, float] = {name: now[name] - self._reported[name] for name in names}
        self._reported = now
        return {
            **difference,
            "clients": len(self._transports),
            "tick_late_ms": self.broadcaster.take_worst_late_ns() / 1e6,
        }

    def _prometheus_totals(self) -> dict[str, float]:
        return {"clients": len(self._transports), **{f"{k}_total": v for k, v in self.totals.items()}}


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

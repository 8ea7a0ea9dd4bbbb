"""The host agent: hands its host to one runner at a time, and keeps it useful in between.

What a runner has started ends with its WebSocket, however that ends. Everything but health and metrics needs
the token.
"""

import asyncio
import contextlib
import hmac
import ipaddress
import math
import time
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version

import msgspec
import psutil
from aiohttp import WSMsgType, web
from aiohttp.typedefs import Handler

from gateway_stub.protocol import TOKEN_HEADER
from scenarios.agent.roles import Runs
from scenarios.host.cpu_account import CpuAccount, boot_id
from scenarios.host.hosts import CpuReading
from scenarios.host.machine import descriptor_limit
from scenarios.host.process import LocalChild, StackError
from scenarios.wire.agent import (
    CLOCK_PATH,
    HEALTH_PATH,
    HOST_PATH,
    LOG_PATH,
    LOGS,
    TAKE_PATH,
    Clock,
    Done,
    Ended,
    HostInfo,
    Order,
    Output,
    Refused,
    Report,
    Signal,
    StartNginx,
    StartPod,
    Taken,
    decode_order,
    encode,
)
from scenarios.wire.prometheus_text import CONTENT_TYPE, METRICS_PATH

_WITHOUT_TOKEN = {HEALTH_PATH, METRICS_PATH}
_HEARTBEAT_S = 20.0
"""A runner of which nothing is heard for one and a half times this has gone."""
_READ_AT = 0.95
"""Part of a second after which CPU is read: so that a runner has it when the second ends."""
_LOG_BYTES = 64 * 1024
_AGAIN_S = 3.0
_UNREADABLE = (OSError, ValueError, LookupError, psutil.Error)
"""What an account of CPU raises that cannot be read now."""
_LEAVING_S = 5.0


class Agent:
    """One host.

    trust: for nginx, networks beside its own from which clients may say their source addresses.
    """

    def __init__(
        self, role: Runs, *, listen: str, token: str, account: CpuAccount, trust: Sequence[str] = ()
    ) -> None:
        self._role = role
        self._trust = tuple(trust)
        self._listen = listen
        self._token = token
        self._account = account
        self._taken = asyncio.Lock()
        self._tenant: web.WebSocketResponse | None = None
        self._closing = False
        self._idle: asyncio.Task[None] | None = None

    def app(self) -> web.Application:
        """The application; what should run while nobody has taken the host does so as long as it is up."""
        app = web.Application(middlewares=[self._authorise])
        app.add_routes(
            [
                web.get(HEALTH_PATH, self._health),
                web.get(METRICS_PATH, self._metrics),
                web.get(HOST_PATH, self._host),
                web.get(CLOCK_PATH, self._clock),
                web.get(TAKE_PATH, self._take),
                web.get(LOG_PATH, self._log),
            ]
        )
        app.on_shutdown.append(self._turn_out)
        app.cleanup_ctx.append(self._while_up)
        return app

    async def _while_up(self, _app: web.Application) -> AsyncIterator[None]:
        self._begin_idle()
        yield
        await self._end_idle()

    async def _turn_out(self, _app: web.Application) -> None:
        self._closing = True
        if self._tenant is not None:
            await self._tenant.close()

    @web.middleware
    async def _authorise(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(TOKEN_HEADER, "").encode(errors="surrogateescape")
        if request.path not in _WITHOUT_TOKEN and not hmac.compare_digest(given, self._token.encode()):
            raise web.HTTPForbidden(text="wrong or missing token\n")
        return await handler(request)

    # -- questions ----------------------------------------------------------------------------------

    async def _health(self, _request: web.Request) -> web.Response:
        if self._taken.locked():
            return web.Response(text="taken\n")
        if self._role.serving:
            return web.Response(text="idle\n")
        return web.Response(status=503, text="not up\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        try:
            text = self._role.metrics(self._account.use())
        except _UNREADABLE as error:
            raise web.HTTPServiceUnavailable(text=f"cannot read the CPU account: {error!r}\n") from None
        if not text:
            raise web.HTTPNotFound(text="no metrics here: a pod has its own on its control port\n")
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _host(self, request: web.Request) -> web.Response:
        return _json(
            HostInfo(
                role=self._role.role,
                version=version("reconnect-storm"),
                boot_id=boot_id(),
                listen=self._listen,
                port=self._role.port,
                control_port=self._role.control_port,
                quota_cores=self._account.quota_cores(),
                cpu_from=self._account.source,
                descriptors=descriptor_limit(),
                trusted=(*_network_of(_asked_at(request)), *self._trust)
                if self._role.role == "nginx"
                else (),
            )
        )

    async def _clock(self, _request: web.Request) -> web.Response:
        return _json(Clock(time.monotonic_ns(), time.time_ns()))

    async def _log(self, request: web.Request) -> web.StreamResponse:
        path = self._role.logs / request.match_info["name"]
        if path.name not in LOGS or not path.exists():
            raise web.HTTPNotFound(text=f"no such log: {' and '.join(LOGS)} may be there\n")
        return web.FileResponse(path)

    # -- tenants ------------------------------------------------------------------------------------

    async def _take(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S)
        await socket.prepare(request)
        try:
            # The one before may have left, and what it started not have ended.
            async with asyncio.timeout(_LEAVING_S):
                await self._taken.acquire()
        except TimeoutError:
            await _send(socket, Refused("in use by another run"))
            await socket.close()
            return socket
        try:
            self._tenant = socket
            await self._end_idle()
            self._role.begin()
            await _Tenant(socket, self._role, self._account).serve()
        finally:
            self._tenant = None
            self._begin_idle()
            self._taken.release()
        return socket

    def _begin_idle(self) -> None:
        if self._closing:
            return
        self._idle = asyncio.create_task(self._keep_idle())

    async def _end_idle(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.cancel()
            await asyncio.gather(idle, return_exceptions=True)

    async def _keep_idle(self) -> None:
        while True:
            try:
                await self._role.idle()
            except Exception as error:  # Whatever it was: the host shall be useful again.
                said = str(error) if isinstance(error, StackError) else repr(error)
                print(f"while idle: {said}", flush=True)  # noqa: T201
            await asyncio.sleep(_AGAIN_S)


class _Tenant:
    """A runner that has taken the host."""

    def __init__(self, socket: web.WebSocketResponse, role: Runs, account: CpuAccount) -> None:
        self._socket = socket
        self._role = role
        self._account = account
        self._child: LocalChild | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def serve(self) -> None:
        """Carries out orders until the WebSocket ends; then ends what has been started."""
        await _send(self._socket, Taken(str(self._role.logs)))
        self._tasks.append(asyncio.create_task(self._report_cpu()))
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.BINARY:
                    break
                try:
                    order = decode_order(message.data)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    await _send(self._socket, Done(f"invalid order: {error}"))
                    continue
                await _send(self._socket, Done(await self._carry_out(order)))
        finally:
            if self._child is not None:
                await self._child.stop()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry_out(self, order: Order) -> str:
        try:
            if isinstance(order, Signal):
                await self._signal(order)
            elif isinstance(order, StartPod | StartNginx) and self._child and not self._child.ended():
                return f"{self._child.name} is still running"
            elif (child := await self._role.carry_out(order)) is not None:
                self._child = child
                self._tasks.append(asyncio.create_task(self._follow(child)))
        except (StackError, OSError, ValueError) as error:
            return str(error) or repr(error)
        return ""

    async def _signal(self, order: Signal) -> None:
        child = self._child
        if child is None:
            return
        acts = {"kill": child.kill, "term": child.stop, "stop": child.pause, "cont": child.resume}
        await acts[order.name]()

    async def _follow(self, child: LocalChild) -> None:
        begin = child.log.stat().st_size if child.log.exists() else 0
        if child.process.stdout is not None:
            async for line in child.lines():
                await _send(self._socket, Output(line))
        await child.wait()
        await _send(self._socket, Ended(child.process.returncode or 0, _end_of(child, begin)))

    async def _report_cpu(self) -> None:
        while True:
            try:
                use = self._account.use()
            except _UNREADABLE as error:
                # The next one covers this second, too.
                print(f"cannot read the CPU account: {error!r}", flush=True)  # noqa: T201
            else:
                reading = CpuReading(
                    t_ns=time.monotonic_ns(), cpu_ns=use.cpu_ns, throttled_ns=use.throttled_ns
                )
                await _send(self._socket, reading)
            now_s = time.monotonic()
            await asyncio.sleep(math.floor(now_s - _READ_AT) + 1 + _READ_AT - now_s)


async def _send(socket: web.WebSocketResponse, report: Report) -> None:
    with contextlib.suppress(ConnectionError):  # the runner has gone; the reading end finds out
        await socket.send_bytes(encode(report))


def _end_of(child: LocalChild, begin: int) -> bytes:
    try:
        with child.log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, min(begin, size), size - _LOG_BYTES))
            return stream.read()
    except OSError:
        return b""


def _json(answer: HostInfo | Clock) -> web.Response:
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


def _asked_at(request: web.Request) -> str:
    """The address of ours that a question came to."""
    assert request.transport is not None  # noqa: S101
    return str(request.transport.get_extra_info("sockname")[0])


def _network_of(address: str) -> tuple[str, ...]:
    """The network that this address of ours is in, by the interface that has it; nothing where none has."""
    ours = ipaddress.ip_address(address)
    for interface in psutil.net_if_addrs().values():
        for found in interface:
            try:
                network = ipaddress.ip_network(f"{found.address}/{found.netmask}", strict=False)
            except ValueError:
                continue  # a hardware address
            if ours in network:
                return (str(network),)
    return ()

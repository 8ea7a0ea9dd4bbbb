"""What a host agent runs: a pod, or nginx; for whoever has taken the host, and by itself while nobody has."""

import asyncio
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec
from msgspec.structs import replace

from gateway_stub.protocol import READINESS_PATH, Controls, Settings
from scenarios.agent.proxy_metrics import RequestCounts, proxy_text
from scenarios.host.cpu_account import CpuUse
from scenarios.host.dns import Address, addresses
from scenarios.host.local import LocalPodHost
from scenarios.host.machine import SPARE_DESCRIPTORS, descriptor_limit
from scenarios.host.process import LocalChild, StackError
from scenarios.proxies.nginx import CONFIGURATION, LocalNginx, render
from scenarios.scenario.model import Fleet, Scenario
from scenarios.wire.agent import Configure, Order, Reload, Role, StartNginx, StartPod

_LOOK_S = 3.0
_ASK = aiohttp.ClientTimeout(total=2.0)
_MOST_CLIENTS = 5_000


class Runs(Protocol):
    """A role, carried out. One process at a time runs."""

    role: Role
    port: int
    control_port: int
    logs: Path
    """The folder for logs of what runs now."""
    serving: bool
    """Whether the process that runs while nobody has taken the host is there."""

    def begin(self) -> None:
        """Somebody has taken the host: forgets what was before."""

    async def carry_out(self, order: Order) -> LocalChild | None:
        """Carries out an order that only this role knows; returns the process that it has started, if any.

        Raises StackError.
        """

    async def idle(self) -> None:
        """Runs what should be there while nobody has taken the host, until it is cancelled."""

    def metrics(self, use: CpuUse) -> str:
        """What it is doing, in Prometheus' text format; empty where its process tells that itself.

        use: the CPU of this host.
        """


class GatewayRole:
    """Pods. settings: of the one that runs while nobody has taken the host."""

    role: Role = "gateway"

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.port = settings.port
        self.control_port = settings.control_port
        self.logs = folder
        self.serving = False
        self._settings = settings
        self._host = LocalPodHost(
            port=settings.port, control_port=settings.control_port, listen=settings.host
        )

    def begin(self) -> None:
        """Nothing of a pod stays behind but its log."""
        self._log.unlink(missing_ok=True)

    async def carry_out(self, order: Order) -> LocalChild | None:
        """Starts a pod."""
        if not isinstance(order, StartPod):
            raise StackError(f"invalid order {type(order).__name__}: this host runs pods")
        # Where it listens is this host's business.
        settings = replace(
            order.settings,
            host=self._settings.host,
            port=self.port,
            control_host=self._settings.host,
            control_port=self.control_port,
        )
        return await self._host.start(settings, log=self._log, descriptors=order.descriptors)

    async def idle(self) -> None:
        """Runs a pod that stands alone. Raises StackError when it ends by itself."""
        self._log.unlink(missing_ok=True)
        child = await self._host.start(self._settings, log=self._log, descriptors=descriptor_limit())
        self.serving = True
        try:
            # Nobody is interested in its lines, but it must not wait for them to be read.
            async for _ in child.lines():
                pass
            await child.wait()
            raise child.ended_by_itself()
        finally:
            self.serving = False
            await child.stop()

    def metrics(self, use: CpuUse) -> str:  # noqa: ARG002 - another role needs it
        """Nothing: the pod tells on its control port."""
        return ""

    @property
    def _log(self) -> Path:
        return self.logs / "pod.log"


def idle_settings(controls: Controls, **settings: object) -> Settings:
    """Settings of a pod that stands alone; its control token is nobody's business."""
    return msgspec.convert(
        {"name": "idle", "token": secrets.token_urlsafe(24), "controls": controls, **settings}, Settings
    )


class NginxRole:
    """nginx. pods: where the ones are that it sends clients to while nobody has taken the host."""

    role: Role = "nginx"
    control_port = 0

    def __init__(self, *, listen: str, port: int, pods: tuple[Address, ...], folder: Path) -> None:
        self.port = port
        self.serving = False
        self._listen = listen
        self._pods = pods
        self._folder = self.logs = folder
        self._requests = RequestCounts()
        self.begin()

    def begin(self) -> None:
        """Logs begin anew."""
        self._requests.take(self._access_log)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self.logs = Path(tempfile.mkdtemp(dir=self._folder))
        self._host = LocalNginx(port=self.port, directory=self.logs, listen=self._listen)

    async def carry_out(self, order: Order) -> LocalChild | None:
        """Configures, starts and reloads."""
        match order:
            case Configure(text=text):
                await self._host.configure({CONFIGURATION: text})
            case StartNginx(descriptors=descriptors):
                return await self._host.start(descriptors=descriptors)
            case Reload():
                await self._host.reload()
            case _:
                raise StackError(f"invalid order {type(order).__name__}: this host runs nginx")
        return None

    async def idle(self) -> None:
        """Sends clients to all pods that say that they are ready; looks again every few seconds."""
        self.begin()
        child: LocalChild | None = None
        known: list[str] = []
        try:
            async with aiohttp.ClientSession(timeout=_ASK) as http:
                while True:
                    pods = await self._ready(http)
                    if child is not None and child.ended():
                        child = None
                    # nginx cannot have an upstream without anybody: the last ones stay.
                    if pods and (pods != known or child is None):
                        await self._host.configure(self._configuration(pods))
                        if child is None:
                            child = await self._host.start(descriptors=descriptor_limit())
                        else:
                            await self._host.reload()
                        known = pods
                    self.serving = child is not None
                    await asyncio.sleep(_LOOK_S)
        finally:
            self.serving = False
            if child is not None:
                await child.stop()

    def metrics(self, use: CpuUse) -> str:
        """CPU, and requests of all logs until now."""
        self._requests.take(self._access_log)
        return proxy_text(use, self._requests.totals)

    @property
    def _access_log(self) -> Path:
        return self.logs / "access.log"

    async def _ready(self, http: aiohttp.ClientSession) -> list[str]:
        pods = [f"{host}:{port}" for host, port in await addresses(self._pods)]
        answers = await asyncio.gather(*(_is_ready(http, pod) for pod in pods))
        return [pod for pod, ready in zip(pods, answers, strict=True) if ready]

    def _configuration(self, pods: list[str]) -> dict[str, str]:
        clients = min(_MOST_CLIENTS, max(1, (descriptor_limit() - SPARE_DESCRIPTORS) // 4))
        scenario = Scenario(fleet=Fleet(clients=clients))
        text = render(scenario, listen=self._host.listen, pods=pods, directory=self.logs)
        return {CONFIGURATION: text}


async def _is_ready(http: aiohttp.ClientSession, pod: str) -> bool:
    try:
        async with http.get(f"http://{pod}{READINESS_PATH}") as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError, ValueError):
        return False

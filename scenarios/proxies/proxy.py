"""What stands in front of the pods: its life, and how it changes while it runs."""

import asyncio
import shutil
import ssl
from functools import partial
from urllib.parse import urlsplit

from msgspec.structs import replace

from reports.rundir.proxy_log import TlsCosts
from scenarios.fields import NameOrTable
from scenarios.host.cpu import spent_s
from scenarios.host.hosts import ProxyHost
from scenarios.host.machine import needed_descriptors
from scenarios.host.process import Child, LocalChild, Watch
from scenarios.proxies.certificates import Authority
from scenarios.proxies.handshakes import Visitor, handshake_costs
from scenarios.proxies.registry import kind_of
from scenarios.scenario.edge.tls import Tls
from scenarios.scenario.model import Scenario


class Proxy:
    """The proxy on its host, of the kind that the scenario names; its configuration may change while it runs.

    Starts, ends and changes take turns, so that no process begins with what has just been replaced. A start
    finds a process and does nothing; an end, or a reload, finds none and does nothing.

    pod_cores: what a CPU quota leaves to each pod; see `stability.stability`.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        host: ProxyHost,
        pods: list[str],
        watch: Watch,
        pod_cores: float | None = None,
    ) -> None:
        self.child: Child | None = None
        self._scenario = scenario
        self._kind = kind_of(scenario)
        self._host = host
        self._pods = pods
        self._watch = watch
        self._pod_cores = pod_cores
        self._changing = asyncio.Lock()
        self._authority: Authority | None = None

    @property
    def url(self) -> str:
        """Where clients reach it."""
        url = self._host.url
        return url.replace("http://", "https://", 1) if self._scenario.edge.tls else url

    @property
    def ca_file(self) -> str:
        """Certificates that clients have to trust; empty without TLS."""
        return str(self._authority.file) if self._authority else ""

    async def start(self) -> None:
        """Renders, checks and starts; returns once the port answers."""
        self._host.directory.mkdir()
        if self._scenario.edge.tls:
            await asyncio.to_thread(self._certify, self._scenario.edge.tls)
        await self._write()
        await self.start_again()

    def keep_configuration(self) -> None:
        """Keeps a copy of what is in force now beside the file that follows every change."""
        file = self._host.directory / self._kind.configuration
        shutil.copy(file, file.with_name(f"{file.name}.before"))

    async def start_again(self) -> None:
        """Starts the process, unless there is one; returns once the port answers."""
        async with self._changing:
            if self.child is None:
                descriptors = needed_descriptors(self._scenario.fleet.clients)
                self.child = await self._host.start(descriptors=descriptors)
                self._watch.over(self.child)

    async def stop(self) -> None:
        """Ends it, and all connections with it."""
        async with self._changing:
            if self.child is not None:
                self._watch.release(self.child)
                await self.child.stop()
                # Who is cancelled before this leaves the process to whoever ends everything.
                self.child = None

    async def reconfigure(self, *, pods: list[str] | None = None, limit: NameOrTable | None = None) -> None:
        """Renders with other pods or another limit, and puts that in force."""
        async with self._changing:
            if pods is not None:
                self._pods = pods
                own = replace(self._scenario.gateway, pods=len(pods))
                self._scenario = replace(self._scenario, gateway=own)
            if limit is not None:
                self._scenario = replace(self._scenario, edge=replace(self._scenario.edge, limit=limit))
            await self._write()
            await self._reload()

    async def cut(self) -> bool:
        """Cuts all connections at once, and stays there; returns False where this proxy cannot."""
        async with self._changing:
            return self.child is not None and await self._host.cut()

    async def reload(self) -> None:
        """Makes it read its configuration again; returns once that is in force."""
        async with self._changing:
            await self._reload()

    async def rotate_certificate(self) -> None:
        """Gives it a new certificate of the same authority; returns once that is in force."""
        async with self._changing:
            assert self._authority is not None  # noqa: S101 - checked when the scenario was loaded
            await asyncio.to_thread(self._authority.issue)
            await self._reload()

    async def handshake_costs(self) -> TlsCosts | None:
        """What a TLS handshake costs it now, in about a second; None without TLS."""
        if self._authority is None or not isinstance(self.child, LocalChild):
            return None
        url = urlsplit(self._host.url)
        port = url.port or 0
        proxied = self._scenario.fleet.source == "proxy-protocol"
        visitor = Visitor(
            port=port,
            context=ssl.create_default_context(cafile=self._authority.file),
            host=self._scenario.target.server_name or url.hostname or "",
            header=f"PROXY TCP4 127.0.0.1 127.0.0.1 1 {port}\r\n".encode() if proxied else b"",
        )
        return await asyncio.to_thread(handshake_costs, visitor, partial(spent_s, self.child.pid))

    def _certify(self, tls: Tls) -> None:
        assert self._host.private is not None  # noqa: S101 - checked before the run
        host = self._scenario.target.server_name or urlsplit(self._host.url).hostname or ""
        self._authority = Authority(self._host.private, key=tls.key, host=host)
        self._authority.issue()

    async def _reload(self) -> None:
        # Whoever starts it again starts it with the new configuration.
        if self.child is not None:
            await self._host.reload()

    async def _write(self) -> None:
        await self._host.configure(self._kind.render(self._scenario, self._host, self._pods, self._pod_cores))

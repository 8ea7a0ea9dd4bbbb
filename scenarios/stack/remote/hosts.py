"""Hosts elsewhere: pods and nginx are children of host agents, which we have taken."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import aiohttp

from gateway_stub.protocol import TOKEN_HEADER, Settings
from scenarios.host.dns import Address
from scenarios.host.hosts import CpuReading, PodHost
from scenarios.host.process import StackError
from scenarios.proxies.nginx import CONFIGURATION
from scenarios.stack.remote.channel import AgentChannel, RemoteChild
from scenarios.stack.remote.survey import Surveyed
from scenarios.wire.agent import LOG_PATH, LOGS, Configure, Reload, StartNginx, StartPod

_FETCH = aiohttp.ClientTimeout(total=120.0, sock_connect=5.0, sock_read=10.0)
"""A log may be long; a host that cannot be reached is not waited for as long."""


class RemoteHost:
    """A host that we have taken."""

    def __init__(self, surveyed: Surveyed) -> None:
        self.surveyed = surveyed
        self.reading: CpuReading | None = None
        """The latest one."""
        self._channel: AgentChannel | None = None

    @property
    def channel(self) -> AgentChannel:
        """The way to its agent; after `take`."""
        assert self._channel is not None  # noqa: S101
        return self._channel

    async def take(self, http: aiohttp.ClientSession, token: str) -> Self:
        """Makes it ours. Raises StackError where it cannot be had."""
        self._channel = await AgentChannel.take(http, self.surveyed.agent, token, self._on_reading)
        return self

    async def close(self) -> None:
        """Leaves it; what still runs there ends."""
        if self._channel is not None:
            await self._channel.close()

    def _on_reading(self, reading: CpuReading) -> None:
        self.reading = reading


class RemotePodHost(RemoteHost):
    """A place for one pod at a time."""

    def __init__(self, surveyed: Surveyed) -> None:
        super().__init__(surveyed)
        self.address = surveyed.agent[0]
        self.listen = surveyed.info.listen
        self.port = surveyed.info.port
        self.control_port = surveyed.info.control_port
        self.clock_ahead_ns = surveyed.clock.ahead_ns

    async def start(self, settings: Settings, *, log: Path, descriptors: int) -> RemoteChild:
        """Starts a pod, which then gets ready."""
        return await self.channel.start(settings.name, StartPod(settings, descriptors), log)


class RemotePodHosts:
    """Hosts for pods, all of which are ours for the whole run: one that waits must not stand in the way."""

    def __init__(self, hosts: Sequence[RemotePodHost]) -> None:
        self.hosts = hosts
        self._free = list(hosts)

    def free(self, count: int) -> list[PodHost]:
        """The first ones that have no pod. Raises StackError where there are not enough."""
        if count > len(self._free):
            raise StackError(
                f"{count} more pods needed, but only {len(self._free)} of {len(self.hosts)} gateway hosts"
                " are idle"
            )
        taken, self._free = self._free[:count], self._free[count:]
        return list(taken)

    def give_back(self, host: PodHost) -> None:
        """The place is free again."""
        self._free += [ours for ours in self.hosts if ours is host]


class RemoteNginxHost(RemoteHost):
    """The place for nginx. directory: of the run; configuration and logs are copied there."""

    def __init__(self, surveyed: Surveyed, *, target: Address, target_url: str, directory: Path) -> None:
        super().__init__(surveyed)
        info = surveyed.info
        self.url = target_url or f"http://{target[0]}:{info.port}"
        self.listen = f"{info.listen}:{info.port}"
        self.trusted = info.trusted
        self.directory = directory
        self.private: Path | None = None

    @property
    def logs(self) -> Path:
        """The folder for its logs and pid file, on that host."""
        return self.channel.logs

    async def configure(self, files: Mapping[str, str]) -> None:
        """Puts a configuration in its place, and a copy of it into the run."""
        text = files[CONFIGURATION]
        await asyncio.to_thread((self.directory / CONFIGURATION).write_text, text, encoding="utf-8")
        await self.channel.order(Configure(text))

    async def start(self, *, descriptors: int) -> RemoteChild:
        """Starts nginx; returns once the port answers."""
        return await self.channel.start("nginx", StartNginx(descriptors), self.directory / "error.log")

    async def reload(self) -> None:
        """Makes it read its configuration again; returns once new workers are there."""
        await self.channel.order(Reload())

    async def cut(self) -> bool:
        """Nothing: the pods there are the stub's, which cut their clients themselves."""
        return False

    async def fetch_logs(self, http: aiohttp.ClientSession, token: str) -> None:
        """Copies its logs into the run, as far as they can be had."""
        host, port = self.surveyed.agent
        for name in LOGS:
            draft = self.directory / f"{name}.part"
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with http.get(
                    f"http://{host}:{port}{LOG_PATH.format(name=name)}",
                    headers={TOKEN_HEADER: token},
                    timeout=_FETCH,
                ) as response:
                    response.raise_for_status()
                    with draft.open("wb") as stream:
                        async for piece in response.content.iter_any():
                            stream.write(piece)
                draft.replace(self.directory / name)

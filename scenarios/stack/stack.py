"""The running stack: what events act on."""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.events.stack import ProbeSettings
from scenarios.fields import NameOrTable
from scenarios.limits.registry import limit
from scenarios.programs.commands import run_command
from scenarios.programs.publisher import Publisher
from scenarios.proxies.proxy import Proxy
from scenarios.scenario.model import Scenario
from scenarios.stack.channel import Channel
from scenarios.stack.gateway import Gateway
from scenarios.stack.probes import Orchestrator, ProbesInForce

_LEAD_NS = 500_000_000
"""Everybody has to know of another feed rate before the first tick that it makes due."""


class Stack:
    """Gateway, nginx and generator of one run.

    note: writes a line to the run's events, for what is done by something else than the timeline.
    directory: that of the run.
    """

    def __init__(
        self,
        scenario: Scenario,
        gateway: Gateway | None,
        nginx: Proxy | None,
        generator: Channel,
        note: Callable[..., Any],
        publisher: Publisher | None = None,
        directory: Path = Path(),
    ) -> None:
        self.scenario = scenario
        self.gateway = gateway
        """None, like nginx, where the target is somebody else's."""
        self.nginx = nginx
        self.generator = generator
        self.note = note
        self.publisher = publisher
        """The user's own, which takes its orders by signals."""
        self._probes = ProbesInForce()
        self._directory = directory
        self._command_numbers = count(1)

    @property
    def own_gateway(self) -> Gateway:
        """The gateway, for events that a scenario with somebody else's does not have."""
        assert self.gateway is not None  # noqa: S101 - checked when the scenario was loaded
        return self.gateway

    @property
    def own_nginx(self) -> Proxy:
        """nginx, or the other proxy that the scenario names, likewise."""
        assert self.nginx is not None  # noqa: S101
        return self.nginx

    async def begin(self) -> None:
        """The fleet is up: from now on handshakes cost something, and the scenario's limits are in force."""
        await self.own_gateway.charge_handshakes(self.scenario.gateway.handshake_cpu_ms)
        self.own_gateway.route = self.route
        self.own_gateway.begin()
        edge = self.scenario.edge
        if edge.limits_the_ramp:
            await self.own_gateway.set_admission(limit(edge.limit).admission)
        elif edge.limit != "none":
            await self.set_limit(edge.limit)
        await self.own_gateway.limit_at_sidecars()
        self.own_nginx.keep_configuration()

    async def route(self) -> None:
        """Makes nginx send new connections to the pods that are there now.

        nginx cannot have an upstream without anybody: the last ones stay.
        """
        if addresses := self.own_gateway.addresses:
            await self.own_nginx.reconfigure(pods=addresses)

    async def watch_probes(self, probes: ProbeSettings) -> None:
        """Asks the pods how they are, and acts on it, until others do or it is cancelled."""
        await self._probes.run(Orchestrator(probes, self.own_gateway, route=self.route, note=self.note))

    async def set_limit(self, spec: NameOrTable) -> None:
        """Puts another limit in force: at nginx, and at the pods."""
        await self.own_nginx.reconfigure(limit=spec)
        await self.own_gateway.set_admission(limit(spec).admission)

    async def drop(self, share: float) -> dict[str, Any]:
        """Cuts a share of the connections at once; returns how many were cut, or by what.

        A gateway of the user's own takes no orders: the proxy cuts all connections, if it can, and otherwise
        the clients cut theirs.
        """
        if self.gateway is not None and not self.scenario.own_gateway:
            return {"dropped": await self.gateway.drop(share)}
        if share == 1.0 and self.nginx is not None and await self.nginx.cut():
            return {"dropped_by": self.scenario.edge.proxy}
        await self.generator.cut(share)
        return {"dropped_by": "clients"}

    async def stall_feed(self, for_s: float) -> None:
        """No tick goes out for this long."""
        if self.publisher is not None:
            async with self.publisher.stalled():
                await asyncio.sleep(for_s)
            return
        await self.own_gateway.stall_feed(for_s)
        await asyncio.sleep(for_s)

    async def burst_feed(self, factor: float, for_s: float) -> None:
        """The feed's rate is `factor` times its own from a moment from now on, for this long."""
        if self.publisher is not None:
            async with self.publisher.faster(factor):
                await asyncio.sleep(for_s)
            return
        feed = self.own_gateway.controls.feed
        assert feed is not None  # noqa: S101
        rate_hz = self.scenario.feed.rate_hz
        begin_ns = time.monotonic_ns() + _LEAD_NS
        end_ns = begin_ns + int(for_s * 1e9)
        await self._set_feed(feed.changed(begin_ns, rate_hz * factor).changed(end_ns, rate_hz))
        await asyncio.sleep(for_s)

    async def run_command(self, words: Sequence[str], timeout_s: float) -> dict[str, Any]:
        """Runs a command of the user's own to its end. Raises StackError where it fails."""
        log = Path("commands") / f"{next(self._command_numbers)}.log"
        folder = Path(self.scenario.folder)
        await run_command(words, timeout_s, folder=folder, log=self._directory / log)
        return {"exit_status": 0, "log": str(log)}

    async def _set_feed(self, schedule: FeedSchedule) -> None:
        await self.generator.set_feed(schedule)
        await self.own_gateway.set_feed(schedule)

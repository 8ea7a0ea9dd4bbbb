"""The running stack: what events act on."""

import time
from collections.abc import Callable
from typing import Any

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.events.stack import ProbeSettings
from scenarios.fields import NameOrTable
from scenarios.limits.registry import limit
from scenarios.proxies.proxy import Proxy
from scenarios.scenario.model import Scenario
from scenarios.stack.channel import Channel
from scenarios.stack.gateway import Gateway
from scenarios.stack.probes import Orchestrator

_LEAD_NS = 500_000_000
"""Everybody has to know of another feed rate before the first tick that it makes due."""


class Stack:
    """Gateway, nginx and generator of one run.

    note: writes a line to the run's events, for what is done by something else than the timeline.
    """

    def __init__(
        self,
        scenario: Scenario,
        gateway: Gateway | None,
        nginx: Proxy | None,
        generator: Channel,
        note: Callable[..., Any],
    ) -> None:
        self.scenario = scenario
        self.gateway = gateway
        """None, like nginx, where the target is somebody else's."""
        self.nginx = nginx
        self.generator = generator
        self.note = note

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
        if self.scenario.edge.limit != "none":
            await self.set_limit(self.scenario.edge.limit)
        await self.own_gateway.limit_at_sidecars()
        self.own_nginx.keep_configuration()

    async def route(self) -> None:
        """Makes nginx send new connections to the pods that are there now.

        nginx cannot have an upstream without anybody: the last ones stay.
        """
        if addresses := self.own_gateway.addresses:
            await self.own_nginx.reconfigure(pods=addresses)

    async def watch_probes(self, probes: ProbeSettings) -> None:
        """Asks the pods how they are, and acts on it, until it is cancelled."""
        await Orchestrator(probes, self.own_gateway, route=self.route, note=self.note).run()

    async def set_limit(self, spec: NameOrTable) -> None:
        """Puts another limit in force: at nginx, and at the pods."""
        await self.own_nginx.reconfigure(limit=spec)
        await self.own_gateway.set_admission(limit(spec).admission)

    async def burst_feed(self, factor: float, for_s: float) -> None:
        """The feed's rate is `factor` times its own from a moment from now on, for so long."""
        feed = self.own_gateway.controls.feed
        assert feed is not None  # noqa: S101
        rate_hz = self.scenario.feed.rate_hz
        begin_ns = time.monotonic_ns() + _LEAD_NS
        end_ns = begin_ns + int(for_s * 1e9)
        await self._set_feed(feed.changed(begin_ns, rate_hz * factor).changed(end_ns, rate_hz))

    async def _set_feed(self, schedule: FeedSchedule) -> None:
        await self.generator.set_feed(schedule)
        await self.own_gateway.set_feed(schedule)

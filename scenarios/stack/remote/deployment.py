"""A site as the place of a run: pods and nginx on hosts that host agents look after."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
from msgspec.structs import replace

from gateway_stub.protocol import CLOCK_PATH
from reports.rundir.schema import ClockOffset
from scenarios.fields import invalid
from scenarios.host import machine
from scenarios.host.machine import MachineError
from scenarios.scenario.model import Scenario
from scenarios.scenario.timeline import places_needed
from scenarios.stack.cpu_meters import SiteCpu
from scenarios.stack.parts import Parts, Wanted, start_generator, start_own
from scenarios.stack.remote.generator import RemoteGenerator
from scenarios.stack.remote.hosts import RemoteNginxHost, RemotePodHost, RemotePodHosts
from scenarios.stack.remote.site import Site
from scenarios.stack.remote.supported import site_complaints
from scenarios.stack.remote.survey import Survey, Surveyed
from scenarios.wire.interval import Interval


class SitePlace:
    """The hosts of a site, as they have been found."""

    def __init__(self, site: Site, survey: Survey) -> None:
        self._site = site
        self._survey = survey
        hosts = (*survey.gateways, survey.nginx)
        self.pod_cores = survey.pod_cores
        self.cpu_in_intervals = site.generator is not None
        self.proxy_wall_ahead_s = survey.nginx.clock.wall_ahead_ns / 1e9
        self.machine: dict[str, Any] = {
            **machine.describe(machine.Cores((), ())),
            "cpu_from": " and ".join(sorted({host.info.cpu_from for host in hosts})),
            "pod_cores": survey.pod_cores,
            "kernels": len({host.info.boot_id for host in hosts}),
        }
        self.clocks = tuple(_offset(host) for host in hosts if not host.here or host.clock.ahead_ns)

    def check(self, scenario: Scenario, nginx_binary: Path | None) -> None:
        """Raises MachineError for too few hosts, and for what remote hosts do not support."""
        needed, found = places_needed(scenario), len(self._survey.gateways)
        if needed > found:
            raise MachineError(
                f"gateway.pods or event scale: needs {needed} gateway hosts, {found} are running;"
                f" start more: with compose, set GATEWAYS={needed} in .env, then docker compose up --detach"
            )
        if nginx_binary is not None:
            raise MachineError(invalid("--nginx", str(nginx_binary), "none: nginx runs on another host"))
        for complaint in site_complaints(scenario):
            raise MachineError(complaint)
        if scenario.edge.port not in {0, self._survey.nginx.info.port}:
            raise MachineError(
                invalid(
                    "edge.port",
                    scenario.edge.port,
                    f"0, or {self._survey.nginx.info.port}, where the remote nginx listens",
                )
            )
        if self._site.generator is None:
            machine.check_descriptors(scenario.fleet.clients)
        descriptors = machine.needed_descriptors(scenario.fleet.clients)
        for host in (*self._survey.gateways, self._survey.nginx):
            if descriptors > host.info.descriptors:
                raise MachineError(
                    invalid(
                        "fleet.clients",
                        scenario.fleet.clients,
                        f"fewer clients: they need {descriptors} file descriptors, the limit at"
                        f" {host.agent[0]} is {host.info.descriptors} (ulimits of its container)",
                    )
                )

    def fitted(self, scenario: Scenario) -> Scenario:
        """Source addresses are told by PROXY protocol, which works between any hosts."""
        if scenario.fleet.source != "auto":
            return scenario
        return replace(scenario, fleet=replace(scenario.fleet, source="proxy-protocol"))

    async def start(self, stops: AsyncExitStack, wanted: Wanted) -> Parts:
        """Takes all hosts, and starts pods, nginx and generator."""
        site, survey = self._site, self._survey
        http = await stops.enter_async_context(aiohttp.ClientSession())
        pods = [RemotePodHost(host) for host in survey.gateways]
        nginx_host = RemoteNginxHost(
            survey.nginx,
            target=site.nginx,
            target_url=site.target_url,
            directory=wanted.directory / "nginx",
        )
        for host in (*pods, nginx_host):
            stops.push_async_callback(host.close)
            await host.take(http, site.token)
        stops.push_async_callback(nginx_host.fetch_logs, http, site.token)
        hosts = (*pods, nginx_host)
        cpu = SiteCpu(pods, nginx_host, here=all(host.surveyed.here for host in hosts))
        gateway, nginx = await start_own(stops, wanted, RemotePodHosts(pods), nginx_host, self.pod_cores)
        if site.generator is None:
            child = await start_generator(
                stops,
                replace(wanted, allow_remote=True),
                nginx.url,
                (),
                other_clocks=any(host.clock.ahead_ns for host in survey.gateways),
            )
            cpu.generator = child
            return Parts(gateway, nginx, child, cpu)

        def on_interval(interval: Interval) -> None:
            cpu.on_interval(interval)
            wanted.on_interval(interval)

        generator = await RemoteGenerator.start(
            wanted.scenario,
            address=site.generator,
            token=site.token,
            target_url=nginx.url,
            epoch_ns=wanted.epoch_ns,
            on_interval=on_interval,
            clock_url=nginx.url + CLOCK_PATH,
        )
        stops.push_async_callback(generator.stop)
        failing = generator.failed()
        wanted.watch.also(failing)
        stops.callback(wanted.watch.release, failing)
        return Parts(gateway, nginx, generator, cpu)


def _offset(host: Surveyed) -> ClockOffset:
    """A host's clock as the runner sees it."""
    name = f"{host.info.role} host {host.agent[0]}"
    return ClockOffset(process=name, offset_ns=host.clock.ahead_ns, error_ns=host.clock.error_ns)

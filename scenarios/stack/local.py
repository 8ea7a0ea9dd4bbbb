"""This machine as the place of a run."""

import os
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from reports.rundir.schema import ClockOffset
from scenarios.fields import invalid
from scenarios.host import machine
from scenarios.host.local import LocalPodHosts
from scenarios.host.machine import MachineError
from scenarios.programs.kept import KeptProgram
from scenarios.proxies.envoy import executable
from scenarios.proxies.own_nginx import host as own_nginx
from scenarios.proxies.proxy import Proxy
from scenarios.proxies.registry import PROXIES, kind_of
from scenarios.proxies.sidecars import Sidecars
from scenarios.scenario.model import Scenario
from scenarios.stack.cpu_meters import LocalCpu
from scenarios.stack.own_programs import check_programs, start_publisher, start_services
from scenarios.stack.parts import Parts, Wanted, start_generator, start_own


class LocalPlace:
    """This machine: everything is a child of this process, and on cores that the scenario gives it."""

    pod_cores: float | None = None
    clocks: tuple[ClockOffset, ...] = ()
    cpu_in_intervals = False
    proxy_wall_ahead_s = 0.0

    def __init__(self, scenario: Scenario) -> None:
        self._cores = machine.assign_cores(scenario.gateway.cores)
        self.machine = machine.describe(self._cores)

    def check(self, scenario: Scenario, nginx_binary: Path | None) -> None:
        """Ports and descriptors have to be there, and the programs of the proxy and of sidecars."""
        machine.check(scenario)
        if scenario.mesh.sidecar == "envoy":
            executable()
        if scenario.target.url:
            return
        if scenario.own_gateway:
            check_programs(scenario)
        proxy = scenario.edge.proxy
        if nginx_binary is None:
            PROXIES[proxy].executable()
        elif not os.access(nginx_binary, os.X_OK):
            raise MachineError(invalid("--nginx", str(nginx_binary), "an executable file"))
        elif proxy != "nginx":
            raise MachineError(invalid("--nginx", str(nginx_binary), f"none with edge.proxy = {proxy!r}"))
        if scenario.edge.nginx_conf:
            own_nginx.check(scenario, nginx_binary)

    def fitted(self, scenario: Scenario) -> Scenario:
        """As it is: the generator decides."""
        return scenario

    async def start(self, stops: AsyncExitStack, wanted: Wanted) -> Parts:
        """Starts services, pods, publisher, proxy and generator."""
        scenario = wanted.scenario
        gateway = nginx = publisher = None
        helpers: list[KeptProgram] = []
        if not scenario.target.url:
            host = kind_of(scenario).host(
                port=scenario.edge.port or machine.free_ports(1)[0],
                directory=wanted.directory / "nginx",
                cores=self._cores.stack,
                binary=wanted.nginx_binary,
            )
            if scenario.edge.tls or scenario.edge.nginx_conf:
                host.private = Path(stops.enter_context(TemporaryDirectory(prefix="reconnect-storm-")))
            hosts = LocalPodHosts(self._cores.stack)
            services = (
                await start_services(stops, wanted, self._cores.stack) if scenario.own_gateway else None
            )
            gateway, nginx = await start_own(
                stops,
                wanted,
                hosts,
                host,
                sidecars=self._sidecars(wanted),
                values=services.values if services else {},
                cores=self._cores.stack,
            )
            if services:
                helpers = services.children
                publisher = await start_publisher(stops, wanted, services, gateway, self._cores.stack)
        # The generator's clients come at once.
        tls_costs = await nginx.handshake_costs() if nginx else None
        generator = await start_generator(
            stops,
            wanted,
            self._url(scenario, nginx),
            self._cores.generator,
            ca_file=nginx.ca_file if nginx else "",
        )
        meter = LocalCpu(gateway, nginx, generator, self._cores, helpers=helpers, publisher=publisher)
        return Parts(gateway, nginx, generator, meter, publisher, tls_costs)

    def _url(self, scenario: Scenario, nginx: Proxy | None) -> str:
        """Where the proxy of this run is, if there is one."""
        return nginx.url + scenario.gateway.path if nginx else ""

    def _sidecars(self, wanted: Wanted) -> Sidecars | None:
        if wanted.scenario.mesh.sidecar == "none":
            return None
        return Sidecars(
            wanted.scenario,
            epoch_ns=wanted.epoch_ns,
            directory=wanted.directory / "sidecars",
            cores=self._cores.stack,
            watch=wanted.watch,
            on_line=wanted.on_sidecar,
        )

"""The services that a gateway needs, and the command that prepares it; all before the first pod."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from scenarios.host.machine import free_ports
from scenarios.host.process import StackError, Watch, last_lines, telling
from scenarios.programs.kept import KeptProgram, start_kept
from scenarios.programs.placeholders import Invocation, invocation
from scenarios.programs.readiness import answers, takes_connections
from scenarios.scenario.model import Scenario
from scenarios.scenario.program import Program, Service

_POLL_S = 0.05
_PROBE_TIMEOUT_S = 5.0
HERE: Mapping[str, str | int | float] = {"host": "127.0.0.1"}
"""Placeholders of a scenario without services."""


class Services:
    """The running services of a run. directory: for their logs."""

    def __init__(
        self, scenario: Scenario, *, directory: Path, watch: Watch, cores: tuple[int, ...] = ()
    ) -> None:
        self.children: list[KeptProgram] = []
        self.values: dict[str, str | int | float] = dict(HERE)
        """Placeholders that stand for the services' ports, for all other programs."""
        self._scenario = scenario
        self._directory = directory
        self._watch = watch
        self._cores = cores

    async def start(self, http: aiohttp.ClientSession) -> None:
        """Starts one after the other, each once the one before is ready. Raises StackError."""
        scenario = self._scenario
        if scenario.service:
            self._directory.mkdir()
        ports = free_ports(len(scenario.service))
        for service, free_port in zip(scenario.service, ports, strict=True):
            port = service.port or free_port
            self.values[f"{service.name}.port"] = port
            await self._start_one(service, port, http)

    async def stop(self) -> None:
        """Ends them, the last one first."""
        while self.children:
            child = self.children.pop()
            self._watch.release(child)
            await child.stop()

    async def _start_one(self, service: Service, port: int, http: aiohttp.ClientSession) -> None:
        child = await start_kept(
            f"service {service.name}",
            service,
            invocation(service, {**self.values, "port": port}, environment={"PORT": str(port)}),
            folder=Path(self._scenario.folder),
            log=self._directory / f"{service.name}.log",
            cores=self._cores,
        )
        self.children.append(child)

        async def is_ready() -> bool:
            if service.ready_path:
                return await answers(http, f"http://127.0.0.1:{port}{service.ready_path}", _PROBE_TIMEOUT_S)
            return await takes_connections(port, _PROBE_TIMEOUT_S)

        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + service.start_timeout_s
        while not await is_ready():
            if error := child.ended():
                raise error
            if loop.time() > deadline_s:
                raise StackError(
                    f"service {service.name} was not ready on port {port} within"
                    f" {service.start_timeout_s:g} s; see {child.log}"
                )
            await asyncio.sleep(_POLL_S)
        self._watch.over(child)


async def run_setup(scenario: Scenario, called: Invocation, *, log: Path) -> None:
    """Runs the set-up command of the gateway to its end, without a time limit. Raises StackError."""
    gateway = scenario.gateway
    program = Program(command=gateway.setup, directory=gateway.directory, environment=gateway.environment)
    child = await start_kept("the set-up command", program, called, folder=Path(scenario.folder), log=log)
    try:
        await child.wait()
    finally:
        await child.kill()
    if child.keeper.returncode:
        said = last_lines(log, 30)
        raise StackError(
            f"gateway.setup failed ({child.how_it_ended}); {log}: {telling(said) if said else '(empty)'}"
        )

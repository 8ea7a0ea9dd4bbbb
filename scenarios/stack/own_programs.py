"""Starts the user's programs beside the pods: services and the set-up command before, the publisher after."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from scenarios.host.machine import MachineError
from scenarios.host.process import is_there
from scenarios.programs.placeholders import Invocation, invocation
from scenarios.programs.publisher import Publisher
from scenarios.programs.services import HERE, Services, run_setup
from scenarios.scenario.model import Scenario
from scenarios.scenario.own_gateway import programs
from scenarios.scenario.program import words_of
from scenarios.stack.gateway import Gateway
from scenarios.stack.parts import Wanted

_FIRST_LOOK_S = 0.2
_PREPARED: set[tuple[object, ...]] = set()
"""Set-up commands that this process has run, with their folders and variables: a comparison starts the same
gateway many times. A service on another port is another variable."""


def check_programs(scenario: Scenario) -> None:
    """Raises MachineError where a folder or a program does not exist; nothing is started by then."""
    commands = {f"{place}.command": program for place, program in programs(scenario).items()}
    for key, program in commands.items():
        words = words_of(program.command)
        folder = Path(scenario.folder) / program.directory
        if not words:
            continue
        if not folder.is_dir():
            raise MachineError(f"{key}: cannot be started: the folder {folder} does not exist")
        if not is_there(words[0], folder) and not scenario.gateway.setup:
            where = folder if "/" in words[0] else "the PATH"
            raise MachineError(f"{key}: {words[0]} was not found; looked in {where}")


async def start_services(stops: AsyncExitStack, wanted: Wanted, cores: tuple[int, ...]) -> Services:
    """Runs the set-up command, the first time, and starts the services. Raises StackError."""
    scenario = wanted.scenario
    services = Services(scenario, directory=wanted.directory / "services", watch=wanted.watch, cores=cores)
    stops.push_async_callback(services.stop)
    async with aiohttp.ClientSession() as http:
        await services.start(http)
    await set_up(scenario, services.values, log=wanted.directory / "setup.log")
    return services


async def set_up(scenario: Scenario, values: Mapping[str, str | int | float] = HERE, *, log: Path) -> None:
    """Runs the set-up command, if there is one and this process has not run it before. Raises StackError.

    values: the placeholders that stand for services' ports.
    """
    if not scenario.gateway.setup:
        return
    called = _set_up_call(scenario, values)
    if (once := _once(scenario, called)) not in _PREPARED:
        await run_setup(scenario, called, log=log)
        _PREPARED.add(once)


def take_as_set_up(scenario: Scenario) -> None:
    """The set-up command of a scenario without services has been run before, by another process."""
    _PREPARED.add(_once(scenario, _set_up_call(scenario, HERE)))


def _set_up_call(scenario: Scenario, values: Mapping[str, str | int | float]) -> Invocation:
    gateway = scenario.gateway
    return invocation(gateway, values, environment={}, command=gateway.setup)


def _once(scenario: Scenario, called: Invocation) -> tuple[object, ...]:
    variables = tuple(sorted(called.environment.items()))
    return scenario.folder, scenario.gateway.directory, called.words, variables


async def start_publisher(
    stops: AsyncExitStack, wanted: Wanted, services: Services, gateway: Gateway, cores: tuple[int, ...]
) -> Publisher | None:
    """Starts the publisher, if the scenario has one. Raises StackError."""
    scenario = wanted.scenario
    if not scenario.feed.command:
        return None
    ports = ",".join(str(pod.host.port) for pod in gateway.pods)
    publisher = Publisher(
        scenario.feed,
        folder=Path(scenario.folder),
        log=wanted.directory / "publisher.log",
        values={**services.values, "gateway.ports": ports},
        watch=wanted.watch,
        cores=cores,
    )
    stops.push_async_callback(publisher.stop)
    await publisher.start()
    # A command that cannot work ends at once: better said now than as a feed without ticks.
    await asyncio.sleep(_FIRST_LOOK_S)
    if publisher.child is not None and (error := publisher.child.ended()):
        raise error
    return publisher

"""Where the parts of a run are to be: this machine, or the hosts that the environment names."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from scenarios.programs.commands import check_commands
from scenarios.scenario.model import Scenario
from scenarios.stack.local import LocalPlace
from scenarios.stack.parts import Place
from scenarios.stack.remote.site import GATEWAYS, site_from_environment


def check(
    scenarios: Sequence[Scenario], nginx_binary: Path | None = None, *, allow_exec: bool = False
) -> None:
    """Raises MachineError where one of them cannot be carried out; nothing is started by then.

    allow_exec: whether the user has asked for the commands of events to be run.
    """

    async def each() -> None:
        for scenario in scenarios:
            check_commands(scenario, allow_exec=allow_exec)
        for scenario, place in zip(scenarios, await _places(scenarios), strict=True):
            place.check(scenario, nginx_binary)

    asyncio.run(each())
    if site_from_environment() and any(scenario.target.url for scenario in scenarios):
        logging.getLogger(__name__).warning(
            "reconnect-storm: warning: %s: no part in a run against target.url: its clients are on this host",
            GATEWAYS,
        )


async def place_for(
    scenario: Scenario, nginx_binary: Path | None = None, *, allow_exec: bool = False
) -> Place:
    """The site that the environment names, or this machine. Raises MachineError where it will not do."""
    check_commands(scenario, allow_exec=allow_exec)
    (place,) = await _places([scenario])
    place.check(scenario, nginx_binary)
    return place


async def _places(scenarios: Sequence[Scenario]) -> list[Place]:
    """A site has no say where the target is somebody else's: all that is started then is a generator."""
    site = site_from_environment()
    here = [site is None or bool(scenario.target.url) for scenario in scenarios]
    places: list[Place] = [LocalPlace(scenario) for scenario in scenarios]
    if site is None or all(here):
        return places
    # The site's side knows this one.
    from scenarios.stack.remote.deployment import SitePlace  # noqa: PLC0415
    from scenarios.stack.remote.survey import survey  # noqa: PLC0415

    there = SitePlace(site, await survey(site))
    return [place if local else there for place, local in zip(places, here, strict=True)]

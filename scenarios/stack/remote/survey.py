"""Looks at the hosts of a site: which there are, what each can carry, and what time its clock has."""

import asyncio
import time
from collections.abc import Sequence
from typing import TypeVar

import aiohttp
import msgspec
from msgspec import Struct

from gateway_stub.protocol import TOKEN_HEADER
from scenarios.host import machine
from scenarios.host.cpu_account import boot_id
from scenarios.host.dns import Address, addresses
from scenarios.host.machine import MachineError
from scenarios.stack.remote.site import GATEWAYS, NGINX, Site
from scenarios.wire.agent import CLOCK_PATH, HOST_PATH, Clock, HostInfo, Role

EXCHANGES = 20
_ASK = aiohttp.ClientTimeout(total=5.0)

_Answer = TypeVar("_Answer", HostInfo, Clock)


class Exchange(Struct, frozen=True):
    """One question for the time: our clock before and after, theirs in between."""

    asked_ns: int
    theirs_ns: int
    answered_ns: int
    wall_ahead_ns: int = 0
    """By how much their wall clock was ahead of ours in the middle."""


class ClockDifference(Struct, frozen=True):
    """How far another host's clocks are ahead of ours; off by `error_ns` at the most."""

    ahead_ns: int
    """The monotonic one, by which everything is timed."""
    error_ns: int
    wall_ahead_ns: int = 0
    """The wall clock, by which nginx writes its logs."""


class Surveyed(Struct, frozen=True, kw_only=True):
    """A host as it was found."""

    agent: Address
    """With an IP address."""
    info: HostInfo
    clock: ClockDifference

    @property
    def here(self) -> bool:
        """Whether it shares this process's kernel, and so its cores."""
        return self.info.boot_id == boot_id()


class Survey(Struct, frozen=True, kw_only=True):
    """All hosts of a site."""

    gateways: tuple[Surveyed, ...]
    nginx: Surveyed

    @property
    def pod_cores(self) -> float | None:
        """What CPU quotas leave to a pod, on average; None where one has none."""
        quotas = [host.info.quota_cores for host in self.gateways]
        given = [quota for quota in quotas if quota is not None]
        return sum(given) / len(given) if given and len(given) == len(quotas) else None


def difference(exchanges: Sequence[Exchange]) -> ClockDifference:
    """By the quickest exchange: theirs minus the middle of ours, give or take half the round trip."""
    quickest = min(exchanges, key=lambda one: one.answered_ns - one.asked_ns)
    middle_ns = (quickest.asked_ns + quickest.answered_ns) // 2
    return ClockDifference(
        quickest.theirs_ns - middle_ns,
        (quickest.answered_ns - quickest.asked_ns + 1) // 2,
        quickest.wall_ahead_ns,
    )


def clock_here(found: ClockDifference) -> ClockDifference:
    """What a difference means between clocks of one kernel: none, unless one is in a time namespace.

    Both are the same clock where they may be, which is then known exactly.
    """
    return ClockDifference(0, 0) if abs(found.ahead_ns) <= found.error_ns else found


async def survey(site: Site) -> Survey:
    """Asks every host. Raises MachineError where one is not there, or not what it should be."""
    async with aiohttp.ClientSession(timeout=_ASK, headers={TOKEN_HEADER: site.token}) as http:
        gateways = await _found(GATEWAYS, site.gateways)
        nginx = await _found(NGINX, (site.nginx,))
        surveyed = await asyncio.gather(
            *(_look_at(http, agent, "gateway") for agent in gateways), _look_at(http, nginx[0], "nginx")
        )
    return Survey(gateways=tuple(surveyed[:-1]), nginx=surveyed[-1])


async def _found(variable: str, named: Sequence[Address]) -> list[Address]:
    found = await addresses(named)
    if not found:
        names = ", ".join(host for host, _ in named)
        raise MachineError(
            f"environment variable {variable}: cannot resolve {names}: expected names of running hosts"
        )
    return found


async def _look_at(http: aiohttp.ClientSession, agent: Address, role: Role) -> Surveyed:
    info = await _ask(http, agent, HOST_PATH, HostInfo)
    name = f"the host agent at {agent[0]}:{agent[1]}"
    if info.role != role:
        raise MachineError(f"{name}: runs {info.role}: expected {role}")
    ours = machine.versions()["reconnect-storm"]
    if info.version != ours:
        raise MachineError(f"{name}: runs version {info.version}: expected {ours}, as here")
    clock = difference([await _exchange(http, agent) for _ in range(EXCHANGES)])
    if info.boot_id == boot_id():
        clock = clock_here(clock)
    return Surveyed(agent=agent, info=info, clock=clock)


async def _exchange(http: aiohttp.ClientSession, agent: Address) -> Exchange:
    asked_ns, asked_wall_ns = time.monotonic_ns(), time.time_ns()
    answer = await _ask(http, agent, CLOCK_PATH, Clock)
    answered_ns, answered_wall_ns = time.monotonic_ns(), time.time_ns()
    wall_ahead_ns = answer.wall_ns - (asked_wall_ns + answered_wall_ns) // 2
    return Exchange(asked_ns, answer.monotonic_ns, answered_ns, wall_ahead_ns)


async def _ask(http: aiohttp.ClientSession, agent: Address, path: str, kind: type[_Answer]) -> _Answer:
    name = f"the host agent at {agent[0]}:{agent[1]}"
    try:
        async with http.get(f"http://{agent[0]}:{agent[1]}{path}") as response:
            if response.status == 403:
                raise MachineError(f"{name}: rejects the token: expected the one of the agent")
            response.raise_for_status()
            return msgspec.json.decode(await response.read(), type=kind)
    except (aiohttp.ClientError, OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise MachineError(f"{name}: no valid answer ({error or 'timeout'})") from None

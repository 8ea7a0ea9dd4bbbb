"""A scenario made small enough for a bench, with the numbers that decide about a storm kept.

Clients and pods shrink; a handshake and a tick cost more, so that N·c/P, ρ, S1 and S2 stay as they were.
Times (time-outs, delays, windows) and limits per address stay, too. What cannot be kept is said.
"""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from scenarios.fields import NameOrTable
from scenarios.limits.registry import limit
from scenarios.scenario.fleet.groups import AddressShare
from scenarios.scenario.model import Scenario
from scenarios.scenario.stability import TICK_CPU_S

FEWEST_PODS = 2
MOST_PODS = 4


class Scaled(Struct, frozen=True):
    """A smaller scenario, and what was done to it, in sentences."""

    scenario: Scenario
    clients: float
    """How many times as few clients there are."""
    sentences: tuple[str, ...]


def scaled(scenario: Scenario, most_clients: int, *, tick_cpu_s: float = TICK_CPU_S) -> Scaled:
    """The scenario with no more than so many clients, and a few pods with cpu = "occupy".

    tick_cpu_s: what a delivered tick costs the bench's own pods.
    """
    fleet, gateway = scenario.fleet, scenario.gateway
    if fleet.clients <= most_clients and gateway.pods <= MOST_PODS:
        return Scaled(scenario, 1.0, ())
    clients = min(fleet.clients, most_clients)
    pods = min(gateway.pods, MOST_PODS)
    if gateway.pods > 1:
        pods = max(pods, FEWEST_PODS)
    capacity = float(gateway.pods if gateway.cpu == "occupy" else min(gateway.pods, gateway.cores))
    fewer = fleet.clients / clients
    # Per client there is this many times as much capacity on the bench.
    richer = fewer * pods / capacity
    handshake_ms = gateway.handshake_cpu_ms * richer
    wanted_tick_us = (TICK_CPU_S * 1e6 + gateway.tick_cpu_us) * richer
    tick_us = max(0.0, wanted_tick_us - tick_cpu_s * 1e6)
    sentences = [
        f"{fleet.clients:,} clients became {clients:,}, and {gateway.pods} pods {pods}; a handshake costs "
        f"{handshake_ms:.3g} ms instead of {gateway.handshake_cpu_ms:g} ms, a tick {tick_us:.3g} µs more, so "
        "that N·c/P, ρ, S1 and S2 are the same"
    ]
    per_ip, cut = _shared_ips(fleet.clients_per_ip, clients)
    if cut:
        sentences.append(
            f"instead of {cut:,} clients behind one IP, all clients of this run are; the limit per IP is not "
            "scaled, so clients behind a shared IP recover sooner than in the whole"
        )
    return Scaled(
        replace(
            scenario,
            fleet=replace(fleet, clients=clients, clients_per_ip=per_ip),
            gateway=replace(
                gateway,
                pods=pods,
                cpu="occupy",
                handshake_cpu_ms=float(f"{handshake_ms:.4g}"),
                tick_cpu_us=float(f"{tick_us:.4g}"),
                backlog=max(1, round(gateway.backlog / richer)),
            ),
            edge=replace(scenario.edge, limit=scaled_limit(scenario.edge.limit, fewer)),
        ),
        fewer,
        tuple(sentences),
    )


def scaled_limit(spec: NameOrTable, fewer: float) -> NameOrTable:
    """The limit for so many times as few clients: a rate for all together shrinks, one per address stays."""
    if isinstance(spec, str) or spec.get("name") != "global" or spec.get("rate_per_s") is None:
        return spec
    table: dict[str, Any] = dict(spec)
    table["rate_per_s"] = max(1 / 60, float(f"{spec['rate_per_s'] / fewer:.4g}"))
    if "burst" in spec:
        table["burst"] = max(1, round(spec["burst"] / fewer))
    limit(table)
    return table


def _shared_ips(
    parts: int | tuple[AddressShare, ...], clients: int
) -> tuple[int | tuple[AddressShare, ...], int]:
    """(clients per address on the bench, the largest number that had to be cut, or 0)."""
    if isinstance(parts, int):
        return min(parts, clients), parts if parts > clients else 0
    room = [max(1, round(part.share * clients)) for part in parts]
    cut = max(
        (part.clients_per_ip for part, most in zip(parts, room, strict=True) if part.clients_per_ip > most),
        default=0,
    )
    fitted = tuple(
        replace(part, clients_per_ip=min(part.clients_per_ip, most))
        for part, most in zip(parts, room, strict=True)
    )
    return fitted, cut

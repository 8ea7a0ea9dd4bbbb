"""All clients of a modelled run: who they are, and where each of them stands."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.clients.addresses import source_address
from scenarios.clients.protocol.round_trips import ROUND_TRIPS_PER_ATTEMPT
from scenarios.scenario.fleet.groups import address_kinds
from scenarios.scenario.model import Fleet, Part
from scenarios.simulator.loop import at
from scenarios.simulator.loop.world import CLIENT
from scenarios.simulator.recorder import Cell

Ints = npt.NDArray[np.int64]

_SHORTEST_WAY = 1_000
"""Nanoseconds: an attempt that took none, and was refused, would begin again in the same moment for ever."""


class ClientTable:
    """What the fleet says of each client, in arrays of shape (count,)."""

    def __init__(self, fleet: Fleet, rng: np.random.Generator) -> None:
        count = fleet.clients
        self.count = count
        # In order, so that clients who move in step lie next to each other in memory.
        self.travel_s = ROUND_TRIPS_PER_ATTEMPT * fleet.rtt_ms / 1000 * np.sort(rng.uniform(0.5, 1.5, count))
        """From the start of an attempt until the edge sees its request."""
        self.parts = fleet.parts
        """The groups of the fleet."""
        self.address, self.cell, self.cells = seats(fleet, rng)
        self._one_source = fleet.source == "same"
        if self._one_source:
            # Whoever shares an address by the scenario, the proxy sees one for all.
            self.address[:] = 0
        self.part = np.array([cell.part for cell in self.cells])[self.cell]
        """The place of each client's group in the fleet."""
        self.polls = self._of_parts(lambda part: part.fleet.transport == "polling-upgrade")
        self.is_served = self._of_parts(lambda part: part.is_served)
        self.watchdogs = sorted(
            {
                (part.fleet.stale_after_s, part.fleet.stale_by == "age")
                for part in self.parts
                if part.fleet.stale_after_s
            }
        )
        """(seconds, by age) of all watchdogs that there are."""
        self.records = self._records()
        """What the loop has of each, and changes."""

    def _records(self) -> Any:
        records = np.zeros(self.count, CLIENT)
        records["travel"] = np.maximum(np.rint(self.travel_s * at.SECOND), _SHORTEST_WAY)
        records["address"], records["cell"] = self.address, self.cell
        records["held"] = records["before"] = records["after"] = records["pod"] = -1
        records["state"] = at.JOINED
        records["marks"] = at.FIRST + at.POLLS * self.polls + at.SERVED * self.is_served
        return records

    @property
    def state(self) -> Any:
        """Where each stands: AWAY, TRYING, JOINED or GONE."""
        return self.records["state"]

    @property
    def attempt(self) -> Any:
        """Number of the latest attempt of each."""
        return self.records["attempt"]

    @property
    def pod(self) -> Any:
        """The pod that each has a connection to; -1 without one."""
        return self.records["pod"]

    @property
    def booked(self) -> Any:
        """Of those who are away: whether the next attempt is booked."""
        return self.records["marks"] & at.BOOKED != 0

    @property
    def is_greeted(self) -> Any:
        """Whether the proxy is making the TLS handshake of each."""
        return (self.records["marks"] & at.GREETED != 0) & (self.state == at.AWAY)

    @property
    def started_s(self) -> Any:
        """When the latest attempt of each began; of one who is away, when the next one does, or asks to."""
        return self.records["started"] / at.SECOND

    def of_cells(self, value: Callable[[Part], Any]) -> Ints:
        """What the group of each cell says, as whole numbers."""
        return np.array([value(self.parts[cell.part]) for cell in self.cells], np.int64)

    def watchdog_of(self, part: Part) -> int:
        """Which of the watchdogs the clients of a group have; the last number where they have none."""
        if not part.fleet.stale_after_s:
            return len(self.watchdogs)
        return self.watchdogs.index((part.fleet.stale_after_s, part.fleet.stale_by == "age"))

    def source_address(self, number: int) -> str:
        """The address with that number, as the proxy sees it."""
        return "127.0.0.1" if self._one_source else source_address(number)

    @property
    def addresses(self) -> int:
        """How many source addresses there are."""
        return int(self.address.max()) + 1

    def _of_parts(self, value: Callable[[Part], Any]) -> Any:
        """What each client's group says, of shape (count,)."""
        return np.array([value(part) for part in self.parts])[self.part]


def seats(fleet: Fleet, rng: np.random.Generator) -> tuple[Ints, Ints, tuple[Cell, ...]]:
    """(address of each client, cell of each client, the cells); cells are mixed at random."""
    kinds = [
        (place, kind, part.share * share, Cell(place, size, part.is_served))
        for place, part in enumerate(fleet.parts)
        for kind, (share, size) in enumerate(address_kinds(part.fleet.clients_per_ip))
    ]
    cells = sorted({cell for *_, cell in kinds})
    edges = np.round(np.cumsum([share for _, _, share, _ in kinds]) * fleet.clients).astype(np.int64)
    address, cell_of = np.zeros(fleet.clients, np.int64), np.zeros(fleet.clients, np.int64)
    # Groups that do not say how many clients share an address have theirs in common.
    pools: dict[tuple[int, int, int], list[Ints]] = {}
    for (place, kind, _, cell), members in zip(
        kinds, np.split(np.arange(fleet.clients), edges), strict=False
    ):
        cell_of[members] = cells.index(cell)
        own = fleet.parts[place].own_clients_per_ip is not None
        pools.setdefault((place if own else -1, kind, cell.size), []).append(members)
    next_address = 0
    for (_, _, size), found in pools.items():
        members = found[0] if len(found) == 1 else rng.permutation(np.concatenate(found))
        address[members] = next_address + np.arange(len(members)) // size
        next_address += -(-len(members) // size)
    order = rng.permutation(fleet.clients)
    return address[order], cell_of[order], tuple(cells)

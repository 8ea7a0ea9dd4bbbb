"""All clients of a modelled run: where each of them stands, and what it waits for."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.clients import endings
from scenarios.clients.addresses import source_address
from scenarios.clients.endings import Ending
from scenarios.clients.protocol.round_trips import ROUND_TRIPS_PER_ATTEMPT
from scenarios.limits.counted import Refusal
from scenarios.policies.outcome import Transport
from scenarios.scenario.fleet.groups import address_kinds
from scenarios.scenario.model import Fleet, Part
from scenarios.simulator.recorder import Cell

_REQUESTS_OF_POLLING = 5

Ints = npt.NDArray[np.int64]

AWAY, TRYING, JOINED, GONE = 0, 1, 2, 3
"""Waiting for the next attempt, or on the way to the proxy with it; attempting there; joined; given up."""


class ClientTable:
    """Arrays with one element per client; times are seconds."""

    def __init__(self, fleet: Fleet, rng: np.random.Generator) -> None:
        count = fleet.clients
        self.count = count
        self.state = np.full(count, JOINED, np.int8)
        self.slot = np.full(count, -1, np.int32)
        """In which slot of time it has to be looked at again; negative where it has not."""
        self.due_s = np.zeros(count)
        """When: it asks whether it may begin, its request arrives at the edge, or its patience ends."""
        self.started_s = np.zeros(count)
        """When its latest attempt began; of one who is away, when the next one does, or asks to."""
        self.booked = np.zeros(count, bool)
        """Of one who is away: whether its next attempt is booked, and nobody has to be asked about it."""
        self.waking = np.zeros(count, bool)
        """Of a client that is away: whether its policy wants to be asked then, before an attempt."""
        self.attempt = np.zeros(count, np.int32)
        """Number of its latest attempt; what has an older number is about an attempt that has ended."""
        self.first = np.ones(count, bool)
        """Whether the next attempt is the first one of an outage."""
        self.policy = np.zeros(count, np.int16)
        self.path = np.zeros(count, np.int32)
        self.outage_attempts = np.zeros(count, np.int32)
        """How many delays of its path it has taken."""
        self.pod = np.zeros(count, np.int16)
        self.joined_s = np.zeros(count)
        self.held = np.full(count, -1, np.int32)
        """The newest tick that it held when its present session began, or ended."""
        self.has_tick = np.zeros(count, bool)
        """Whether it has had a tick in its present session."""
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
        part_of = np.array([cell.part for cell in self.cells])
        self.part = part_of[self.cell].astype(np.int8)
        """The place of each client's group in the fleet."""
        self.timeout_s = self._of_parts(lambda part: part.fleet.connect_timeout_s)
        self.stale_after_s = self._of_parts(lambda part: part.fleet.stale_after_s)
        """0 where no watchdog runs."""
        self.by_age = self._of_parts(lambda part: part.fleet.stale_by == "age")
        self.polls = self._of_parts(lambda part: part.fleet.transport == "polling-upgrade")
        self.is_served = self._of_parts(lambda part: part.is_served)
        self.requests = np.where(self.polls & self.is_served, _REQUESTS_OF_POLLING, 1)
        """That each makes for one attempt."""
        self.watchdogs = sorted(
            {
                (part.fleet.stale_after_s, part.fleet.stale_by == "age")
                for part in self.parts
                if part.fleet.stale_after_s
            }
        )
        """(seconds, by age) of all watchdogs that there are."""

    def cells_of(self, clients: Any) -> Ints:
        """The cell of each, of shape (n,)."""
        cells: Ints = self.cell[clients] if len(self.cells) > 1 else np.zeros(len(clients), np.int64)
        return cells

    def answered(
        self, clients: Any, status: int, retry_after_s: float | None = None
    ) -> Iterator[tuple[Any, Ending]]:
        """(places among these clients, how their attempts end that are answered with this HTTP status)."""
        polls = self.polls[clients]
        over: Transport
        for places, over in ((np.flatnonzero(~polls), "websocket"), (np.flatnonzero(polls), "polling")):
            if len(places):
                yield places, endings.answered(status, retry_after_s, over)

    def refused(self, clients: Any, refusal: Refusal) -> Iterator[tuple[Any, Ending]]:
        """(places among these clients, how their attempts end) where a limit of the proxy refuses."""
        if refusal.drop:
            yield np.arange(len(clients)), endings.RESET
        else:
            yield from self.answered(clients, refusal.status, refusal.retry_after_s or None)

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

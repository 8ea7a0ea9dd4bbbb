"""All clients of a modelled run: where each of them stands, and what it waits for."""

from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.clients.client import ROUND_TRIPS_PER_ATTEMPT
from scenarios.scenario.model import AddressShare, Fleet

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
        self.address, self.group, self.sizes = seats(fleet, rng)

    def groups_of(self, clients: Any) -> Ints:
        """The group of each, of shape (n,)."""
        groups: Ints = self.group[clients] if len(self.sizes) > 1 else np.zeros(len(clients), np.int64)
        return groups

    @property
    def addresses(self) -> int:
        """How many source addresses there are."""
        return int(self.address.max()) + 1


def seats(fleet: Fleet, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """(address of each client, group of each client, clients per address of each group).

    A group is a number of clients that share an address; groups are mixed at random.
    """
    parts = fleet.clients_per_ip
    if isinstance(parts, int):
        parts = (AddressShare(share=1.0, clients_per_ip=parts),)
    total = sum(part.share for part in parts)
    edges = np.round(np.cumsum([part.share / total for part in parts]) * fleet.clients).astype(np.int64)
    sizes = sorted({part.clients_per_ip for part in parts})
    address, group = np.zeros(fleet.clients, np.int64), np.zeros(fleet.clients, np.int64)
    begin = next_address = 0
    for part, end in zip(parts, edges.tolist(), strict=True):
        address[begin:end] = next_address + np.arange(end - begin) // part.clients_per_ip
        group[begin:end] = sizes.index(part.clients_per_ip)
        next_address += -(-(end - begin) // part.clients_per_ip)
        begin = end
    order = rng.permutation(fleet.clients)
    return address[order], group[order], np.array(sizes, np.int64)

"""What the clients of one group share in a process: target, policies, the recorder, and a cap on attempts."""

import logging
import random
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from heapq import heappop, heappush
from pathlib import Path
from time import monotonic_ns
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from scenarios.clients.addresses import Seat, proxy_header
from scenarios.clients.clock import Clock
from scenarios.clients.connection import Connection, Dial, OnData, TlsConnection, TlsMemory
from scenarios.clients.protocol.identity import Identity
from scenarios.clients.protocol.packets import Subscription
from scenarios.clients.protocol.target import Endpoint, addresses_for
from scenarios.clients.ramp import Ramp
from scenarios.clients.recorder import Recorder
from scenarios.clients.timers import LoopTimers
from scenarios.fields import invalid, share_of
from scenarios.policies.following import FollowedPolicy, Policy, PolicyError
from scenarios.scenario.model import Fleet, Part
from scenarios.scenario.validate import ScenarioError

log = logging.getLogger("reconnect_storm")

_SECOND_NS = 1_000_000_000
_FIRST_PORT = 1_024
_PORTS = 64_000


class AttemptsCap:
    """Lets so many attempts begin in a second, and sends the rest to later seconds, in order; 0 lets all."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = 0
        self._taken = 0
        # Places that were given back, by the time at which their attempts would have begun.
        self._free_ns: list[int] = []

    def wait_ns(self, now_ns: int) -> int:
        """How long an attempt that wants to begin now has to wait; its place is taken."""
        if not self._per_second:
            return 0
        current = now_ns // _SECOND_NS
        while self._free_ns:
            place_ns = heappop(self._free_ns)
            if place_ns // _SECOND_NS >= current:
                # In this second, a place is as good now as later.
                return 0 if place_ns // _SECOND_NS == current else place_ns - now_ns
        if self._second < current:
            self._second, self._taken = current, 0
        elif self._taken == self._per_second:
            self._second, self._taken = self._second + 1, 0
        place, self._taken = self._taken, self._taken + 1
        if self._second == current:
            return 0
        return self._second * _SECOND_NS + place * _SECOND_NS // self._per_second - now_ns

    def give_back(self, place_ns: int) -> None:
        """The attempt that was to begin at this time, after a wait, will not: others may have its place."""
        heappush(self._free_ns, place_ns)


def cap_of(fleet: Fleet, index: int, processes: int) -> int:
    """How many attempts may begin in a second in process number `index` of so many; 0 where there is no cap.

    Raises ScenarioError where the cap leaves this process none.
    """
    cap = fleet.max_attempts_per_s
    share = share_of(cap, index, processes)
    if cap and not share:
        needed = max(processes, index + 1)
        raise ScenarioError(
            invalid(
                "fleet.max_attempts_per_s",
                cap,
                f"0, or at least {needed}: one per second for each of {needed} generator processes",
            )
        )
    return share


class Follower(Protocol):
    """A client, as far as a pushed policy is concerned."""

    def follow(self, followed: FollowedPolicy) -> None:
        """Takes the policy now."""


class Issuer(Protocol):
    """What issues credentials."""

    @property
    def once(self) -> bool:
        """Whether a client keeps its first credentials for good."""
        ...

    @property
    def timeout_s(self) -> float:
        """How long a client waits for an answer."""
        ...

    def ask(self, client: int, take: Callable[[Identity | None], None]) -> None:
        """Calls `take` later, with None where there are no credentials; or never."""
        ...


class _Push(Struct, frozen=True, eq=False):
    """A policy on its way to the clients."""

    followed: FollowedPolicy
    from_ns: int
    reach_ns: int


class Population:
    """The surroundings of the clients of one process, or of those of one group of a mixed fleet.

    loop: gevent's event loop. part: the group, and what its clients do. source: how source addresses are
    made, as in `Fleet.source` but for `auto`. ramp: what brings the fleet up gently; without it, each client
    begins when it is started. issuer: what clients ask for credentials; without it, all say the same of
    themselves. tls_resume: share of the clients that resume their TLS sessions. Timers, recorder, cap, clock,
    ramp and issuer are those of all groups.
    """

    def __init__(
        self,
        *,
        loop: Any,
        timers: LoopTimers,
        part: Part,
        policy: Policy,
        endpoint: Endpoint,
        source: str,
        subscription: Subscription,
        recorder: Recorder,
        attempts_cap: AttemptsCap,
        clock: Clock,
        first_index: int = 0,
        ramp: Ramp | None = None,
        issuer: Issuer | None = None,
        tls_resume: float = 0.0,
    ) -> None:
        self.loop = loop
        self.part = part
        self.fleet = fleet = part.fleet
        self._followed = FollowedPolicy(policy, fleet.reset_by_scenario)
        self._push: _Push | None = None
        self.endpoint = endpoint
        self.source = source
        self.subscription = subscription
        self.recorder = recorder
        self.attempts_cap = attempts_cap
        self.ramp = ramp
        self.issuer = issuer
        self.first_index = first_index
        # Apart from the clients' own draws, and different in each process and group.
        self._moments = random.Random(f"push {fleet.seed} {first_index}{part.name}")  # noqa: S311
        self.timers = timers
        self._tls_resume = tls_resume
        self._connection = TlsConnection if endpoint.tls else Connection
        self._plain = [
            Dial(
                loop=loop,
                family=each.family,
                address=each.address,
                clock=clock,
                tls=endpoint.tls,
                server_name=endpoint.server_name,
            )
            for each in addresses_for(endpoint, source)
        ]

    def run_due_timers(self) -> None:
        """To be called after each event: timers do not wait until all sockets have been served."""
        self.timers.run_between_events()

    def note_failure(self, error: Exception) -> None:
        """Takes note of what a policy raised: it may be a module of the user's own.

        Raised into the event loop, it would leave one client after the other without a timer, and the storm
        would end for a reason that nobody sees.
        """
        if not self.recorder.client_error:
            log.error("a reconnect policy failed inside a client", exc_info=error)
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"({Path(place.filename).name}, line {place.lineno})"
            said = f"{type(error).__name__}: {error} {where}"
            # A PolicyError says by itself where it comes from.
            told = str(error) if isinstance(error, PolicyError) else said
            self.recorder.client_error = f"a reconnect policy failed inside a client: {told}"

    def note_open(self) -> None:
        """Takes note of a gateway that accepts an old protocol, which clients ask for and cannot speak."""
        if not self.part.is_served and not self.recorder.client_error:
            self.recorder.client_error = (
                f"fleet.group.{self.part.name}.protocol: invalid value 3: expected 4; the gateway accepts"
                " EIO=3, which these clients cannot speak"
            )

    def note_broken(self, reason: str) -> None:
        """Takes note of a tick of the user's own gateway that cannot be read: every client would hang up."""
        if self.ramp is not None and reason.startswith("tick: ") and not self.recorder.client_error:
            self.recorder.client_error = (
                f"the ticks of the gateway cannot be read: {reason.removeprefix('tick: ')}: expected what"
                " feed.seq_field, feed.due_field and feed.due_unit say"
            )

    def push(self, policy: Policy, reach_s: float, clients: Iterable[Follower]) -> None:
        """Gives the clients another policy, each at a moment of its own within `reach_s`; 0 means now.

        A policy that is still on its way reaches nobody any more.
        """
        self._push = push = _Push(
            FollowedPolicy(policy, self.fleet.reset_by_scenario), monotonic_ns(), int(reach_s * 1e9)
        )
        if not push.reach_ns:
            self._complete(push)
            for client in clients:
                client.follow(push.followed)
            return
        for client in clients:
            self.timers.at(self._moment_ns(push), partial(self._reach, push, client))
        self.timers.at(push.from_ns + push.reach_ns, partial(self._complete, push))

    def policy_for(self, newcomer: Follower) -> FollowedPolicy:
        """What a new client begins with; a policy on its way reaches it at a moment of its own, too."""
        push = self._push
        if push is None:
            return self._followed
        moment_ns = self._moment_ns(push)
        if moment_ns <= monotonic_ns():
            return push.followed
        self.timers.at(moment_ns, partial(self._reach, push, newcomer))
        return self._followed

    def _moment_ns(self, push: _Push) -> int:
        return push.from_ns + int(self._moments.random() * push.reach_ns)

    def _reach(self, push: _Push, client: Follower) -> None:
        if self._push is push:
            client.follow(push.followed)

    def _complete(self, push: _Push) -> None:
        if self._push is push:
            self._followed, self._push = push.followed, None

    def connection(
        self, on_open: Callable[[], None], on_data: OnData, on_error: Callable[[int], None]
    ) -> Connection:
        """A connection of the kind that the target wants, not opened yet."""
        return self._connection(on_open, on_data, on_error)

    def tls_memory(self, index: int) -> TlsMemory | None:
        """What the client with that index remembers of TLS; None where the target has none."""
        if self.endpoint.tls is None:
            return None
        # A draw of its own: the clients' other draws are the same with TLS and without.
        draw = random.Random(f"tls {self.fleet.seed} {self.first_index + index}").random()  # noqa: S311
        return TlsMemory(resumes=draw < self._tls_resume, on_handshake=self.recorder.tls_handshake)

    def dial(self, index: int, seat: Seat, memory: TlsMemory | None = None) -> Dial:
        """How the client with that index and seat opens a connection. memory: what it knows of TLS."""
        number = self.first_index + index
        plain = self._plain[number % len(self._plain)]
        if memory is not None:
            plain = replace(plain, memory=memory)
        if self.source == "bind":
            return replace(plain, bind=seat.address)
        if self.source == "proxy-protocol":
            port = _FIRST_PORT + number % _PORTS
            return replace(plain, preamble=proxy_header(seat.address, plain.address, port))
        return plain

    def headers(self, seat: Seat, identity: Identity | None = None) -> Mapping[str, str]:
        """Headers that differ from client to client."""
        own = {} if identity is None else identity.headers
        return {**own, "X-Forwarded-For": seat.address} if self.source == "x-forwarded-for" else own

    def upgrade_request(self, headers: Mapping[str, str]) -> bytes:
        """A WebSocket's first bytes; headers: what differs from client to client."""
        upgrade = self.endpoint.upgrade
        return upgrade.upgrade(extra=headers) if headers else upgrade.request

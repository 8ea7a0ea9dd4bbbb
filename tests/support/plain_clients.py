"""Clients as `scenarios/clients/client.py` has them, without sockets: a heap of events, one client at a time.

The policies are asked as real clients ask theirs.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, repeat

from scenarios.policies.following import FollowedPolicy, Policy
from scenarios.policies.orders import Attempt, Order, Stop, Told, Wait
from scenarios.policies.outcome import SHORTEST_SESSION_S, Outcome, OutcomeKind

ENDED = {
    "reset": Outcome(kind=OutcomeKind.CLOSED),
    "refused": Outcome(kind=OutcomeKind.REFUSED),
    "timeout": Outcome(kind=OutcomeKind.TIMEOUT),
}


def listed(rng: random.Random, waits_s: list[float]) -> Iterator[float]:
    """A policy of a user's own: these delays, and no more."""
    yield from waits_s


def of_any_length(rng: random.Random) -> Iterator[float]:
    """Another one, which ends sooner or later; the number is drawn before the first delay."""
    number = rng.randrange(200)
    return repeat(0.5, number)


def drawn_late(rng: random.Random, first: int) -> Iterator[float]:
    """Another one, which draws nothing for so many delays."""
    yield from repeat(1.0, first)
    while True:
        yield rng.random()


def listening(rng: random.Random, *, patience: int = 6) -> Told:
    """A policy that is told outcomes: it waits long after a time-out, and stops after some failures."""
    outcome = yield
    failures = 0
    while failures < patience:
        failures = 0 if outcome.had_session else failures + 1
        long = outcome.kind is OutcomeKind.TIMEOUT
        woken = yield Wait(0.613 if long else 0.211)
        outcome = yield 0.1 if woken.kind is OutcomeKind.WOKEN else 3600.0


def discouraged(rng: random.Random) -> Iterator[float]:
    """A policy that stops for good at the first time-out."""
    return repeat(0.377)


discouraged.stops_on = {"timeout"}  # type: ignore[attr-defined]


class PlainCap:
    """So many places a second, numbered from second 0 on; whoever asks gets the first one that is free."""

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self._next = 0
        self._given_back: set[int] = set()

    def take(self, second: int) -> int:
        self._given_back = {place for place in self._given_back if place >= second * self.per_second}
        if self._given_back:
            place = min(self._given_back)
            self._given_back.remove(place)
            return place
        place = max(self._next, second * self.per_second)
        self._next = place + 1
        return place

    def give_back(self, place: int) -> None:
        self._given_back.add(place)


class PlainWorld:
    """A gateway that is `up`, `down` or `silent`, and its clients, all of them joined at the beginning.

    When it is up, whoever arrives has joined; when it is down, is refused; when it is silent, waits.
    """

    def __init__(
        self, policy: Policy, *, travel_s: list[float], timeout_s: float, cap: int, horizon_s: float
    ) -> None:
        self.now_s = 0.0
        self.mode = "up"
        self.timeout_s = timeout_s
        self.cap = PlainCap(cap) if cap else None
        self.starts: list[float] = []
        self.outcomes: Counter[str] = Counter()
        self.gave_up: Counter[str] = Counter()
        self.held_back = 0
        self._horizon_s = horizon_s
        self._numbers = count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        followed = FollowedPolicy(policy)
        self.clients = [PlainClient(self, followed, travel) for travel in travel_s]

    def at(self, t_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (t_s, next(self._numbers), act))

    def run(self) -> None:
        while self._heap and self._heap[0][0] < self._horizon_s:
            self.now_s, _, act = heapq.heappop(self._heap)
            act()

    def become(self, mode: str) -> None:
        self.mode = mode
        for client in self.clients:
            if mode == "down" and client.joined:
                client.lost()
            elif client.arrived and mode != "silent":
                client.ended("joined" if mode == "up" else "reset")

    def drop(self) -> None:
        for client in self.clients:
            if client.joined:
                client.lost()

    def push(self, policy: Policy, moments_s: list[float]) -> None:
        """Each takes the policy at its moment, unless another one is pushed before."""
        self._followed = followed = FollowedPolicy(policy)

        def reach(client: "PlainClient") -> None:
            if self._followed is followed:
                client.follow(followed)

        for client, moment_s in zip(self.clients, moments_s, strict=True):
            self.at(moment_s, lambda client=client: reach(client))  # type: ignore[misc]

    @property
    def under_way(self) -> int:
        return sum(client.started_s is not None for client in self.clients)

    @property
    def connected(self) -> int:
        return sum(client.joined for client in self.clients)


class PlainClient:
    """One of them, waiting for one thing at a time."""

    def __init__(self, world: PlainWorld, followed: FollowedPolicy, travel_s: float) -> None:
        self.world, self.travel_s = world, travel_s
        self.joined, self.arrived = True, False
        self.started_s: float | None = None
        self._first = True
        self._timer = 0
        self._place: int | None = None
        self._rng = random.Random(1)
        self._joined_s = 0.0
        self._follow_from_now(followed)

    def _follow_from_now(self, followed: FollowedPolicy) -> None:
        self._followed = followed
        self._course = followed.course(self._rng)

    def follow(self, followed: FollowedPolicy) -> None:
        if self.started_s is not None:
            self._count("abandoned")
        if self._place is not None and self.world.cap is not None:
            self.world.cap.give_back(self._place)
            self._place = None
        self._course.abandoned(self.world.now_s)
        self._follow_from_now(followed)
        if not self.joined:
            self._cancel()
            self._obey(self._course.pushed(first=self._first, at_s=self.world.now_s))

    def lost(self) -> None:
        self.joined, self._first = False, True
        session_s = max(self.world.now_s - self._joined_s, SHORTEST_SESSION_S)
        self._come_back(ENDED["reset"], session_s)

    def ended(self, outcome: str) -> None:
        self._count(outcome)
        if outcome == "joined":
            self.joined, self._joined_s = True, self.world.now_s
            self._cancel()
            if self._followed.reset == "open":
                self._course.start_over()
            self._course.joined(self.world.now_s)
        else:
            self._come_back(ENDED[outcome], 0.0)

    def _come_back(self, ended: Outcome, session_s: float) -> None:
        self._cancel()
        self._obey(self._course.after(ended, session_s, self.world.now_s))

    def _obey(self, order: Order) -> None:
        match order:
            case Stop(reason):
                self.world.gave_up[reason] += 1
            case Wait(seconds):
                self._at(self.world.now_s + seconds, self._wake)
            case Attempt():
                self._ask()
            case delay_s:
                self._at(self.world.now_s + delay_s, self._ask)

    def _wake(self) -> None:
        self._obey(self._course.woken(self.world.now_s))

    def _ask(self) -> None:
        world = self.world
        if world.cap is not None:
            second = int(world.now_s)
            place = world.cap.take(second)
            if place >= (second + 1) * world.cap.per_second:
                world.held_back += 1
                self._place = place
                self._at(place / world.cap.per_second, self._begin)
                return
        self._begin()

    def _begin(self) -> None:
        self._place = None
        self._first, self.started_s = False, self.world.now_s
        self.world.starts.append(self.world.now_s)
        self._at(self.started_s + self.travel_s, self._arrive)

    def _arrive(self) -> None:
        if self.world.mode == "silent":
            self.arrived = True
            assert self.started_s is not None
            self._at(self.started_s + self.world.timeout_s, lambda: self.ended("timeout"))
        else:
            self.ended("joined" if self.world.mode == "up" else "refused")

    def _count(self, outcome: str) -> None:
        self.world.outcomes[outcome] += 1
        self.started_s, self.arrived = None, False

    def _cancel(self) -> None:
        self._timer += 1

    def _at(self, t_s: float, act: Callable[[], None]) -> None:
        self._cancel()
        timer = self._timer
        self.world.at(t_s, lambda: act() if self._timer == timer else None)

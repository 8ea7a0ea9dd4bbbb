"""One client's way through its policy: outcomes in, orders out.

Clients, simulator and figures ask a policy through this alone. For a policy that ignores outcomes it is one
`next()`.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from msgspec.structs import replace

from scenarios.fields import invalid
from scenarios.policies.orders import POLICY_ENDED, Attempt, Order, Stop, Wait
from scenarios.policies.outcome import (
    SHORTEST_SESSION_S,
    Outcome,
    OutcomeKind,
    Reset,
    Sees,
    as_seen,
)

_END = object()
_PUSHED = Outcome(kind=OutcomeKind.ABANDONED)


class PolicyError(ValueError):
    """An unknown policy, invalid parameters, or an invalid order of a policy."""


class Policy(Protocol):
    """Delays before each attempt, and what changes them."""

    def delays(self, rng: random.Random) -> Iterator[float]:
        """Delays in seconds, the first of them before attempt 0; at their end the client stops for good.

        A generator that begins with a bare `yield` is told outcomes, and may yield other orders, too.
        """
        ...

    def for_clients(self) -> Callable[[], "Policy"]:
        """What gives each client of a process the policy that it follows.

        State that all of them share is made here, state of one client by each call.
        """
        ...

    @property
    def reset(self) -> Reset:
        """When it starts over, unless the scenario says it."""
        ...

    @property
    def stops_on(self) -> frozenset[OutcomeKind]:
        """After these the client stops for good."""
        ...

    @property
    def sees(self) -> Sees:
        """What the client can read of an outcome."""
        ...


class Course:
    """One client that follows a policy; the policy is one of `for_clients`."""

    __slots__ = ("_asked_of_join", "_delays", "_over", "_policy", "_rng", "_sees", "_stops_on", "_told")

    def __init__(self, policy: Policy, rng: random.Random) -> None:
        self._policy, self._rng = policy, rng
        self._stops_on, self._sees = policy.stops_on, policy.sees
        self._begin()

    def _begin(self) -> None:
        self._delays: Any = iter(self._policy.delays(self._rng))
        self._told = self._over = self._asked_of_join = False

    def start_over(self) -> None:
        """The back-off resets: the next delay is the first one of a new iterator."""
        self._over = True

    def is_told(self) -> bool:
        """Whether the policy is told outcomes. Of one that is not, this takes the first delay."""
        if not self._told:
            self._told = next(self._delays, _END) is None
        return self._told

    def after(self, ended: Outcome, session_s: float, at_s: float) -> Order:
        """What to do now that an attempt has failed, or a session of that length has ended.

        ended: the whole truth about it, without length and time.
        """
        order: Any = None
        seen = None
        if self._told:
            seen = self._as_told(ended, session_s, at_s)
            order = self._tell(seen, ended.kind)
            if type(order) is Stop:
                return order
        if self._stops_on and as_seen(ended, self._sees).kind in self._stops_on:
            self._asked_of_join = False
            return Stop(ended.kind)
        if self._over:
            self._begin()
            order = None
        if order is None:
            order = next(self._delays, _END)
            if order is None:
                self._told = True
                return self._tell(seen or self._as_told(ended, session_s, at_s), ended.kind)
            if order is _END:
                return Stop(POLICY_ENDED)
        return order  # type: ignore[no-any-return]

    def pushed(self, *, first: bool, at_s: float) -> Order:
        """What to do first; the policy was pushed. first: no attempt was made since the last session."""
        return self.after(_PUSHED, SHORTEST_SESSION_S if first else 0.0, at_s)

    def woken(self, at_s: float) -> Order:
        """What to do now that the time of a `Wait` is over."""
        return self._tell(Outcome(kind=OutcomeKind.WOKEN, at_s=at_s), POLICY_ENDED)

    def joined(self, at_s: float) -> None:
        """The attempt has made a session."""
        if self._asked_of_join:
            self._asked_of_join = False
            answer = self._delays.send(Outcome(kind=OutcomeKind.JOINED, at_s=at_s))
            if answer is not None:
                raise PolicyError(invalid("answer of a policy to a join", answer, "a bare yield"))

    def abandoned(self, at_s: float) -> None:
        """The client leaves the policy."""
        if self._asked_of_join:
            # Its answer has no effect.
            self._tell(Outcome(kind=OutcomeKind.ABANDONED, at_s=at_s), POLICY_ENDED)
            self._asked_of_join = False

    def _as_told(self, ended: Outcome, session_s: float, at_s: float) -> Outcome:
        return replace(as_seen(ended, self._sees), session_s=session_s, at_s=at_s)

    def _tell(self, outcome: Outcome, reason: str) -> Order:
        self._asked_of_join = False
        try:
            order: Any = self._delays.send(outcome)
        except StopIteration:
            return Stop(reason)
        if order is None:
            raise PolicyError(invalid("answer of a policy to an outcome", order, "a delay, a Wait or an end"))
        self._asked_of_join = type(order) is Attempt
        return order  # type: ignore[no-any-return]


class FollowedPolicy:
    """A policy for the clients of one process. reset: the scenario's, where it overrides the policy's."""

    def __init__(self, policy: Policy, reset: Reset | None = None) -> None:
        self.policy = policy
        self.reset: Reset = policy.reset if reset is None else reset
        self._for_client = policy.for_clients()

    def course(self, rng: random.Random) -> Course:
        """The way of a client that begins to follow the policy."""
        return Course(self._for_client(), rng)


def delays_if_all_fail(policy: Policy, rng: random.Random) -> Iterator[float]:
    """The delays of a client that loses its session, and then every attempt by a time-out.

    What a policy waits for in several steps counts as one delay. Throttles are left out.
    """
    course = Course(policy, rng)
    order = course.after(Outcome(kind=OutcomeKind.CLOSED), 60.0, 0.0)
    at_s = waited_s = 0.0
    while type(order) is not Stop:
        if type(order) is Wait:
            waited_s += order.seconds
            order = course.woken(at_s + waited_s)
            continue
        delay_s = waited_s + (0.0 if type(order) is Attempt else float(order))  # type: ignore[arg-type]
        yield delay_s
        at_s, waited_s = at_s + delay_s, 0.0
        order = course.after(Outcome(kind=OutcomeKind.TIMEOUT), 0.0, at_s)

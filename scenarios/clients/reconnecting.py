"""A client between two attempts: its policy, its only timer, and the cap on attempts.

    an end ──► policy ──► a delay ──► the cap ──► the attempt begins
                 ▲ │ a wait
                 └─┘

A policy may be a module of the user's own, so everything that it does is guarded.
"""

import math
import random
from collections.abc import Callable
from time import monotonic_ns

from scenarios.clients.population import Population
from scenarios.clients.timers import Timer, cancel
from scenarios.policies.following import Course, FollowedPolicy
from scenarios.policies.orders import POLICY_ENDED, Attempt, Order, Stop, Wait
from scenarios.policies.outcome import SHORTEST_SESSION_S, Outcome


class Reconnecting:
    """What a client does until its next attempt begins; `_begin_admitted_attempt` begins it."""

    __slots__ = (
        *("_course", "_first", "_index", "_place_ns", "_population", "_recorder", "_reset", "_rng"),
        *("_stopped", "_timer", "_wanted_ns"),
    )

    def __init__(self, population: Population, index: int) -> None:
        self._population = population
        self._recorder = population.recorder
        self._index = index
        # Clients draw apart, so that one client's number of attempts does not shift the others' delays.
        self._rng = random.Random((population.fleet.seed << 32) + population.first_index + index)  # noqa: S311
        self._timer: Timer | None = None
        self._course: Course | None = None
        self._first = True
        self._wanted_ns = 0
        # When an attempt may begin that the cap makes wait; 0 where none does.
        self._place_ns = 0
        self._stopped = False

    @property
    def population(self) -> Population:
        """Its surroundings."""
        return self._population

    def _begin_admitted_attempt(self) -> None:
        raise NotImplementedError

    # -- the policy ---------------------------------------------------------------------------------

    def _follow_from_now(self, followed: FollowedPolicy) -> None:
        self._reset = followed.reset
        self._course = None
        try:
            self._course = followed.course(self._rng)
        except Exception as error:
            self._population.note_failure(error)

    def _start_policy_over(self) -> None:
        if self._course is not None:
            self._course.start_over()

    def _come_back_after(self, ended: Outcome, session_s: float = 0.0) -> None:
        """An attempt has failed, or a session of that length has ended."""
        self._obey(lambda course, at_s: course.after(ended, session_s, at_s))

    def _come_back_by_push(self) -> None:
        self._obey(lambda course, at_s: course.pushed(first=self._first, at_s=at_s))

    def _wake(self) -> None:
        self._obey(lambda course, at_s: course.woken(at_s))

    def _obey(self, ask: Callable[[Course, float], Order]) -> None:
        """Does what the policy says; one that failed says nothing, and its client stops."""
        if self._stopped:
            return
        now_ns = monotonic_ns()
        try:
            if self._course is not None:
                self._do(ask(self._course, now_ns / 1e9), now_ns)
                return
        except Exception as error:
            self._population.note_failure(error)
        self._recorder.gave_up_after(self._index, POLICY_ENDED)

    def _do(self, order: Order, now_ns: int) -> None:
        if type(order) is Stop:
            # Without a timer: only a pushed policy brings it back.
            self._recorder.gave_up_after(self._index, order.reason)
        elif type(order) is Wait:
            # Rounded up: asked a nanosecond too early, a throttle would say no once more.
            self._at(now_ns + math.ceil(order.seconds * 1e9), self._wake)
        else:
            delay_s = 0.0 if type(order) is Attempt else order
            self._wanted_ns = now_ns + int(delay_s * 1e9)  # type: ignore[operator]
            self._at(self._wanted_ns, self._ask_cap)

    def _tell_policy_of_join(self) -> None:
        self._tell(Course.joined)

    def _leave_policy(self) -> None:
        """Of an attempt that is under way, or that the cap makes wait, the policy hears that it is over."""
        place_ns, self._place_ns = self._place_ns, 0
        if place_ns:
            # Others may have its place.
            self._population.attempts_cap.give_back(place_ns)
        self._tell(Course.abandoned)

    def _tell(self, what: Callable[[Course, float], None]) -> None:
        """Tells the policy something that asks for no order."""
        try:
            if self._course is not None:
                what(self._course, monotonic_ns() / 1e9)
        except Exception as error:
            self._population.note_failure(error)

    # -- the cap ------------------------------------------------------------------------------------

    def _ask_cap(self) -> None:
        now_ns = monotonic_ns()
        wait_ns = self._population.attempts_cap.wait_ns(now_ns)
        if wait_ns:
            self._recorder.held_back += 1
            self._wanted_ns = self._place_ns = now_ns + wait_ns
            self._at(self._wanted_ns, self._begin_admitted_attempt)
        else:
            self._begin_admitted_attempt()

    def _at(self, due_ns: int, callback: Callable[[], None]) -> None:
        cancel(self._timer)
        self._timer = self._population.timers.at(due_ns, callback)


def lasted_s(since_ns: int, now_ns: int) -> float:
    """The length of a session, which is never 0."""
    return max((now_ns - since_ns) / 1e9, SHORTEST_SESSION_S)

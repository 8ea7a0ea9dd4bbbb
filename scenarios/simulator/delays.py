"""Delays of many clients at once, drawn by the very policies that the real clients follow.

A policy is an iterator of delays. Many iterators are run, each for as many attempts as any client makes: a
table of paths. A client whose back-off starts over draws a path and then takes one delay after the other from
it, so that delays that depend on each other, as those of decorrelated jitter do, still do. Who follows a
policy that ends gives up where its path does.
"""

import random
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.policies.following import Course, FollowedPolicy, Policy
from scenarios.policies.outcome import Outcome, as_seen

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TRIES = 48
"""For so many attempts each path is run beforehand; it goes on as soon as somebody has come so far."""


class DelayPaths:
    """A table of delays in seconds, a row a path; NaN from where on the policy gives up."""

    def __init__(self, policy: Policy, *, paths: int, seed: int) -> None:
        self.policy = policy
        rng = random.Random(f"paths {seed}")  # noqa: S311
        self._iterators = [policy.delays(rng) for _ in range(paths)]
        self.table = np.empty((paths, 0))
        self._extend(TRIES)

    def draw(self, rng: np.random.Generator, count: int) -> Any:
        """The paths of `count` clients that start over, of shape (count,)."""
        return rng.integers(0, len(self.table), count, dtype=np.int32)

    def delays_s(self, paths: Any, attempts: Any) -> Floats:
        """The delay before attempt number `attempts` on each path; NaN where the client gives up."""
        last = int(attempts.max(initial=0))
        if last >= self.table.shape[1]:
            self._extend(max(last + 1, 2 * self.table.shape[1]))
        delays: Floats = self.table[paths, attempts]
        return delays

    def _extend(self, attempts: int) -> None:
        """Lets every path go on up to so many attempts."""
        done = self.table.shape[1]
        table = np.full((len(self.table), attempts), np.nan)
        table[:, :done] = self.table
        for row, iterator in zip(table, self._iterators, strict=True):
            delays = list(islice(iterator, attempts - done))
            row[done : done + len(delays)] = delays
        self.table = table


class Followers:
    """The clients that follow one policy: on paths of a table, or each on a course of its own."""

    def __init__(self, followed: FollowedPolicy, *, paths: int, seed: int, draws: random.Random) -> None:
        self.reset = followed.reset
        self._stops_on, self._sees = followed.policy.stops_on, followed.policy.sees
        self._followed, self._draws = followed, draws
        self._courses: dict[int, Course] = {}
        first = followed.course(draws)
        self.is_told = first.is_told()
        self._spare = first if self.is_told else None
        self.paths = None if self.is_told else DelayPaths(followed.policy, paths=paths, seed=seed)

    def stops_on(self, ended: Outcome) -> bool:
        """Whether what has ended like this stops the clients for good."""
        return bool(self._stops_on) and as_seen(ended, self._sees).kind in self._stops_on

    def course(self, client: int) -> Course:
        """That client's way through the policy."""
        course = self._courses.get(client)
        if course is None:
            course = self._courses[client] = self._spare or self._followed.course(self._draws)
            self._spare = None
        return course

    def start_over(self, clients: Any) -> None:
        """The back-off of these clients resets; each has a course."""
        for client in clients.tolist():
            if course := self._courses.get(client):
                course.start_over()

    def joined(self, client: int, at_s: float) -> None:
        """The client's attempt has made a session."""
        if course := self._courses.get(client):
            course.joined(at_s)

    def leave(self, client: int, at_s: float) -> None:
        """The client follows another policy from now on."""
        if course := self._courses.pop(client, None):
            course.abandoned(at_s)

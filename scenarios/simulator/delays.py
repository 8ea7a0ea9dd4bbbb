"""Delays of many clients at once, drawn by the very policies that the real clients follow.

A policy is an iterator of delays. Many iterators are run, each for as many attempts as any client makes: a
table of paths. A client whose back-off starts over draws a path and then takes one delay after the other from
it, so that delays that depend on each other, as those of decorrelated jitter do, still do. Who follows a
policy that ends gives up where its path does. A path has 2,048 delays at the most; then its second half comes
again.
"""

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.policies.following import Course, FollowedPolicy, Policy
from scenarios.policies.outcome import Outcome, as_seen

Whole = npt.NDArray[np.int64]

TRIES = 16
"""For so many attempts each path is run beforehand; it goes on as soon as somebody has come so far."""

ENDED = -1
"""In the place of a delay from where on the policy gives up."""

_LONGEST_S = 1e8
_NANOSECONDS = 1e9


class DelayPaths:
    """A table of delays in nanoseconds, a row a path; one for all as long as nothing is drawn for them."""

    def __init__(self, policy: Policy, *, paths: int, seed: int) -> None:
        self._policy, self._paths = policy, paths
        self._rng = random.Random(f"paths {seed}")  # noqa: S311
        self._undrawn = self._rng.getstate()
        self.are_one = True
        """Whether all paths are the same so far."""
        self._iterators = [policy.delays(self._rng) for _ in range(min(2, paths))]
        self.table: Whole = np.empty((1, 0), np.int64)
        self.extend(TRIES)

    def extend(self, attempts: int) -> None:
        """Lets every path go on up to so many attempts."""
        done = self.table.shape[1]
        found = [_delays(iterator, attempts - done) for iterator in self._iterators]
        if self.are_one and (self._rng.getstate() != self._undrawn or (found[0] != found[-1]).any()):
            self.are_one = False
            more = [self._path_from(done) for _ in range(len(found), self._paths)]
            found += [_delays(iterator, attempts - done) for iterator in more]
            self._iterators += more
            self.table = np.tile(self.table, (self._paths, 1))
        if self.are_one:
            del found[1:]
        self.table = np.concatenate((self.table, np.stack(found)), axis=1)

    def _path_from(self, done: int) -> Iterator[float]:
        """One more path, of which so many delays are known."""
        return islice(self._policy.delays(self._rng), done, None)


def _delays(iterator: Iterator[float], count: int) -> Whole:
    """The next delays of a path, in nanoseconds."""
    found = np.full(count, ENDED, np.int64)
    some = np.fromiter(islice(iterator, count), np.float64)
    found[: len(some)] = np.rint(np.clip(some, 0, _LONGEST_S) * _NANOSECONDS)
    return found


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

    def start_over(self, client: int) -> None:
        """The back-off of this client resets."""
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


def no_rows(count: int = 0) -> Any:
    """Rows of an order to the loop, int64 of shape (count, 3)."""
    return np.zeros((count, 3), np.int64)


def rows_of(numbers: Any) -> Any:
    """Such rows, with these numbers in front."""
    rows = no_rows(len(numbers))
    rows[:, 0] = numbers
    return rows

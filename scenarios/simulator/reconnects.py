"""The policies of a modelled run: their tables in the loop, and those that are asked client by client."""

import random
from typing import Any

import numpy as np

from scenarios.clients.endings import Ending
from scenarios.policies.following import FollowedPolicy, Policy
from scenarios.policies.orders import Attempt, Order, Stop, Wait
from scenarios.scenario.model import Fleet
from scenarios.simulator.delays import Followers
from scenarios.simulator.known_endings import KnownEndings
from scenarios.simulator.loop import at

_PATHS = 4_096
MOST_POLICIES = 256
"""That a run may have."""
_RESETS = {"open": at.ON_OPEN, "joined": at.ON_JOIN, "never": at.ON_NOTHING}
_S = 1 / at.SECOND

Rows = list[tuple[int, int, int]]


class Reconnects:
    """Who follows which policy. endings: the table of endings, by which policies that stop are told apart.

    rows, stops: what the loop reads of each policy, and whether it ends at each ending.
    """

    def __init__(self, fleet: Fleet, endings: KnownEndings, rows: Any, stops: Any) -> None:
        self._fleet, self._endings = fleet, endings
        self._rows, self._stops = rows, stops
        self._draws = random.Random(fleet.seed)  # noqa: S311
        self._followers: list[Followers] = []

    def add(self, policy: Policy, fleet: Fleet) -> int:
        """The number of a policy that clients of a fleet are to follow."""
        number = len(self._followers)
        if number == MOST_POLICIES:
            raise ValueError(f"{number} policies pushed in one run: expected fewer")
        paths = min(_PATHS, max(64, self._fleet.clients))
        followed = FollowedPolicy(policy, fleet.reset_by_scenario)
        followers = Followers(followed, paths=paths, seed=self._fleet.seed, draws=self._draws)
        self._followers.append(followers)
        row = self._rows[number]
        row[at.P_TOLD] = followers.is_told
        row[at.P_PATHS] = paths
        if isinstance(followers.reset, str):
            row[at.P_RESET] = _RESETS[followers.reset]
        else:
            row[at.P_RESET], row[at.P_RESET_AFTER] = at.AFTER_A_TIME, round(followers.reset * at.SECOND)
        for place, ending in self._endings:
            self._stops[number, place] = followers.stops_on(ending.outcome)
        return number

    def learn(self, news: list[tuple[int, Ending]]) -> None:
        """There are endings at these places of the table from now on."""
        for number, followers in enumerate(self._followers):
            for place, ending in news:
                self._stops[number, place] = followers.stops_on(ending.outcome)

    def delays(self) -> Any:
        """The tables of all policies behind each other, longer where somebody has come to the end of one."""
        tables, offset = [np.zeros(1, np.int64)], 1
        for row, followers in zip(self._rows, self._followers, strict=False):
            paths = followers.paths
            if paths is None:
                continue
            if row[at.P_WANTS]:
                paths.extend(min(2 * paths.table.shape[1], at.MOST_TRIES))
            table = paths.table
            row[at.P_OFFSET], row[at.P_WIDTH], row[at.P_WANTS] = offset, table.shape[1], 0
            row[at.P_STRIDE] = table.shape[1] if len(table) > 1 else 0
            tables.append(table.reshape(-1))
            offset += table.size
        return np.concatenate(tables)

    def ask(self, told: Any) -> Any:
        """Tells policies what has happened; returns what their clients do, rows for the order ACT."""
        answers: Rows = []
        for what, client, number, time, ending, session in told.tolist():
            followers, at_s = self._followers[number], time * _S
            if what == at.T_ENDED:
                outcome = self._endings.outcome(ending)
                order = followers.course(client).after(outcome, session * _S, at_s)
                answers.append(self._answer(client, order, time, woken=False))
            elif what == at.T_WOKEN:
                order = followers.course(client).woken(at_s)
                answers.append(self._answer(client, order, time, woken=True))
            elif what == at.T_STARTS_OVER:
                followers.start_over(client)
            elif what == at.T_JOINED:
                followers.joined(client, at_s)
            else:
                followers.leave(client, at_s)
        return np.array(answers, np.int64).reshape(-1, 3)

    def _answer(self, client: int, order: Order, time: int, *, woken: bool) -> tuple[int, int, int]:
        match order:
            case Stop(reason):
                return at.A_GIVES_UP, client, self._endings.reason(reason)
            case Wait(seconds):
                return at.A_WAKES, client, time + round(seconds * at.SECOND)
            case Attempt():
                delay = 0
            case _:
                delay = round(order * at.SECOND)
        if woken and not delay:
            return at.A_ASKS, client, time
        return at.A_WAITS, client, time + max(0, delay)

"""When clients start their attempts if every attempt fails: what a throttle does in a lasting outage."""

import heapq
import itertools
import random

from scenarios.policies.following import FollowedPolicy, Policy
from scenarios.policies.orders import Attempt, Order, Stop, Wait
from scenarios.policies.outcome import Outcome, OutcomeKind

_LOST = Outcome(kind=OutcomeKind.CLOSED)
_FAILED = Outcome(kind=OutcomeKind.HTTP_STATUS, status=503)
_SESSION_S = 3600.0


def attempts_s(
    policy: Policy, *, clients: int, until_s: float, fails_after_s: float, seed: int
) -> list[float]:
    """When the attempts of all clients start, in seconds from the moment at which all lost the connection.

    Every attempt is answered with 503 `fails_after_s` after its start.
    """
    followed = FollowedPolicy(policy)
    courses = [
        followed.course(random.Random((seed << 32) + client))  # noqa: S311
        for client in range(clients)
    ]
    began: list[float] = []
    order = itertools.count()
    # (time, order of entry, client, what happens then)
    due: list[tuple[float, int, int, str]] = []

    def enter(now_s: float, client: int, what: str) -> None:
        heapq.heappush(due, (now_s, next(order), client, what))

    def obey(client: int, wanted: Order, now_s: float) -> None:
        match wanted:
            case Stop():
                return
            case Wait(seconds):
                enter(now_s + seconds, client, "ask")
            case Attempt():
                enter(now_s, client, "begin")
            case delay_s:
                enter(now_s + delay_s, client, "begin")

    for client, course in enumerate(courses):
        obey(client, course.after(_LOST, _SESSION_S, 0.0), 0.0)
    while due and due[0][0] < until_s:
        now_s, _, client, what = heapq.heappop(due)
        if what == "ask":
            obey(client, courses[client].woken(now_s), now_s)
        elif what == "fail":
            obey(client, courses[client].after(_FAILED, 0.0, now_s), now_s)
        else:
            began.append(now_s)
            enter(now_s + fails_after_s, client, "fail")
    return began


def per_second(times_s: list[float], seconds: int) -> list[int]:
    """How many of the times fall into each second; a time a rounding error early counts as on time."""
    counts = [0] * seconds
    for time_s in times_s:
        counts[min(seconds - 1, int(time_s + 1e-6))] += 1
    return counts

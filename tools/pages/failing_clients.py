"""When clients start their attempts if every attempt fails: what a throttle does in a lasting outage."""

import heapq
import itertools
import math
import random

from scenarios.policies.registry import Policy


def attempts_s(
    policy: Policy, *, clients: int, until_s: float, fails_after_s: float, seed: int
) -> list[float]:
    """When the attempts of all clients start, in seconds from the moment at which all lost the connection.

    Every attempt fails `fails_after_s` after its start. A client asks its throttle as the real one does: when
    its delay is over, and again after the time that the throttle returns.
    """
    shared = policy.throttle() if policy.shared_throttle else None
    throttles = [shared or policy.throttle() for _ in range(clients)]
    sources = [random.Random((seed << 32) + client) for client in range(clients)]  # noqa: S311
    delays = [policy.delays(source) for source in sources]
    began: list[float] = []
    first = [True] * clients
    order = itertools.count()
    # (time, order of entry, client, whether its attempt ends now; otherwise it starts one)
    due: list[tuple[float, int, int, bool]] = []

    def wait_for_delay(client: int, now_s: float) -> None:
        delay_s = next(delays[client], math.inf)
        if delay_s < math.inf:
            heapq.heappush(due, (now_s + delay_s, next(order), client, False))

    for client in range(clients):
        wait_for_delay(client, 0.0)
    while due and due[0][0] < until_s:
        now_s, _, client, ends = heapq.heappop(due)
        throttle = throttles[client]
        if ends:
            if throttle is not None:
                throttle.ended(joined=False, now_s=now_s)
            wait_for_delay(client, now_s)
            continue
        wait_s = throttle.wait_s(now_s, sources[client], first[client]) if throttle is not None else 0.0
        if wait_s == 0:
            began.append(now_s)
            first[client] = False
            heapq.heappush(due, (now_s + fails_after_s, next(order), client, True))
        elif wait_s < math.inf:
            heapq.heappush(due, (now_s + wait_s, next(order), client, False))
    return began


def per_second(times_s: list[float], seconds: int) -> list[int]:
    """How many of the times fall into each second; a time a rounding error early counts as on time."""
    counts = [0] * seconds
    for time_s in times_s:
        counts[min(seconds - 1, int(time_s + 1e-6))] += 1
    return counts

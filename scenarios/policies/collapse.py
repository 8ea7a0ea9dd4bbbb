"""Clients on one value: how many wait exactly the same time before an attempt, while every attempt fails.

A cap that is applied after the jitter takes the jitter away: clients that lose their connections together
then make each attempt together.
"""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, islice
from statistics import median

from msgspec import Struct

from scenarios.policies.following import Policy, delays_if_all_fail

ATTEMPTS = 13
DRAWS = 2_000
MOST_ATTEMPTS = 600
"""Of one client, however short its delays are."""
EXACT_DIGITS = 6
NEARLY_ALL = 0.995
A_TENTH = 0.1


class Atom(Struct, frozen=True):
    """The delay that most clients wait exactly before one attempt."""

    delay_s: float
    share: float
    """Of the clients that make the attempt."""


def outages(
    policy: Policy, *, seed: int, attempts: int = ATTEMPTS, until_s: float = 0.0, draws: int = DRAWS
) -> list[list[float]]:
    """The delays of each client in seconds if every attempt fails: `attempts`, and those before `until_s`."""
    return [
        _outage(delays_if_all_fail(policy, random.Random((seed << 32) + client)), attempts, until_s)  # noqa: S311
        for client in range(draws)
    ]


def _outage(delays_s: Iterator[float], attempts: int, until_s: float) -> list[float]:
    outage_s = list(islice(delays_s, attempts))
    at_s = sum(outage_s)
    while at_s < until_s and len(outage_s) < MOST_ATTEMPTS and (delay_s := next(delays_s, None)) is not None:
        outage_s.append(delay_s)
        at_s += delay_s
    return outage_s


def columns(chains: list[list[float]]) -> list[list[float]]:
    """Delays by attempt, of the clients that make it."""
    return [
        [round(chain[n], EXACT_DIGITS) for chain in chains if len(chain) > n]
        for n in range(max(map(len, chains), default=0))
    ]


def atoms(chains: list[list[float]]) -> list[Atom]:
    """The commonest delay before each attempt, with its share of the clients."""
    return [commonest(column) for column in columns(chains)]


def commonest(column: list[float]) -> Atom:
    """The commonest of these delays; at least one."""
    [(delay_s, count)] = Counter(column).most_common(1)
    return Atom(delay_s, count / len(column))


def collapses(chains: list[list[float]]) -> bool:
    """Whether a tenth of the clients or more wait the same time before the last of these attempts."""
    found = atoms(chains)
    return bool(found) and found[-1].share >= A_TENTH


def jitter_lost(chains: list[list[float]]) -> str:
    """A sentence on a policy whose jitter ends on one value; empty where it stays, or where there is none."""
    without = all(one.share >= NEARLY_ALL for one in atoms(chains))
    return sentence(chains) if collapses(chains) and not without else ""


def by_attempt(chains: list[list[float]]) -> str:
    """The share of clients on one value: `30 % on 5.000 s before attempt 2, …`; empty: none worth mention."""
    return ", ".join(
        f"{percent(one.share)} on {exactly(one.delay_s)} before attempt {n}"
        for n, one in enumerate(atoms(chains))
        if one.share >= A_TENTH
    )


def sentence(chains: list[list[float]]) -> str:
    """What matters about these delays: where they are exactly the same, or how far they are spread."""
    by_n = columns(chains)
    if not by_n:
        return "Clients make no attempt."
    common = [commonest(column) for column in by_n]
    shares = [one.share for one in common]
    values = [one.delay_s for one in common]
    ends = "" if len(by_n) == ATTEMPTS else _end(chains)
    if min(shares) >= NEARLY_ALL:
        times = [duration(at_s) if at_s else "0 s" for at_s in accumulate(values)]
        listed = ", ".join(times[:6])
        return (
            f"No jitter: clients that lose their connections together make each attempt together, at {listed}"
            f"{'' if len(times) <= 6 else ', …'} after the loss.{ends}"
        )
    first = _first(shares[0], values[0])
    last = len(by_n) - 1
    if shares[last] >= A_TENTH:
        return f"{first}{_at_the_cap(shares, values)}{ends}"
    low, high = min(by_n[last]), max(by_n[last])
    if not last:
        return f"Clients make attempt 0 after {duration(low)} to {duration(high)}.{ends}"
    spread = f"before attempt {last}, delays are spread from {duration(low)} to {duration(high)}."
    return f"{first}The jitter stays: {spread}{ends}"


def _first(share: float, value: float) -> str:
    """What is to be said of the first attempt."""
    if share < A_TENTH:
        return ""
    clients = "Every client makes" if share >= NEARLY_ALL else f"{percent(share)} of the clients make"
    return f"{clients} attempt 0 {'immediately' if value == 0 else f'after exactly {duration(value)}'}. "


def _at_the_cap(shares: list[float], values: list[float]) -> str:
    """From which attempt on clients wait the same time, and how many do before."""
    last = len(shares) - 1
    cap = values[last]
    wait = f"wait{{s}} exactly {exactly(cap)}"
    if shares[last] < NEARLY_ALL:
        stays = next(
            n
            for n in range(last + 1)
            if all(values[k] == cap and shares[k] >= 0.9 * shares[last] for k in range(n, last + 1))
        )
        least = percent(min(shares[stays:]))
        return f"From attempt {stays} on, {least} of the clients or more {wait.format(s='')}."
    all_do = next(n for n in range(last + 1) if all(share >= NEARLY_ALL for share in shares[n:]))
    before = [
        f"{percent(shares[n])} before attempt {n}"
        for n in range(all_do)
        if shares[n] >= A_TENTH and values[n] == cap
    ]
    growing = len({values[n] for n in range(all_do, last + 1)}) > 1
    what = (
        "every client waits the same time before each attempt"
        if growing
        else f"every client {wait.format(s='s')}"
    )
    earlier = f" ({', '.join(before[-3:])})" if before else ""
    return f"From attempt {all_do} on, {what}{earlier}."


def percent(share: float) -> str:
    """A share in whole per cent: `30 %`."""
    return f"{share:.0%}".replace("%", " %")


def exactly(seconds: float) -> str:
    """Seconds to the millisecond: `5.000 s`."""
    return f"{seconds:,.3f} s"


def _end(chains: list[list[float]]) -> str:
    """When clients stop, if all attempts fail."""
    attempts = max(map(len, chains))
    total = duration(median(sum(chain) for chain in chains))
    many = "one attempt" if attempts == 1 else f"{attempts} attempts"
    return f" After {many}, {total} after the loss, clients stop for good."


def duration(seconds: float) -> str:
    """Seconds as text: `0`, `40 ms`, `1.5 s`, `30 s`, `7 min`."""
    if seconds == 0:
        return "0"
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 600 else f"{seconds / 60:.0f} min"

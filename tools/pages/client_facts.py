"""What matters about a stock client, from its model: an outage in which every attempt fails at once."""

from collections import Counter
from itertools import accumulate
from statistics import median

from msgspec import Struct

from tools.pages.delays import ATTEMPTS, duration

MINUTE_S = 60.0
EXACT_DIGITS = 6
NEARLY_ALL = 0.995
A_TENTH = 0.1


class Facts(Struct, frozen=True):
    """What a fleet of that client does."""

    sentence: str
    """The one that matters."""
    attempts_a_minute: float
    """Attempts of one client in the first minute, on average."""
    busiest_second: float
    """Attempts in the busiest of the first sixty seconds, as a share of the clients."""


def facts(chains: list[list[float]]) -> Facts:
    """What a fleet does that loses its connections at once; chains: the delays of a minute or more."""
    times_s = [at_s for chain in chains for at_s in accumulate(chain) if at_s < MINUTE_S]
    seconds = Counter(int(at_s + 1e-9) for at_s in times_s)
    return Facts(
        sentence=sentence([chain[:ATTEMPTS] for chain in chains]),
        attempts_a_minute=len(times_s) / len(chains),
        busiest_second=max(seconds.values()) / len(chains),
    )


def sentence(chains: list[list[float]]) -> str:
    """What matters about these delays: where they are exactly the same, or how far they are spread."""
    columns = [
        [round(chain[n], EXACT_DIGITS) for chain in chains if len(chain) > n]
        for n in range(max(map(len, chains)))
    ]
    common = [Counter(column).most_common(1)[0] for column in columns]
    shares = [count / len(column) for (_, count), column in zip(common, columns, strict=True)]
    ends = "" if len(columns) == ATTEMPTS else _end(chains)
    if min(shares) >= NEARLY_ALL:
        times = [duration(at_s) if at_s else "0 s" for at_s in accumulate(value for value, _ in common)]
        listed = ", ".join(times[:6])
        return (
            f"No jitter: clients that lose their connections together make each attempt together, at {listed}"
            f"{'' if len(times) <= 6 else ', …'} after the loss.{ends}"
        )
    first = _first(shares[0], common[0][0])
    last = len(columns) - 1
    if shares[last] >= A_TENTH:
        return f"{first}{_at_the_cap(shares, [value for value, _ in common])}{ends}"
    low, high = min(columns[last]), max(columns[last])
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

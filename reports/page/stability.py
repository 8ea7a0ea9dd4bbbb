"""The stability numbers of a scenario in words: what each is called, what it means, how it reads."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from reports.text import units


class StabilityNumber(Struct, frozen=True):
    """One number, with the sentence that explains it."""

    symbol: str
    meaning: str
    of: Callable[[Mapping[str, Any]], str]
    optional: bool = False
    """Left out where no arm has it."""


def _plain(key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda stability: units.INFINITE if stability.get(key) is None else f"{stability[key]:,.6g}"


def _seconds(key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda stability: units.INFINITE if stability.get(key) is None else units.seconds(stability[key])


def _s1(stability: Mapping[str, Any]) -> str:
    by_attempt = stability.get("s1") or ()
    if not by_attempt:
        return units.NOTHING
    first = units.INFINITE if by_attempt[0] is None else f"{by_attempt[0]:.1f}"
    index = stability.get("calm_from_attempt")
    if index == 0:
        return f"{first}; ≤ 1 from the start"
    return f"{first}; {'never ≤ 1' if index is None else f'≤ 1 from attempt {index + 1}'}"


def _s2(stability: Mapping[str, Any]) -> str:
    return units.INFINITE if stability.get("s2") is None else f"{stability['s2']:.1f}"


def _limit(stability: Mapping[str, Any]) -> str:
    if stability.get("limits_known") is False:
        return "unknown"
    bites = stability.get("limit_refuses_above_clients_per_ip")
    return "none" if bites is None else f"refuses above {bites:.1f} clients"


def _returning(stability: Mapping[str, Any]) -> str:
    return units.count(stability.get("returning"))


def _global_rate(stability: Mapping[str, Any]) -> str:
    return units.per_second(stability.get("global_rate_per_s"))


NUMBERS: tuple[StabilityNumber, ...] = (
    StabilityNumber("N", "Clients of the fleet.", _plain("clients")),
    StabilityNumber(
        "s·N",
        "Clients that lose their connection to the first fault and reconnect at once; all clients, where "
        "their number is not known beforehand.",
        _returning,
        optional=True,
    ),
    StabilityNumber("P", "Gateway pods, at the start.", _plain("pods")),
    StabilityNumber("capacity", "Cores that all pods together can use.", _plain("capacity_cores")),
    StabilityNumber(
        "c",
        "CPU time that one full handshake costs a pod.",
        lambda stability: units.milliseconds(1000 * stability.get("handshake_cpu_s", 0.0)),
    ),
    StabilityNumber(
        "\u03c1",
        "Share of the capacity that the feed takes in steady state; the rest is left for handshakes.",
        lambda stability: units.percent(stability.get("utilisation")),
    ),
    StabilityNumber(
        "t*",
        "The shortest possible time to readmit all returning clients.",
        _seconds("readmission_s"),
    ),
    StabilityNumber(
        "S1",
        "Work that clients request again before it is done, per unit of capacity. Above 1, handshakes for "
        "clients that have given up starve all others. Given for the first attempt, with the attempt from "
        "which it stays at 1 or below. It counts the delays of a policy, not throttles such as circuit "
        "breakers.",
        _s1,
    ),
    StabilityNumber(
        "S2",
        "Time to readmit all clients, per time that a client tolerates old data. Above 1, the first clients "
        "back leave again before the last ones are in, and the storm sustains itself. It counts a policy’s "
        "delay before the first attempt, not throttles such as circuit breakers.",
        _s2,
    ),
    StabilityNumber(
        "per-IP limit",
        "The number of clients behind one IP above which the limit cannot admit all before their next "
        "attempt. Until then it admits its burst and what its rate allows, or the connections of its window.",
        _limit,
    ),
    StabilityNumber(
        "limit for all",
        "New connections per second that a limit for all clients together admits.",
        _global_rate,
        optional=True,
    ),
)


def stability_rows(arms: Mapping[str, Mapping[str, Any]]) -> list[tuple[StabilityNumber, list[str]]]:
    """Each number with its text for every arm; `arms` is by name. Nothing where no arm has any."""
    if not any(arms.values()):
        return []
    rows = [
        (number, [number.of(stability) if stability else units.NOTHING for stability in arms.values()])
        for number in NUMBERS
    ]
    return [(number, texts) for number, texts in rows if not number.optional or {*texts} != {units.NOTHING}]


def stability_lines(arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The same for a terminal: one line for what all arms share, then one for each arm that differs."""
    rows = stability_rows(arms)
    shared = [f"{number.symbol} {texts[0]}" for number, texts in rows if len(set(texts)) == 1]
    lines = [" · ".join(shared)] if shared else []
    for index, name in enumerate(arms):
        own = [f"{number.symbol} {texts[index]}" for number, texts in rows if len(set(texts)) > 1]
        if own:
            lines.append(f"{name}: {' · '.join(own)}")
    return lines

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
    tries = stability.get("s1") or ()
    if not tries:
        return units.NOTHING
    first = units.INFINITE if tries[0] is None else f"{tries[0]:.1f}"
    calm = stability.get("calm_from_try")
    if calm == 0:
        return f"{first}, calm from the start"
    return f"{first}, {'never calm' if calm is None else f'calm from try {calm + 1}'}"


def _s2(stability: Mapping[str, Any]) -> str:
    return units.INFINITE if stability.get("s2") is None else f"{stability['s2']:.1f}"


def _limit(stability: Mapping[str, Any]) -> str:
    bites = stability.get("limit_bites_from_clients_per_address")
    return "none" if bites is None else f"bites above {bites:.1f} clients"


def _returning(stability: Mapping[str, Any]) -> str:
    return units.count(stability.get("returning"))


def _global_rate(stability: Mapping[str, Any]) -> str:
    return units.per_second(stability.get("global_rate_per_s"))


NUMBERS: tuple[StabilityNumber, ...] = (
    StabilityNumber("N", "Clients.", _plain("clients")),
    StabilityNumber(
        "s·N",
        "Clients that lose their connection to the first fault and come back at once; all, where it is not "
        "known beforehand how many that will be.",
        _returning,
        optional=True,
    ),
    StabilityNumber("P", "Gateway pods, at the start.", _plain("pods")),
    StabilityNumber("capacity", "Cores that the pods can fill together.", _plain("capacity_cores")),
    StabilityNumber(
        "c",
        "CPU that one full handshake costs a pod.",
        lambda stability: units.milliseconds(1000 * stability.get("handshake_cpu_s", 0.0)),
    ),
    StabilityNumber(
        "\u03c1",
        "Share of the capacity that the steady feed takes; only the rest is left for handshakes.",
        lambda stability: units.percent(stability.get("utilisation")),
    ),
    StabilityNumber(
        "t*",
        "The shortest time in which all who come back can be let in, done perfectly.",
        _seconds("readmission_s"),
    ),
    StabilityNumber(
        "S1",
        "Work that clients ask for again before it is done, per unit of capacity: above 1, handshakes for "
        "clients that have given up crowd out all others. First try, and the try from which it stays at 1 "
        "or below. Only the delays of a policy count: gates such as circuit breakers are not in it.",
        _s1,
    ),
    StabilityNumber(
        "S2",
        "Time to let everybody in, per time that a client tolerates old data: above 1, the first ones back "
        "leave again before the last ones are in, and the storm feeds itself. Of a policy, it has the delay "
        "before the first try; gates such as circuit breakers are not in it.",
        _s2,
    ),
    StabilityNumber(
        "per-address limit",
        "How many clients behind one address it takes until the limit refuses any at the first retry.",
        _limit,
    ),
    StabilityNumber(
        "limit for all",
        "New connections that a limit for all clients together lets in.",
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

"""Numbers as people read them: a unit on everything, three digits at most."""

from math import isnan

from reports.latency import Latency

NOTHING = "\u2013"
"""Stands where there is no number."""
TIMES = "\u00d7"


def milliseconds(ms: float | None) -> str:
    """`7.7 ms`, `85 ms`, `6.1 s`, `126 s`."""
    if ms is None:
        return NOTHING
    if ms >= 999.5:
        return seconds(ms / 1000)
    return f"{ms:.1f} ms" if ms < 9.95 else f"{ms:.0f} ms"


def seconds(value: float | None) -> str:
    """`0.4 s`, `6.1 s`, `14 s`; whole seconds without a fraction."""
    if value is None:
        return NOTHING
    return f"{value:.0f} s" if value >= 99.5 or value == int(value) else f"{value:.1f} s"


def latency(value: Latency | None) -> str:
    """Milliseconds, with `≥` before what is only a lower bound."""
    if value is None:
        return NOTHING
    return f"{'≥ ' if value.at_least else ''}{milliseconds(value.ms)}"


def percent(share: float | None) -> str:
    """`12 %`, `99.2 %`; never 100 % unless it is all."""
    if share is None or isnan(share):
        return NOTHING
    value = round(share * 100, 1)
    if value == 100 and share < 1:
        return "99.9 %"
    return f"{value:.0f} %" if value == round(value) else f"{value:.1f} %"


def count(value: float | None) -> str:
    """`300`, `12,345`."""
    return NOTHING if value is None else f"{value:,.0f}"


def per_second(value: float | None) -> str:
    """`312/s`, `0.4/s`."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}/s" if value >= 9.95 or value == int(value) else f"{value:.1f}/s"


def times(value: float | None) -> str:
    """`1.0x`, `37x`, with the multiplication sign."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}{TIMES}" if value >= 9.95 else f"{value:.1f}{TIMES}"


def plain(value: float | None) -> str:
    """`0.4`, `6.1`, `37`; for numbers without a unit."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.2f}" if value < 0.995 else f"{value:.1f}"

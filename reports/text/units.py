"""Numbers as people read them: a unit on everything, three digits at most."""

import re
from math import floor, isnan

from reports.rundir.latency import Latency

NOTHING = "\u2013"
"""Stands where there is no number."""
TIMES = "\u00d7"
INFINITE = "\u221e"
"""Stands for null in the stability numbers of run.json: JSON has no infinity."""


def milliseconds(ms: float | None) -> str:
    """`7.7 ms`, `85 ms`, `6.1 s`, `126 s`."""
    if ms is None:
        return NOTHING
    if ms >= 999.5:
        return seconds(ms / 1000)
    return f"{ms:.1f} ms" if ms < 9.95 else f"{ms:.0f} ms"


def microseconds(value_s: float | None) -> str:
    """`71 \u00b5s`, from seconds."""
    return NOTHING if value_s is None else f"{value_s * 1e6:,.0f} \u00b5s"


def seconds(value: float | None) -> str:
    """`0.4 s`, `6.1 s`, `14 s`; whole seconds without a fraction."""
    if value is None:
        return NOTHING
    return f"{value:.0f} s" if value >= 9.95 or value == int(value) else f"{value:.1f} s"


def latency(value: Latency | None) -> str:
    """Milliseconds, with `≥` before what is only a lower bound."""
    if value is None:
        return NOTHING
    return f"{'≥ ' if value.at_least else ''}{milliseconds(value.ms)}"


def megabytes(value: float | None) -> str:
    """`7.4 MB`, `58 MB`."""
    if value is None:
        return NOTHING
    return f"{value:,.0f} MB" if value >= 9.95 else f"{value:.1f} MB"


def percent(share: float | None) -> str:
    """`7.9 %`, `42 %`, `99.2 %`; never 100 % unless it is all."""
    if share is None or isnan(share):
        return NOTHING
    value = share * 100
    if 99.95 <= value < 100:
        return "99.9 %"
    return f"{value:.1f} %" if 0 < value < 9.95 or 99 < value < 100 else f"{value:.0f} %"


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


def span(low: str, high: str) -> str:
    """`75 to 79 ms` from `75 ms` and `79 ms`; nothing where both read the same."""
    if low == high:
        return ""
    unit = high.lstrip("0123456789.,")
    return f"{low.removesuffix(unit)} to {high}"


def factor(value: float) -> str:
    """`0.72×`, `12×`, `0.012×`."""
    digits = 0 if value >= 9.995 else 2 if value >= 0.095 else 3
    return f"{value:,.{digits}f}{TIMES}"


def ratio(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    share: float | None = None,
    *,
    bound: str = "",
    never: bool = False,
) -> str:
    """`0.72× (0.70 to 0.74×, 96 %)`: a ratio, its interval and how often that holds; nothing without one.

    bound: stands before a ratio of which only a bound is known. never: the interval has no upper end because
    some values never came.
    """
    if value is None:
        return ""
    text = f"{bound} {factor(value)}".strip()
    if low is None or share is None:
        return text
    if high is None:
        interval = f"{factor(low)} {'to never' if never else 'or more'}"
    elif not low:
        interval = f"up to {factor(high)}"
    else:
        interval = span(factor(low), factor(high)) or factor(high)
    return f"{text} ({interval}, {coverage(share)})"


def p_value(p: float | None) -> str:
    """`p 0.0043`, `p < 0.001`; nothing without a test."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p {p:.2g}"


def coverage(share: float) -> str:
    """How often an interval holds what it is meant to hold, never more than it does: `96 %` of 0.968."""
    return f"{floor(share * 100 + 1e-9)} %"


def unbroken(text: str) -> str:
    """The same text, in which no line may end between a number and its unit."""
    return re.sub(r"(?<=\u2265) (?=\d)|(?<=\d) (?=(?:%|\u00b5s|ms|s)(?!\w))", "\u00a0", text)


def capitalised(text: str) -> str:
    """The same text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def setting(value: object) -> str:
    """What a run directory has under some key: `yes`, `0, 1`, or the value itself."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or NOTHING
    return NOTHING if value is None else str(value)

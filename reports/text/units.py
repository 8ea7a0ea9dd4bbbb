"""Numbers as people read them: a unit on everything, three digits at most."""

import re
from math import floor, isnan, nan
from typing import Protocol

from reports.rundir.latency import Latency

NOTHING = "\u2013"
"""Stands where there is no number."""
TIMES = "\u00d7"
INFINITE = "\u221e"
"""Stands for null in the stability numbers of run.json: JSON has no infinity."""
_MOST_MORE = 12


class Writer(Protocol):
    """Writes a number with its unit; with `more`, to so many more digits, where it has any."""

    def __call__(self, value: float | None, /, *, more: int = 0) -> str: ...


def distinct(write: Writer, bound: float, value: float | None) -> tuple[str, str]:
    """A bound and a measured value as text, which read differently wherever the numbers differ.

    `99 %` and `98.98 %`, not `99 %` and `99.0 %`: both get more digits until they differ.
    """
    if value is None or isnan(value):
        return write(bound), NOTHING
    texts = write(bound), write(value)
    for more in range(1, _MOST_MORE + 1):
        if value == bound or _read(texts[0]) != _read(texts[1]):
            break
        texts = write(bound, more=more), write(value, more=more)
    return texts


def expected(sign: str, write: Writer, bound: float, value: float | None) -> str:
    """`expected ≥ 99 %, got 98.6 %`."""
    bound_text, text = distinct(write, bound, value)
    return f"expected {sign} {bound_text}, got {text}"


def milliseconds(ms: float | None, *, more: int = 0) -> str:
    """`7.7 ms`, `85 ms`, `6.1 s`, `126 s`."""
    if ms is None:
        return NOTHING
    if ms >= 999.5:
        return seconds(ms / 1000, more=more)
    digits = (1 if ms < 9.95 else 0) + _fraction(ms, more)
    return f"{ms:.{digits}f} ms"


def microseconds(value_s: float | None) -> str:
    """`71 \u00b5s`, from seconds."""
    return NOTHING if value_s is None else f"{value_s * 1e6:,.0f} \u00b5s"


def seconds(value: float | None, *, more: int = 0) -> str:
    """`0.4 s`, `6.1 s`, `14 s`; whole seconds without a fraction."""
    if value is None:
        return NOTHING
    digits = _fraction(value, more + (0 if value >= 9.95 else 1))
    # Medians of whole seconds end in halves. Halves go up: to the even number, 10.5 would be 10, and 11.5 12.
    return f"{value + 1e-9:.{digits}f} s"


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


def percent(share: float | None, *, more: int = 0) -> str:
    """`7.9 %`, `42 %`, `98.6 %`, `99 %`; never 100 % unless it is all."""
    if share is None or isnan(share):
        return NOTHING
    # A product of floats need not be whole where it should be: 100 * 0.29 is 28.999999999999996.
    value = round(share * 100, _MOST_MORE)
    digits = (1 if 0 < value < 9.95 else 0) + _fraction(value, more + (1 if 90 <= value < 100 else 0))
    if value < 100 <= round(value, digits):
        value = floor(value * 10**digits) / 10**digits
    return f"{value:.{digits}f} %"


def count(value: float | None, *, more: int = 0) -> str:
    """`300`, `12,345`."""
    return NOTHING if value is None else f"{value:,.{_fraction(value, more)}f}"


def per_second(value: float | None, *, more: int = 0) -> str:
    """`312/s`, `0.4/s`."""
    if value is None:
        return NOTHING
    digits = _fraction(value, more + (0 if value >= 9.95 else 1))
    return f"{value:,.{digits}f}/s"


def times(value: float | None, *, more: int = 0) -> str:
    """`1.0x`, `37x`, with the multiplication sign."""
    if value is None:
        return NOTHING
    digits = (0 if value >= 9.95 else 1) + _fraction(value, more)
    return f"{value:,.{digits}f}{TIMES}"


def plain(value: float | None, *, more: int = 0) -> str:
    """`0.4`, `6.1`, `37`; for numbers without a unit."""
    if value is None:
        return NOTHING
    digits = (0 if value >= 9.95 else 2 if value < 0.995 else 1) + _fraction(value, more)
    return f"{value:,.{digits}f}"


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


def _fraction(value: float, digits: int) -> int:
    """How many of so many digits after the point a number needs: a whole one needs none."""
    return 0 if float(value).is_integer() else digits


def _read(text: str) -> tuple[float, str]:
    """The number in a text with one, and the rest: `99.0 %` says the same as `99 %`."""
    number = re.match(r"-?[\d,]+(?:\.\d+)?", text)
    return (float(number[0].replace(",", "")), text[number.end() :]) if number else (nan, text)


def setting(value: object) -> str:
    """What a run directory has under some key: `yes`, `0, 1`, or the value itself."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or NOTHING
    return NOTHING if value is None else str(value)

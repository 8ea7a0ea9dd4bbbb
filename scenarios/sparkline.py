"""A row of numbers as a row of small bars."""

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
NOTHING = "·"


def sparkline(values: Sequence[float | None], *, width: int, top: float | None = None) -> str:
    """The last `width` values, from 0 to `top`, or to the highest of them; a dot where there is none."""
    shown = values[-width:]
    highest = max((value for value in shown if value is not None), default=0.0) if top is None else top
    return "".join(NOTHING if value is None else _bar(value, highest) for value in shown)


def _bar(value: float, highest: float) -> str:
    if highest <= 0:
        return _BARS[0]
    place = round(max(0.0, min(1.0, value / highest)) * (len(_BARS) - 1))
    return _BARS[place]

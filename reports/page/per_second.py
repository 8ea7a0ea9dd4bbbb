"""What the figure shows, second by second: numbers for the page's script, and the same as text."""

import json
import re
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from msgspec import Struct, to_builtins

from reports.figures.palette import colour
from reports.figures.timeline import extent
from reports.figures.traces import ArmTraces, traces
from reports.rundir.reader import Run
from reports.text import units
from reports.text.tables import TextTable

DECIMALS = 6
"""series.csv has four; a share and a median may have more."""

MINUS = "\u2212"
"""As on the axis of the figure."""

Column = tuple[float | None, ...]
"""A value a second; None where there is none."""


class Shown(Struct, frozen=True):
    """One number that is shown of every second."""

    key: str
    """Column of series.csv, or of which two the share is."""
    name: str
    unit: str
    """`ms`, `share` or `per_s`: how it is written."""
    per: str | None = None
    """The column that it is a share of."""


WRITERS: dict[str, units.Writer] = {
    "ms": units.milliseconds,
    "share": units.percent,
    "per_s": units.per_second,
}


class ArmSeconds(Struct, frozen=True):
    """One arm; every column has as many values as the figure has seconds."""

    name: str
    colour: str
    columns: tuple[Column, ...]
    """In the order of `PerSecond.shown`; the first one is effective p99."""
    at_least: tuple[int, ...]
    """1 where effective p99 is only a lower bound."""


class PerSecond(Struct, frozen=True):
    """Every second of the figure. Of an arm with several runs, values are medians, as its lines are."""

    zero: str
    """What seconds count from."""
    first_s: int
    """The second that columns begin with."""
    from_s: float
    """Where the axis of seconds begins, and where it ends."""
    to_s: float
    shown: tuple[Shown, ...]
    arms: tuple[ArmSeconds, ...]

    @property
    def seconds(self) -> int:
        """How many there are."""
        return max((len(arm.at_least) for arm in self.arms), default=0)


def per_second(runs: Sequence[Run], fanout: str = "fan-out") -> PerSecond:
    """The numbers of `runs`, which are marked by `under_control`.

    fanout: what the latency of delivered ticks is called in these runs.
    """
    arms = traces(runs)
    first_s = min((-(run.info.trigger_s or 0) for arm in arms for run in arm.runs), default=0)
    from_s, to_s = extent(arms)
    found = (
        Shown("effective_p99_ms", "effective p99", "ms"),
        Shown("fanout_p99_ms", f"{fanout} p99", "ms"),
        Shown("useful", "served", "share", per="clients"),
        Shown("attempts", "attempts", "per_s"),
        Shown("limited", "refusals", "per_s"),
        Shown("pod_loop", "pod loop", "share"),
        Shown("pod_cpu", "pod CPU", "share"),
    )
    triggered = any(run.info.trigger_s is not None for arm in arms for run in arm.runs)
    length = max((len(arm.trace("t_s").at_s) + _skipped(arm, first_s) for arm in arms), default=0)
    return PerSecond(
        zero="from the trigger" if triggered else "of steady state",
        first_s=first_s,
        from_s=from_s,
        to_s=to_s,
        shown=found,
        arms=tuple(_arm(arm, index, found, first_s, length) for index, arm in enumerate(arms)),
    )


def as_json(found: PerSecond) -> Markup:
    """For a `<script type="application/json">`: nothing in it can end the element or begin another one."""
    text = json.dumps(to_builtins(found), separators=(",", ":"), allow_nan=False)
    # ASCII alone: the separators of lines that JavaScript once knew are escaped, too.
    return Markup(re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", text))  # noqa: S704


def second_tables(found: PerSecond) -> tuple[TextTable, ...]:
    """A table for each arm, a row a second."""
    return tuple(
        TextTable(
            label=arm.name,
            headings=("second", *(shown.name for shown in found.shown)),
            rows=tuple(
                (f"{found.first_s + at} s".replace("-", MINUS), *_cells(found.shown, arm, at))
                for at in range(found.seconds)
            ),
        )
        for arm in found.arms
    )


def _cells(found: Sequence[Shown], arm: ArmSeconds, at: int) -> list[str]:
    texts = [WRITERS[shown.unit](column[at]) for shown, column in zip(found, arm.columns, strict=True)]
    return [f"≥ {texts[0]}" if arm.at_least[at] else texts[0], *texts[1:]]


def _skipped(arm: ArmTraces, first_s: int) -> int:
    """Seconds of the figure before those of this arm."""
    return min(-(run.info.trigger_s or 0) for run in arm.runs) - first_s


def _arm(arm: ArmTraces, index: int, found: Sequence[Shown], first_s: int, length: int) -> ArmSeconds:
    def column(name: str, per: str | None = None) -> Column:
        values = np.full(length, np.nan)
        own = arm.trace(name, per).median
        values[_skipped(arm, first_s) :][: len(own)] = own
        return tuple(None if np.isnan(value) else _number(value) for value in values)

    bounds = arm.trace("effective_at_least").high > 0
    at_least = np.zeros(length, dtype=int)
    at_least[_skipped(arm, first_s) :][: len(bounds)] = bounds
    return ArmSeconds(
        name=arm.name,
        colour=colour(index),
        columns=tuple(column(shown.key, shown.per) for shown in found),
        at_least=tuple(int(bound) for bound in at_least),
    )


def _number(value: float) -> float:
    """Whole numbers are short in JSON."""
    rounded = round(float(value), DECIMALS)
    return int(rounded) if rounded.is_integer() else rounded

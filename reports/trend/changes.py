"""Change points of a gate's history: when did a measure change, from what to what, and is that worse?

A gate compares two versions, so ten changes of 2 % each pass it. Here the levels of many gates are
compared: a change counts from half of the gate's minimum effect on.

Only what is comparable is compared: the gates of one scenario on one kind of machine are a series, in the
order of the file. Gates whose runs cannot be trusted (INVALID, FAILED) are left out.
"""

from collections.abc import Sequence
from functools import partial
from math import inf
from statistics import median

from msgspec import Struct

from reports.compare.measures import BY_KEY
from reports.compare.statistics import ratio_interval
from reports.gate.commit import Commit
from reports.gate.finding import Spread
from reports.gate.history import GateFileError, TrendEntry
from reports.gate.measures import ALLOWED_KEYS, Gauge, gauges
from reports.trend.segments import cuts

ALPHA = 0.01
"""How often a series of gates without any change may have a change point in any of its measures, at one look.

Less than the 5 % of a gate, because every further gate looks at the same history again."""
SHARE_OF_EFFECT = 0.5
"""The smallest change that counts, as a share of the gate's minimum effect."""
NEAREST = 30
"""Gates on either side of a change point that its levels and its interval are made of."""
LEAST_ID = 4
"""Characters of a commit that name it."""


class Change(Struct, frozen=True, kw_only=True):
    """A change point of one measure."""

    key: str
    name: str
    better: str
    scenario: str
    machine: str
    index: int
    """The first gate of the new level, counted from 0 in the entries that were looked at."""
    commit: Commit
    """Of that gate."""
    recorded: str
    worse: bool
    before: float | None
    """Median of the gates before; None where the measure never came."""
    after: float | None
    before_text: str
    after_text: str
    gates_before: int
    gates_after: int
    """Gates up to the next change point, or to the end of the series."""
    from_index: int
    """The first gate of the level before."""
    to_index: int
    """The last gate of the level after."""
    ratio: float | None
    """After ÷ before; None where that is no number."""
    ratio_low: float | None
    ratio_high: float | None
    coverage: float | None
    """The least probability that the interval contains the true ratio."""
    p: float
    """Of a series without a change having one as clear as this, anywhere."""


def trend_gauges(entries: Sequence[TrendEntry]) -> tuple[Gauge, ...]:
    """The measures that these entries have, without those that only another version knows."""
    keys = {key for entry in entries for key in entry.measures}
    return gauges(key for key in ALLOWED_KEYS if key in keys and key in BY_KEY)


def changes(entries: Sequence[TrendEntry], measures: Sequence[Gauge]) -> tuple[Change, ...]:
    """Every change point, in the order of the entries."""
    series: dict[tuple[str, str], list[int]] = {}
    for index, entry in enumerate(entries):
        if entry.outcome not in {"invalid", "failed"}:
            series.setdefault((entry.scenario, entry.machine), []).append(index)
    found = [change for indices in series.values() for change in _of_series(entries, indices, measures)]
    return tuple(sorted(found, key=lambda change: change.index))


def worse_since(found: Sequence[Change], entries: Sequence[TrendEntry], commit: str = "") -> list[Change]:
    """Those for the worse at the commit or after it, in the order of the file; all of them without a commit.

    Raises GateFileError where no entry has the commit.
    """
    first = 0
    if commit:
        first = next((place for place, entry in enumerate(entries) if _is(entry.commit, commit)), -1)
    if first < 0:
        ids = ", ".join(dict.fromkeys(entry.commit.id[:8] for entry in entries[-3:]))
        raise GateFileError(f"invalid commit {commit!r}: expected one of the trend, such as {ids}")
    return [change for change in found if change.worse and change.index >= first]


def latest_worse(found: Sequence[Change]) -> list[Change]:
    """For each measure of a series its last change point, if that is for the worse."""
    last = {(change.scenario, change.machine, change.key): change for change in found}
    return [change for change in last.values() if change.worse]


def _is(commit: Commit, wanted: str) -> bool:
    return len(wanted) >= LEAST_ID and commit.id.startswith(wanted.lower())


def _of_series(
    entries: Sequence[TrendEntry], indices: Sequence[int], measures: Sequence[Gauge]
) -> list[Change]:
    present = [gauge for gauge in measures if any(gauge.key in entries[index].measures for index in indices)]
    found: list[Change] = []
    for gauge in present:
        known = [index for index in indices if gauge.key in entries[index].measures]
        values = [_value(entries[index].measures[gauge.key]) for index in known]
        points = cuts(values, ALPHA / len(present), partial(_size, gauge))
        edges = [0, *(point.at for point in points), len(values)]
        for start, point, end in zip(edges, points, edges[2:], strict=False):
            levels = values[start : point.at][-NEAREST:], values[point.at : end][:NEAREST]
            first = entries[known[point.at]]
            before, after = _level(levels[0]), _level(levels[1])
            found.append(
                Change(
                    key=gauge.key,
                    name=gauge.name,
                    better=gauge.effect.better,
                    scenario=first.scenario,
                    machine=first.machine,
                    index=known[point.at],
                    commit=first.commit,
                    recorded=first.recorded,
                    worse=(after > before) == (gauge.effect.better == "lower"),
                    before=_finite(before),
                    after=_finite(after),
                    before_text=_text(gauge, before),
                    after_text=_text(gauge, after),
                    gates_before=point.at - start,
                    gates_after=end - point.at,
                    from_index=known[start],
                    to_index=known[end - 1],
                    p=point.p,
                    **_ratio(gauge, *levels),
                )
            )
    return found


def _value(spread: Spread) -> float:
    return inf if spread.median is None else spread.median


def _level(values: Sequence[float]) -> float:
    return float(median(values))


def _size(gauge: Gauge, before: Sequence[float], after: Sequence[float]) -> float:
    """The change as a multiple of the smallest one that counts."""
    a, b = _level(before[-NEAREST:]), _level(after[:NEAREST])
    if a == b:
        return 0.0
    return inf if inf in {a, b} else abs(b - a) / (SHARE_OF_EFFECT * gauge.effect.least(a, b))


def _ratio(gauge: Gauge, before: Sequence[float], after: Sequence[float]) -> dict[str, float | None]:
    a, b = _level(before), _level(after)
    if gauge.any_shift or a in {0.0, inf} or b == inf:
        return dict.fromkeys(("ratio", "ratio_low", "ratio_high", "coverage"))
    interval = ratio_interval(after, before)
    ratio = b / a
    return {
        "ratio": ratio,
        "ratio_low": min(interval.low, ratio),
        "ratio_high": _finite(max(interval.high, ratio)),
        "coverage": interval.coverage,
    }


def _text(gauge: Gauge, level: float) -> str:
    return "never" if level == inf else gauge.write(level)


def _finite(value: float) -> float | None:
    return None if value == inf else value

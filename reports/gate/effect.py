"""One gauge on both sides: is it worse, is a worsening excluded, or is that still open?

- *worse*: a one-sided rank test says that the candidate's runs tend to be worse, after Holm's correction for
  the gauges and within the share of α that this look may spend, and the medians differ by as much as matters.
- *not worse*: the 95 % bootstrap interval of the change ends below the smallest worsening that matters. That
  a test found nothing is not enough: few or noisy runs find nothing either.
- *open*: neither.

Formulas, with the medians b of the baseline and c of the candidate, both turned so that more is worse: a
worsening matters from max(floor, relative · min(|b|, |c|)) on; the excess is c − b less that.
"""

from collections.abc import Sequence
from math import ceil, comb, inf
from typing import Literal

import numpy as np
from msgspec import Struct

from reports import units
from reports.gate.gauges import Gauge, Measured, reading
from reports.statistics import (
    ALPHA,
    Floats,
    extremes_confidence,
    greater_test,
    holm,
    interval_of_ratios,
    middle,
    resampled_medians,
)

Answer = Literal["worse", "better", "not worse", "open"]

LEAST_CONFIDENCE = 0.9
"""How often the extremes of the runs have to hold the median between them, before they exclude anything."""
FIRST_SHARE = 2 / 3
"""Of α, for the first of several looks: most gates need no other, and the sooner one decides the cheaper."""
MOST_MORE = 100
"""Where more rounds than these would be needed, no number is named."""


class Spread(Struct, frozen=True, kw_only=True):
    """One gauge over the runs of one side."""

    median: float | None
    """None where it never came."""
    low: float | None
    high: float | None
    at_least: bool
    """The median is only a lower bound."""
    text: str


class Finding(Struct, frozen=True, kw_only=True):
    """What was found of one gauge."""

    key: str
    name: str
    better: str
    least: str
    """The smallest worsening that matters."""
    answer: Answer
    why: str
    """The answer in a sentence, with its figures."""
    baseline: Spread
    candidate: Spread
    ratio: float | None
    """Candidate's median ÷ baseline's; None where that is no number."""
    ratio_low: float | None
    """Its 95 % bootstrap interval."""
    ratio_high: float | None
    """None as well where the interval has no end."""
    p: float | None
    """Of the test, corrected; None where none was needed, because nothing is worse by as much as matters."""
    more: int | None
    """How many more rounds would decide, as it looks now; None where it is decided, or where none would."""


class _Sample(Struct, frozen=True):
    gauge: Gauge
    baseline: Floats
    candidate: Floats
    """As they were measured; for bounds, the bounds."""
    baseline_open: tuple[bool, ...]
    candidate_open: tuple[bool, ...]

    @property
    def sign(self) -> float:
        """Turns a change so that more is worse."""
        return 1.0 if self.gauge.effect.better == "lower" else -1.0


def runs_to_exclude() -> int:
    """How many runs a side needs before a worsening can be excluded."""
    runs = 1
    while extremes_confidence(runs) < LEAST_CONFIDENCE:
        runs += 1
    return runs


def share_of_alpha(look: int, looks: int) -> float:
    """The share of α that a look may spend, counted from 0, of so many; together they spend no more than α.

    What the first look leaves is dealt out evenly, whether there is a further look or not (Bonferroni).
    """
    if looks == 1:
        return 1.0
    return FIRST_SHARE if look == 0 else (1 - FIRST_SHARE) / (looks - 1)


def runs_to_tell(gauges: int, share: float = 1.0) -> int:
    """How many runs a side needs before one of so many gauges can be called worse with this share of α."""
    runs = 1
    while gauges / comb(2 * runs, runs) > share * ALPHA:
        runs += 1
    return runs


def findings(
    baseline: Sequence[Measured], candidate: Sequence[Measured], gauges: Sequence[Gauge], share: float = 1.0
) -> tuple[Finding, ...]:
    """Every gauge that was measured on at least one side; both need a run. `share` of α may be spent."""
    samples = [found for gauge in gauges if (found := _sample(gauge, baseline, candidate)) is not None]
    whole = [sample for sample in samples if len(sample.baseline) and len(sample.candidate)]
    tests = {sample.gauge.key: _p(sample) for sample in whole}
    corrected = holm({key: 1.0 if p is None else p for key, p in tests.items()})
    p_values = {
        key: None if tests[key] is None else min(1.0, found / share) for key, found in corrected.items()
    }
    fewest = runs_to_tell(len(whole) or 1, share)
    return tuple(_finding(sample, p_values.get(sample.gauge.key), fewest) for sample in samples)


def spread_of(gauge: Gauge, runs: Sequence[Measured]) -> Spread | None:
    """One gauge over runs; None where none of them has it."""
    found = _side(gauge, runs)
    return _spread(gauge, *found) if len(found[0]) else None


def _side(gauge: Gauge, runs: Sequence[Measured]) -> tuple[Floats, tuple[bool, ...]]:
    found = [one for run in runs if (one := reading(gauge, run)) is not None]
    numbers = np.array([number for number, _ in found], np.float64)
    return numbers, tuple(bound for _, bound in found)


def _sample(gauge: Gauge, baseline: Sequence[Measured], candidate: Sequence[Measured]) -> _Sample | None:
    ours, theirs = _side(gauge, baseline), _side(gauge, candidate)
    if not (len(ours[0]) or len(theirs[0])):
        return None
    return _Sample(gauge, ours[0], theirs[0], ours[1], theirs[1])


def _p(sample: _Sample) -> float | None:
    """The p of the test, uncorrected; None where there is no worsening that would matter."""
    if not _worsened(sample):
        return None
    baseline, candidate = sample.sign * sample.baseline, sample.sign * sample.candidate
    return greater_test(candidate.tolist(), baseline.tolist(), b_open=sample.baseline_open)


def _worsened(sample: _Sample) -> bool:
    if sample.gauge.any_shift:
        return bool(sample.sign * (sample.candidate.mean() - sample.baseline.mean()) > 0)
    # A bound of the baseline may be as large as it likes, so nothing is worse than that.
    highest = np.where(sample.baseline_open, inf, sample.baseline)
    return _at_medians(sample.gauge, sample.sign, highest, sample.candidate) >= 0


def _at_medians(gauge: Gauge, sign: float, baseline: Floats, candidate: Floats) -> float:
    found = _excess(gauge, sign, np.median(baseline, keepdims=True), np.median(candidate, keepdims=True))
    return float(found[0])


def _excess(gauge: Gauge, sign: float, baseline: Floats, candidate: Floats) -> Floats:
    """How much worse than is allowed each pair of medians is; below 0, it does not matter."""
    effect = gauge.effect
    change = np.zeros(len(baseline))
    # Where neither ever came, they are alike: infinity less infinity is nothing here.
    np.subtract(candidate, baseline, out=change, where=candidate != baseline)
    smaller = np.minimum(np.abs(baseline), np.abs(candidate))
    relative = np.multiply(effect.relative, smaller, out=np.zeros(len(smaller)), where=smaller < inf)
    found: Floats = sign * change - np.maximum(effect.floor, relative)
    return found


def _finding(sample: _Sample, p: float | None, fewest: int) -> Finding:
    gauge = sample.gauge
    if not (len(sample.baseline) and len(sample.candidate)):
        missing = "baseline" if len(sample.candidate) else "candidate"
        answer, why, more = "open", f"{gauge.name} was not measured in the {missing}", None
        ratios: tuple[float | None, float | None, float | None] = (None, None, None)
    else:
        drawn = resampled_medians(sample.baseline.tolist(), sample.candidate.tolist())
        answer, more = _answer(sample, p, fewest, drawn)
        ratios = _ratio(sample, drawn)
        why = _why(sample, answer, p, ratios)
    return Finding(
        key=gauge.key,
        name=gauge.name,
        better=gauge.effect.better,
        least=gauge.least,
        answer=answer,  # type: ignore[arg-type]
        why=why,
        baseline=_spread(gauge, sample.baseline, sample.baseline_open),
        candidate=_spread(gauge, sample.candidate, sample.candidate_open),
        ratio=ratios[0],
        ratio_low=ratios[1],
        ratio_high=ratios[2],
        p=p,
        more=more,
    )


def _answer(
    sample: _Sample, p: float | None, fewest: int, drawn: tuple[Floats, Floats]
) -> tuple[Answer, int | None]:
    if p is not None and p <= ALPHA:
        return "worse", None
    candidate = sample.candidate
    if any(sample.candidate_open):
        # Of these bounds nobody knows how far they lie below what is true: nothing is excluded by them.
        candidate = np.where(sample.candidate_open, inf, candidate)
        drawn = resampled_medians(sample.baseline.tolist(), candidate.tolist())
    excess = middle(_excess(sample.gauge, sample.sign, *drawn))
    runs = min(len(sample.baseline), len(sample.candidate))
    if excess.high < 0 and runs >= runs_to_exclude():
        gained = _at_medians(sample.gauge, -sample.sign, sample.baseline, sample.candidate)
        return ("better" if gained >= 0 else "not worse"), None
    found = _at_medians(sample.gauge, sample.sign, sample.baseline, candidate)
    return "open", _more(runs, found, excess.high if found < 0 else excess.low, fewest)


def _more(runs: int, excess: float, end: float, fewest: int) -> int | None:
    """The interval narrows with the root of the number of runs; how many until it no longer holds 0?"""
    least = runs_to_exclude() if excess < 0 else fewest
    if runs < runs_to_exclude():
        # So few tell little of how wide the interval is.
        return least - runs
    if excess in {0.0, inf, -inf} or abs(end) == inf:
        return None
    needed = max(ceil(runs * ((end - excess) / excess) ** 2), least, runs + 1)
    return needed - runs if needed - runs <= MOST_MORE else None


def _ratio(sample: _Sample, drawn: tuple[Floats, Floats]) -> tuple[float | None, float | None, float | None]:
    if sample.gauge.any_shift:
        return None, None, None
    baseline, candidate = (float(np.median(side)) for side in (sample.baseline, sample.candidate))
    if baseline in {0.0, inf} or candidate == inf or any((*sample.baseline_open, *sample.candidate_open)):
        return None, None, None
    found = interval_of_ratios(drawn[1], drawn[0])
    return candidate / baseline, found.low, None if found.high == inf else found.high


def _spread(gauge: Gauge, values: Floats, is_open: Sequence[bool]) -> Spread:
    if not len(values):
        return Spread(median=None, low=None, high=None, at_least=False, text=units.NOTHING)
    median = float(np.median(values))
    at_least = any(bound and value <= median for value, bound in zip(values, is_open, strict=True))
    written = "never" if median == inf else gauge.write(median)
    return Spread(
        median=_seen(median),
        low=_seen(float(values.min())),
        high=_seen(float(values.max())),
        at_least=at_least,
        text=f"\u2265 {written}" if at_least else written,
    )


def _seen(value: float) -> float | None:
    return None if value == inf else value


def _why(
    sample: _Sample, answer: Answer, p: float | None, ratios: tuple[float | None, float | None, float | None]
) -> str:
    gauge = sample.gauge
    before = _spread(gauge, sample.baseline, sample.baseline_open).text
    now = _spread(gauge, sample.candidate, sample.candidate_open).text
    if answer == "worse":
        change = f"{gauge.name} went from {before} to {now}"
        if gauge.any_shift and before == now:
            change = f"{gauge.name}: worse more often than before, though mostly {now}"
        figures = ", ".join(filter(None, (ratio_text(*ratios), p_text(p))))
        return f"{change} ({figures})"
    if answer == "open":
        runs = min(len(sample.baseline), len(sample.candidate))
        if runs < runs_to_exclude():
            return f"{gauge.name}: {runs} runs are too few to exclude a worsening ({now} against {before})"
        if any(sample.candidate_open):
            return f"of {gauge.name} only a lower bound is known in some runs: {now} against {before}"
        return (
            f"{gauge.name} may have got worse by as much as matters ({gauge.least}): {now} against {before}"
        )
    return f"{gauge.name}: {now} against {before}"


def ratio_text(ratio: float | None, low: float | None, high: float | None) -> str:
    """`0.72× (0.70 to 0.74)`; nothing without a ratio."""
    if ratio is None:
        return ""
    end = "never" if high is None else f"{high:.2f}"
    return f"{ratio:.2f}{units.TIMES}" + ("" if low is None else f" ({low:.2f} to {end})")


def p_text(p: float | None) -> str:
    """`p 0.0043`, `p < 0.001`; nothing without a test."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p {p:.2g}"

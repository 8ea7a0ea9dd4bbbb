"""One measure on both sides: is it worse, is a regression excluded, or is it inconclusive?

- *worse*: a one-sided rank test says that the candidate's runs tend to be worse, after Holm's correction for
  the measures and within the share of α that this interim analysis may spend, and the medians differ by at
  least the minimum effect.
- *not worse*: the same test against the baseline's runs, each made worse by the minimum effect, says that the
  candidate's runs are better than those, within the share of β that an interim analysis may spend. That a
  test found no regression is not enough: few or noisy runs find nothing either. There is no correction for
  the measures: a gate passes where a regression is excluded for *all* of them.
- *better*: not worse, and the first test the other way round.
- *inconclusive*: neither.

Formulas, with the medians b of the baseline and c of the candidate, both turned so that more is worse: the
minimum effect is max(floor, relative · min(|b|, |c|)); the excess is c − b less that.
"""

from collections.abc import Collection, Sequence
from math import ceil, inf
from statistics import NormalDist

import numpy as np
from msgspec import Struct

from reports.compare.statistics import ALPHA, Floats, at_the_top, greater_test, holm, ratio_interval
from reports.gate.finding import Answer, Counted, Finding, Spread
from reports.gate.looks import BETA, runs_to_exclude, runs_to_tell
from reports.gate.measures import FAILED, Gauge, Measured, reading
from reports.text import units

MOST_MORE = 100
"""Where more rounds than these would be needed, no number is given."""


class _Sample(Struct, frozen=True):
    gauge: Gauge
    baseline: Floats
    candidate: Floats
    """As they were measured; for bounds, the bounds."""
    baseline_open: tuple[bool, ...]
    candidate_open: tuple[bool, ...]
    missing: int = 0
    """Of the candidate's runs, those that have no value although all of the baseline's have one."""

    @property
    def sign(self) -> float:
        """Turns a change so that more is worse."""
        return 1.0 if self.gauge.effect.better == "lower" else -1.0


def findings(
    baseline: Sequence[Measured],
    candidate: Sequence[Measured],
    gauges: Sequence[Gauge],
    share: float = 1.0,
    *,
    counted: tuple[Counted, Counted] | None = None,
    excluded: Collection[str] = (),
) -> tuple[Finding, ...]:
    """The result of every measure that at least one side has; both sides need a run.

    `share` of α and of β may be spent. `counted`: the runs of the baseline and of the candidate; where some
    of them failed, these are one more measure. Where none did, no test of them can find anything, so they
    cost the others nothing (Tarone 1990). `excluded`: keys for which an earlier interim analysis excluded a
    regression within its share; as long as all runs together still exclude it by β as a whole, it stays
    excluded.
    """
    samples = [sample for gauge in gauges if (sample := _sample(gauge, baseline, candidate)) is not None]
    whole = [sample for sample in samples if len(sample.baseline) and len(sample.candidate)]
    failures = counted if counted and any(side.failed for side in counted) else None
    worse = {sample.gauge.key: _p(sample) for sample in whole}
    better = {sample.gauge.key: _p_better(sample) for sample in whole}
    if failures:
        worse[FAILED] = _p_failed(*failures)
    worse, better = _corrected(worse, share), _corrected(better, share)
    fewest = runs_to_tell(len(worse) or 1, share)
    results = [
        _finding(
            sample,
            _Tests(
                worse=worse.get(sample.gauge.key),
                better=better.get(sample.gauge.key),
                share=share,
                excluded=sample.gauge.key in excluded,
                fewest=fewest,
            ),
        )
        for sample in samples
    ]
    if failures:
        results.append(_failures(*failures, worse[FAILED]))
    return tuple(results)


class _Tests(Struct, frozen=True, kw_only=True):
    """The tests of one measure."""

    worse: float | None
    """p, adjusted; None where the difference is below the minimum effect."""
    better: float | None
    share: float
    excluded: bool
    fewest: int
    """Runs needed to call anything worse."""


def _corrected(tests: dict[str, float | None], share: float) -> dict[str, float | None]:
    corrected = holm({key: 1.0 if p is None else p for key, p in tests.items()})
    return {
        key: None if tests[key] is None else min(1.0, p / share if share > 0 else inf)
        for key, p in corrected.items()
    }


def _p_failed(baseline: Counted, candidate: Counted) -> float | None:
    """Fisher's exact test, one-sided, which is the rank test of two values; None where no more failed."""
    if candidate.share <= baseline.share:
        return None
    return greater_test(candidate.values, baseline.values)


def _failures(baseline: Counted, candidate: Counted, p: float | None) -> Finding:
    """Whether the candidate's runs fail more often than the baseline's."""
    before, now = (f"{side.failed} of {side.valid + side.failed}" for side in (baseline, candidate))
    answer: Answer = "not worse" if p is None else "worse" if p <= ALPHA else "inconclusive"
    if answer == "worse":
        why = f"INVALID runs went from {before} to {now} ({units.p_value(p)})"
    else:
        why = f"INVALID runs: {now} against {before}"
        why += ", not because of other load on the host" if answer == "inconclusive" else ""
    spreads = [
        Spread(median=side.share, low=side.share, high=side.share, at_least=False, text=text)
        for side, text in ((baseline, before), (candidate, now))
    ]
    return Finding(
        key=FAILED,
        name="INVALID runs",
        better="lower",
        least="any",
        answer=answer,
        why=why,
        baseline=spreads[0],
        candidate=spreads[1],
        ratio=None,
        ratio_low=None,
        ratio_high=None,
        ratio_never=False,
        coverage=None,
        p=p,
        more=None,
        excluded=answer == "not worse",
    )


def spread_of(gauge: Gauge, runs: Sequence[Measured]) -> Spread | None:
    """One gauge over runs; None where none of them has it."""
    values, is_open = _side(gauge, runs)
    return _spread(gauge, values, is_open) if len(values) else None


def _side(gauge: Gauge, runs: Sequence[Measured]) -> tuple[Floats, tuple[bool, ...]]:
    readings = [value for run in runs if (value := reading(gauge, run)) is not None]
    numbers = np.array([number for number, _ in readings], np.float64)
    return numbers, tuple(is_bound for _, is_bound in readings)


def _sample(gauge: Gauge, baseline: Sequence[Measured], candidate: Sequence[Measured]) -> _Sample | None:
    before, before_open = _side(gauge, baseline)
    after, after_open = _side(gauge, candidate)
    if not (len(before) or len(after)):
        return None
    missing = len(candidate) - len(after) if len(before) == len(baseline) else 0
    return _Sample(gauge, before, after, before_open, after_open, missing)


def _p(sample: _Sample) -> float | None:
    """The p of the test, not adjusted; None where the difference is below the minimum effect."""
    if not _worsened(sample):
        return None
    baseline, candidate = sample.sign * sample.baseline, sample.sign * sample.candidate
    return greater_test(candidate.tolist(), baseline.tolist(), b_open=sample.baseline_open)


def _p_better(sample: _Sample) -> float | None:
    """The p of an improvement: the test with both sides swapped, not adjusted; None where `_p` has none."""
    turned = _Sample(
        sample.gauge, sample.candidate, sample.baseline, sample.candidate_open, sample.baseline_open
    )
    return _p(turned)


def _worsened(sample: _Sample) -> bool:
    if sample.gauge.any_shift:
        return bool(sample.sign * (sample.candidate.mean() - sample.baseline.mean()) > 0)
    # A bound of the baseline may be as large as it likes, so nothing is worse than that.
    return _excess(sample, at_the_top(sample.baseline.tolist(), sample.baseline_open), sample.candidate) >= 0


def _excess(
    sample: _Sample, baseline: Sequence[float] | Floats, candidate: Sequence[float] | Floats
) -> float:
    """How much worse the candidate's median is than the minimum effect; negative where it is below it."""
    before, now = float(np.median(baseline)), float(np.median(candidate))
    # Where neither ever came, they are alike: infinity less infinity is nothing here.
    change = 0.0 if before == now else sample.sign * (now - before)
    return change - sample.gauge.effect.least(before, now)


def _finding(sample: _Sample, tests: _Tests) -> Finding:
    gauge = sample.gauge
    ratio = _Ratio()
    if not (len(sample.baseline) and len(sample.candidate)):
        missing = "baseline" if len(sample.candidate) else "candidate"
        answer: Answer = "inconclusive"
        why, more, excluded = f"{gauge.name} was not measured in the {missing}", None, False
    else:
        p = _exclusion_p(sample)
        enough = min(len(sample.baseline), len(sample.candidate)) >= runs_to_exclude()
        excluded = enough and (p <= tests.share * BETA or (tests.excluded and p <= BETA))
        answer, more = _answer(sample, tests, p, excluded=excluded)
        ratio = _ratio(sample)
        why = _why(sample, answer, tests.worse, ratio)
    return Finding(
        key=gauge.key,
        name=gauge.name,
        better=gauge.effect.better,
        least=gauge.least,
        answer=answer,
        why=why,
        baseline=_spread(gauge, sample.baseline, sample.baseline_open),
        candidate=_spread(gauge, sample.candidate, sample.candidate_open),
        ratio=ratio.middle,
        ratio_low=ratio.low,
        ratio_high=ratio.high,
        ratio_never=ratio.never,
        coverage=ratio.coverage,
        p=tests.worse,
        more=more,
        excluded=excluded,
    )


def _exclusion_p(sample: _Sample) -> float:
    return sample.gauge.effect.exclusion_p(
        sample.baseline.tolist(),
        sample.candidate.tolist(),
        before_open=sample.baseline_open,
        after_open=sample.candidate_open,
        steps=sample.gauge.any_shift,
    )


def _answer(sample: _Sample, tests: _Tests, p: float, *, excluded: bool) -> tuple[Answer, int | None]:
    if tests.worse is not None and tests.worse <= ALPHA:
        return "worse", None
    if excluded and sample.missing:
        return "inconclusive", None
    if excluded:
        return ("better" if tests.better is not None and tests.better <= ALPHA else "not worse"), None
    return "inconclusive", _more(sample, tests, p)


def _more(sample: _Sample, tests: _Tests, p: float) -> int | None:
    """How many more rounds until one of the tests decides, where further runs are as these: what a rank test
    measures grows with the root of their number."""
    runs = min(len(sample.baseline), len(sample.candidate))
    candidate = at_the_top(sample.candidate.tolist(), sample.candidate_open)
    excess = _excess(sample, sample.baseline, candidate)
    least = runs_to_exclude(tests.share or 1.0) if excess < 0 else tests.fewest
    if runs < runs_to_exclude():
        # So few say little about the runs to come.
        return max(1, least - runs)
    tested, wanted = (p, BETA) if excess < 0 else (tests.worse, ALPHA)
    if excess in {0.0, inf, -inf} or tested is None or not 0 < tested < 0.5:
        return None
    quantile = NormalDist().inv_cdf
    needed = max(
        ceil(runs * (quantile(wanted * (tests.share or 1.0)) / quantile(tested)) ** 2), least, runs + 1
    )
    return needed - runs if needed - runs <= MOST_MORE else None


class _Ratio(Struct, frozen=True, kw_only=True):
    """Candidate's median ÷ baseline's, and its interval."""

    middle: float | None = None
    low: float | None = None
    high: float | None = None
    never: bool = False
    coverage: float | None = None


def _ratio(sample: _Sample) -> _Ratio:
    baseline, candidate = (float(np.median(side)) for side in (sample.baseline, sample.candidate))
    bounds = any((*sample.baseline_open, *sample.candidate_open))
    if sample.gauge.any_shift or baseline in {0.0, inf} or candidate == inf or bounds:
        return _Ratio()
    interval = ratio_interval(sample.candidate.tolist(), sample.baseline.tolist())
    middle = candidate / baseline
    # Of many runs whose distributions differ in shape, the quotient of medians may lie outside.
    high = max(interval.high, middle)
    return _Ratio(
        middle=middle,
        low=min(interval.low, middle),
        high=_to_optional(high),
        never=interval.never,
        coverage=interval.coverage,
    )


def _spread(gauge: Gauge, values: Floats, is_open: Sequence[bool]) -> Spread:
    if not len(values):
        return Spread(median=None, low=None, high=None, at_least=False, text=units.NOTHING)
    median = float(np.median(values))
    at_least = any(bound and value <= median for value, bound in zip(values, is_open, strict=True))
    written = "never" if median == inf else gauge.write(median)
    return Spread(
        median=_to_optional(median),
        low=_to_optional(float(values.min())),
        high=_to_optional(float(values.max())),
        at_least=at_least,
        text=f"\u2265 {written}" if at_least else written,
    )


def _to_optional(value: float) -> float | None:
    return None if value == inf else value


def _why(sample: _Sample, answer: Answer, p: float | None, ratio: _Ratio) -> str:
    gauge = sample.gauge
    before = _spread(gauge, sample.baseline, sample.baseline_open).text
    now = _spread(gauge, sample.candidate, sample.candidate_open).text
    if answer == "worse":
        change = f"{gauge.name} went from {before} to {now}"
        if gauge.any_shift and before == now:
            change = f"{gauge.name} is worse in more runs than before, although mostly {now}"
        shown = units.ratio(ratio.middle, ratio.low, ratio.high, ratio.coverage, never=ratio.never)
        figures = ", ".join(filter(None, (shown, units.p_value(p))))
        return f"{change} ({figures})"
    if answer == "inconclusive":
        runs = min(len(sample.baseline), len(sample.candidate))
        if runs < runs_to_exclude():
            return f"{gauge.name}: {runs} runs are too few to exclude a regression ({now} against {before})"
        if sample.missing:
            return f"{gauge.name} was not measured in {sample.missing} of the candidate's runs"
        if any(sample.candidate_open):
            return f"{gauge.name}: only a lower bound is known in some runs ({now} against {before})"
        return (
            f"{gauge.name}: a regression ≥ the minimum effect ({gauge.least}) cannot be excluded "
            f"({now} against {before})"
        )
    return f"{gauge.name}: {now} against {before}"

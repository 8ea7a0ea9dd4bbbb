"""Predicted runs beside measured ones of the same arm: do they agree, and by how much not?"""

from collections.abc import Mapping, Sequence
from math import inf

from msgspec import Struct

from reports.analysis.judgement import judgement_of
from reports.compare.comparable import by_arm
from reports.compare.measures import MEASURES, Measure
from reports.compare.ranges import Range, range_of
from reports.rundir.reader import Run
from reports.text import units
from reports.text.tables import TextTable

ALLOWED = 0.25
"""Medians of time to recover and of effective p99 agree when they are no further apart than this."""

_KEYS = ("time_to_recover_s", "effective_p99_during", "availability", "attempts_peak", "amplification")
_JUDGED = _KEYS[:2]


class Pair(Struct, frozen=True):
    """One measure of one arm over the runs of either side; None where no run has it."""

    arm: str
    measure: Measure
    measured_range: Range | None
    predicted_range: Range | None

    @property
    def measured(self) -> float | None:
        """The median of the measured runs; None where it never came, or is only a bound."""
        return _known(self.measured_range)

    @property
    def predicted(self) -> float | None:
        """The median of the predicted runs; None where it never came, or is only a bound."""
        return _known(self.predicted_range)

    @property
    def ratio(self) -> float | None:
        """Predicted ÷ measured."""
        if not self.measured or self.predicted is None:
            return None
        return self.predicted / self.measured

    @property
    def agrees(self) -> bool | None:
        """Whether the medians are close to each other, or neither ever came; None where bounds leave that
        open."""
        if self.measured_range is None or self.predicted_range is None:
            return True if self.measured_range is self.predicted_range else None
        measured, predicted = (
            inf if side.median is None else side.median
            for side in (self.measured_range, self.predicted_range)
        )
        if inf in (measured, predicted):
            return measured == predicted
        # What is only known to be at least so much may be anything above it, and agrees with nothing for
        # sure.
        if self.measured_range.at_least:
            apart = not self.predicted_range.at_least and predicted < (1 - ALLOWED) * measured
            return False if apart else None
        if self.predicted_range.at_least:
            return False if predicted > (1 + ALLOWED) * measured else None
        return abs(predicted - measured) <= ALLOWED * abs(measured)


class Agreement(Struct, frozen=True):
    """How predictions and measurements compare."""

    verdicts: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    """Of each arm: its name, the measured verdicts, the predicted ones."""
    pairs: tuple[Pair, ...]

    @property
    def same_verdict(self) -> tuple[int, int]:
        """(predicted runs with the verdict that most measured ones of their arm have, all predicted runs)."""
        same = [
            verdict == max(set(measured), key=measured.count)
            for _, measured, predicted in self.verdicts
            for verdict in predicted
        ]
        return sum(same), len(same)


def agreement(measured: Sequence[Run], predicted: Sequence[Run]) -> Agreement:
    """Compares arm by arm; arms that only one side has are left out, and so are invalid runs."""
    real, model = _valid(by_arm(measured)), _valid(by_arm(predicted))
    arms = [arm for arm in real if arm in model]
    return Agreement(
        tuple((arm, _verdicts(real[arm]), _verdicts(model[arm])) for arm in arms),
        tuple(
            Pair(arm, measure, _range(measure, real[arm]), _range(measure, model[arm]))
            for arm in arms
            for measure in MEASURES
            if measure.key in _KEYS
        ),
    )


def agreement_table(found: Agreement) -> TextTable:
    """A row for each measure of each arm, after a row with the arm's verdicts."""
    rows: list[tuple[str, ...]] = []
    for arm, measured, predicted in found.verdicts:
        same = "yes" if set(measured) == set(predicted) else "no"
        rows.append((arm, "verdict", _tally(measured), _tally(predicted), "", same))
        for pair in (pair for pair in found.pairs if pair.arm == arm):
            ratio = units.NOTHING if pair.ratio is None else f"{pair.ratio:.2f}"
            judged = pair.measure.key in _JUDGED
            agrees = {True: "yes", False: "no", None: "inconclusive"}[pair.agrees]
            rows.append(
                (
                    arm,
                    pair.measure.name,
                    _text(pair.measure, pair.measured_range),
                    _text(pair.measure, pair.predicted_range),
                    ratio,
                    agrees if judged else "",
                )
            )
    return TextTable(
        label="Measured and predicted",
        headings=("arm", "measure", "measured", "predicted", "ratio", "agrees"),
        rows=tuple(rows),
        words=frozenset({"arm", "measure", "agrees"}),
    )


def _valid(arms: Mapping[str, Sequence[Run]]) -> dict[str, list[Run]]:
    valid = {arm: [run for run in runs if run.info.validity.get("valid")] for arm, runs in arms.items()}
    return {arm: runs for arm, runs in valid.items() if runs}


def _verdicts(runs: Sequence[Run]) -> tuple[str, ...]:
    return tuple(judgement_of(run).verdict.name for run in runs)


def _tally(verdicts: Sequence[str]) -> str:
    return ", ".join(f"{verdicts.count(name)} {name}" for name in dict.fromkeys(verdicts))


def _range(measure: Measure, runs: Sequence[Run]) -> Range | None:
    return range_of(measure, [judgement_of(run).summary for run in runs])


def _known(found: Range | None) -> float | None:
    return None if found is None or found.at_least else found.median


def _text(measure: Measure, found: Range | None) -> str:
    if found is None:
        return units.NOTHING
    return f"{'≥ ' if found.at_least else ''}{measure.write(found.median)}"

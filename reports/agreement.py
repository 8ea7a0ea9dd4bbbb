"""Predicted runs beside measured ones of the same arm: do they agree, and by how much not?"""

from collections.abc import Mapping, Sequence
from statistics import median

from msgspec import Struct

from reports import units
from reports.comparable import by_arm
from reports.judgement import judgement_of
from reports.latency import Latency
from reports.measures import MEASURES, Measure
from reports.record import Run
from reports.text_table import TextTable

ALLOWED = 0.25
"""Medians of time to recover and of effective p99 agree when they are no further apart than this."""

_KEYS = ("time_to_recover_s", "effective_p99_during", "availability", "attempts_peak", "amplification")
_JUDGED = _KEYS[:2]


class Pair(Struct, frozen=True):
    """One measure of one arm, as medians over runs; None where it was not reached, or is only a bound."""

    arm: str
    measure: Measure
    measured: float | None
    predicted: float | None

    @property
    def ratio(self) -> float | None:
        """Predicted ÷ measured."""
        if not self.measured or self.predicted is None:
            return None
        return self.predicted / self.measured

    @property
    def agrees(self) -> bool:
        """Whether both are there and close to each other, or neither is there."""
        if self.measured is None or self.predicted is None:
            return self.measured is self.predicted
        return abs(self.predicted - self.measured) <= ALLOWED * abs(self.measured)


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
    ours, theirs = _valid(by_arm(measured)), _valid(by_arm(predicted))
    arms = [arm for arm in ours if arm in theirs]
    return Agreement(
        tuple((arm, _verdicts(ours[arm]), _verdicts(theirs[arm])) for arm in arms),
        tuple(
            Pair(arm, measure, _median(measure, ours[arm]), _median(measure, theirs[arm]))
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
            agrees = "yes" if pair.agrees else "no"
            rows.append(
                (
                    arm,
                    pair.measure.name,
                    pair.measure.write(pair.measured),
                    pair.measure.write(pair.predicted),
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


def _median(measure: Measure, runs: Sequence[Run]) -> float | None:
    """None where a run has no value, or only a bound."""
    values = []
    for run in runs:
        value = measure.of(judgement_of(run).summary)
        if isinstance(value, Latency):
            value = None if value.at_least else value.ms
        if value is None:
            return None
        values.append(value)
    return median(values)

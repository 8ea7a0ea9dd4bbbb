"""Series of several runs on one clock, in seconds from the trigger, ready to be drawn."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from reports.analysis.judgement import judgement_of
from reports.analysis.metrics import rescued_at_s
from reports.analysis.recovery import Recovery
from reports.compare.comparable import by_arm
from reports.rundir import series
from reports.rundir.reader import Run
from reports.rundir.series import Seconds


class Trace(Struct, frozen=True):
    """One column of one arm; arrays of equal length, a value a second, NaN where there is none."""

    at_s: Seconds
    """The middle of each second, from the trigger on; before it, negative."""
    median: Seconds
    low: Seconds
    high: Seconds


class ArmTraces(Struct, frozen=True):
    """The runs of one arm that are drawn: the valid ones, or all where none is valid."""

    name: str
    verdict: str
    runs: tuple[Run, ...]
    recovered_s: float | None
    """Median time to recover, from the trigger's end; None where a run did not."""
    recovered_at_s: float | None
    """When that was, from the trigger; median."""
    rescued_s: int | None
    """When the rescue policy was pushed, from the trigger."""

    def trace(self, name: str, per: str | None = None) -> Trace:
        """One column over the steady state, or its share of another column."""
        rows = [[row for row in run.rows if (row["t_s"] or 0) >= 0] for run in self.runs]
        starts = [-(run.info.trigger_s or 0) for run in self.runs]
        first = min(starts)
        length = max((start - first + len(part) for start, part in zip(starts, rows, strict=True)), default=0)
        values = np.full((len(rows), length), np.nan)
        for index, (start, part) in enumerate(zip(starts, rows, strict=True)):
            column = series.column(part, name)
            if per is not None:
                column = series.shares(column, series.column(part, per))
            values[index, start - first : start - first + len(part)] = column
        there = ~np.isnan(values).all(axis=0)
        lines: NDArray[np.float64] = np.full((3, length), np.nan)
        lines[:, there] = [
            np.nanmedian(values[:, there], axis=0),
            np.nanmin(values[:, there], axis=0),
            np.nanmax(values[:, there], axis=0),
        ]
        at_s: Seconds = np.arange(first, first + length, dtype=np.float64) + 0.5
        return Trace(at_s, *lines)


def traces(runs: Sequence[Run]) -> list[ArmTraces]:
    """The arms in order of first appearance."""
    found = []
    for name, group in by_arm(runs).items():
        judged = [(run, judgement_of(run)) for run in group]
        drawn = [pair for pair in judged if pair[1].validity.valid] or judged
        times = [judgement.summary.recovery.time_to_recover_s for _, judgement in drawn]
        recovered = [time for time in times if time is not None]
        ends = [_recovered_at_s(run, judgement.summary.recovery) for run, judgement in drawn]
        moments = [moment for moment in ends if moment is not None]
        rescued = [
            rescue - (run.info.trigger_s or 0)
            for run, _ in drawn
            if (rescue := rescued_at_s(run)) is not None
        ]
        found.append(
            ArmTraces(
                name="".join(letter if letter.isprintable() else " " for letter in name),
                verdict=_verdicts([judgement.verdict.name for _, judgement in drawn]),
                runs=tuple(run for run, _ in drawn),
                recovered_s=float(np.median(recovered)) if len(recovered) == len(times) else None,
                recovered_at_s=float(np.median(moments)) if len(moments) == len(times) else None,
                rescued_s=min(rescued, default=None),
            )
        )
    return found


def _recovered_at_s(run: Run, recovery: Recovery) -> int | None:
    """Of one run, from the trigger."""
    if recovery.time_to_recover_s is None:
        return None
    zero_s = run.info.trigger_s or 0
    from_s = zero_s if recovery.counted_from_s is None else recovery.counted_from_s
    return from_s - zero_s + recovery.time_to_recover_s


def _verdicts(names: Sequence[str]) -> str:
    return " / ".join(dict.fromkeys(names))

"""Runs whose latencies count from schedules, beside runs that fell back to stamps: what may be compared.

A run falls back where none of its ticks could be fitted. Fan-out by stamp is what all of them have. Stamps
hide the lateness of the gateway, so the effective p99, staleness and in-time delivery of a run that fell back
are no values of the measures that the others have.
"""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from reports.analysis.judgement import judgement_of
from reports.analysis.metrics import PhaseSummary, Summary
from reports.compare.comparable import studied
from reports.rundir.reader import Run

FANOUT = "fan-out by stamp"
"""What the fan-out latency of such runs is called."""


def is_mixed(runs: Sequence[Run]) -> bool:
    """Whether latencies count from a schedule in some of these runs, and from stamps in others."""
    return {"schedule", "due"} <= {run.info.reference for run in studied(runs)}


def on_one_reference(runs: Sequence[Run]) -> list[Run]:
    """The runs, with judgements that may be compared; the same runs where all count alike."""
    return list(map(_comparable, runs)) if is_mixed(runs) else list(runs)


def reference_warning(runs: Sequence[Run]) -> str:
    """What is compared where the runs do not count alike; empty where they do."""
    if not is_mixed(runs):
        return ""
    arms: dict[str, list[bool]] = {}
    for run in studied(runs):
        arms.setdefault(run.info.arm, []).append(run.info.reference == "due")
    by_stamp = [f"“{arm}” {sum(found)} of {len(found)}" for arm, found in arms.items() if any(found)]
    return (
        f"Warning: latencies count from stamps in some runs ({', '.join(by_stamp)}), and from a fitted "
        "schedule in the others: fan-out is compared by stamp in all runs. Effective p99, staleness and "
        "ticks delivered are those of the runs with a schedule. In runs by stamp, availability and time to "
        "recover do not contain the lateness of the gateway."
    )


def _comparable(run: Run) -> Run:
    if run.info.reference not in {"schedule", "due"}:
        return run
    judged = judgement_of(run)
    of = _by_stamp if run.info.reference == "schedule" else _without_due_times
    judgement = replace(judged, summary=of(judged.summary))
    # As run.json has it, so that every reader of the run finds this judgement.
    return replace(run, info=replace(run.info, **msgspec.to_builtins(judgement)))


def _by_stamp(summary: Summary) -> Summary:
    def of(phase: PhaseSummary | None) -> PhaseSummary | None:
        return phase and replace(
            phase,
            fanout_p50_ms=phase.fanout_by_stamp_p50_ms,
            fanout_p99_ms=phase.fanout_by_stamp_p99_ms,
            fanout_by_stamp_p50_ms=None,
            fanout_by_stamp_p99_ms=None,
            fanout_by_stamp_max_ms=None,
        )

    return replace(summary, before=of(summary.before), during=of(summary.during), after=of(summary.after))


def _without_due_times(summary: Summary) -> Summary:
    def of(phase: PhaseSummary | None) -> PhaseSummary | None:
        return phase and replace(phase, effective_p99=None, staleness_p50_ms=None, staleness_p99_ms=None)

    storm = summary.storm and replace(
        summary.storm, staleness_p50_ms=None, staleness_p99_ms=None, staleness_max_ms=None, ticks=None
    )
    return replace(
        summary, before=of(summary.before), during=of(summary.during), after=of(summary.after), storm=storm
    )

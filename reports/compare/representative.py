"""The run that stands for its arm where only one can be shown."""

from collections.abc import Mapping, Sequence

from reports.analysis.judgement import judgement_of
from reports.compare.arm import arm_result, standing
from reports.rundir.reader import Run


def middle_run(runs: Sequence[Run]) -> Run:
    """The middle valid run by verdict, time to recover and availability, the worse one of two middle ones.

    Where no run is valid, the first one.
    """
    valid = [run for run in runs if judgement_of(run).validity.valid]
    if not valid:
        return runs[0]
    return sorted(valid, key=lambda run: standing(arm_result(run.info.arm, [run], ())))[len(valid) // 2]


def middle_runs(arms: Mapping[str, Sequence[Run]]) -> dict[str, Run]:
    """The middle run of each arm, by the arm's name, with the round where there are several."""
    chosen = {name: middle_run(group) for name, group in arms.items()}
    return {
        f"{name}, round {run.info.round}" if len(arms[name]) > 1 else name: run
        for name, run in chosen.items()
    }

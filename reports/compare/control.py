"""The control run: the same steady state without a trigger. Where it fails, no arm is valid.

A control stands for every arm that has its steady state: the same scenario but for policy, limit, events,
phases and what sidecars do about failures, which make no difference while no client has to reconnect, on the
same machine with the same versions.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from reports.analysis.judgement import judgement_of
from reports.analysis.metrics import lost_while_calm
from reports.analysis.recovery import P99_FACTOR, P99_FLOOR_MS
from reports.analysis.validity import Validity
from reports.analysis.verdict import Verdict
from reports.compare.comparable import by_arm, settings
from reports.rundir import series
from reports.rundir.latency import Latency
from reports.rundir.reader import Run
from reports.rundir.series import Row
from reports.text import units

FREE_KEYS = frozenset({"fleet.policy", "fleet.reset_backoff", "edge.limit"})
FREE_SECTIONS = ("event.", "phases.", "mesh.")
BOUND_KEY = "mesh.sidecar"
"""What a control need not share with an arm, but for this key."""


class Control(Struct, frozen=True, kw_only=True):
    """What a control run showed, and which arms it stands for."""

    arms: tuple[str, ...]
    every: bool
    """These are all arms that there are."""
    seconds: int
    """Of steady state."""
    availability: float | None
    effective_p99: Latency | None
    problems: tuple[str, ...]
    """Empty where it is valid."""


def control_problems(run: Run) -> tuple[str, ...]:
    """Why a control run failed; empty where it is valid. A run that cannot be trusted shows nothing."""
    judgement = judgement_of(run)
    if run.info.status != "complete":
        because = f": {run.info.problem}" if run.info.problem else ""
        return (f"its status is {run.info.status}{because}",)
    if not judgement.validity.valid:
        return judgement.validity.problems
    rows = _steady(run)
    problems = []
    served = series.availability(rows)
    if served is None or served < series.SERVED_WELL:
        problems.append(f"availability: {units.expected('≥', units.percent, series.SERVED_WELL, served)}")
    lost = lost_while_calm(run, rows, judgement.summary.clients)
    problems += [f"{what} without a trigger: {figures}" for what, figures in lost]
    third = len(rows) // 3
    first_ms, last_ms = _p99_ms(rows[:third]), _p99_ms(rows[len(rows) - third :])
    if first_ms is None or last_ms is None:
        problems.append("no effective p99 was measured")
    elif last_ms > (allowed_ms := max(P99_FACTOR * first_ms, first_ms + P99_FLOOR_MS)):
        allowed, last = units.distinct(units.milliseconds, allowed_ms, last_ms)
        problems.append(
            f"effective p99 of the last third: expected ≤ {allowed} after "
            f"{units.milliseconds(first_ms)} in the first third, got {last}"
        )
    return tuple(problems)


def controls(runs: Sequence[Run]) -> tuple[Control, ...]:
    """What the control runs among `runs` showed; none where there are no other runs.

    Of several for the same arms, those that cannot be trusted are left out where another one can.
    """
    arms = by_arm(runs)
    found = []
    for run in _counting(runs):
        rows, before = _steady(run), judgement_of(run).summary.before
        names = tuple(name for name, group in arms.items() if _stands_for(run, group[0]))
        found.append(
            Control(
                arms=names,
                every=len(names) == len(arms),
                seconds=len(rows),
                availability=series.availability(rows),
                effective_p99=before.effective_p99 if before else None,
                problems=control_problems(run),
            )
        )
    return tuple(found)


def under_control(runs: Sequence[Run], found: Sequence[Control]) -> list[Run]:
    """The same runs; those whose control run failed are INVALID."""
    objections = {name: _objection(control) for control in found if control.problems for name in control.arms}
    return [
        run if run.info.control or run.info.arm not in objections else _invalid(run, objections[run.info.arm])
        for run in runs
    ]


def control_lines(found: Sequence[Control]) -> list[str]:
    """One line for every control run: which arms it stands for, and whether it is valid."""
    lines = []
    for control in found:
        names = ", ".join(f"\u201c{name}\u201d" for name in control.arms)
        if control.every:
            what = "Control run"
        else:
            what = f"Control run for {names}" if names else "Control run that matches no arm:"
        if control.problems:
            lines.append(f"{what} failed: {'; '.join(control.problems)}")
        else:
            lines.append(
                f"{what} valid ({control.seconds} s without a trigger: "
                f"availability {units.percent(control.availability)}, "
                f"effective p99 {units.latency(control.effective_p99)})"
            )
    return lines


def _counting(runs: Sequence[Run]) -> list[Run]:
    """The controls that count, where there is anything that they could be controls of."""
    every = [run for run in runs if run.info.control]
    if len(every) == len(runs):
        return []
    trusted: list[Run] = []
    doubtful: list[Run] = []
    for run in every:
        (trusted if judgement_of(run).validity.valid else doubtful).append(run)
    return trusted + [run for run in doubtful if not any(_stands_for(other, run) for other in trusted)]


def _stands_for(control: Run, run: Run) -> bool:
    return (
        control.info.machine == run.info.machine
        and control.info.versions == run.info.versions
        and _steady_state(control) == _steady_state(run)
    )


def _steady_state(run: Run) -> dict[str, Any]:
    return {
        key: value
        for key, value in settings(run).items()
        if key == BOUND_KEY or not (key in FREE_KEYS or key.startswith(FREE_SECTIONS))
    }


def _steady(run: Run) -> list[Row]:
    return [row for row in run.rows if (row["t_s"] or 0.0) >= 0]


def _p99_ms(rows: Sequence[Row]) -> float | None:
    """The median of the seconds' effective p99.

    Ticks of the last second may still be on their way when the recording ends, and one second with a noisy
    host is no trend; neither moves a median.
    """
    values = series.column(rows, "effective_p99_ms")
    there = values[~np.isnan(values)]
    return float(np.median(there)) if len(there) else None


def _objection(control: Control) -> str:
    more = len(control.problems) - 1
    return (
        f"the control run without a trigger failed: {control.problems[0]}"
        f"{f' (and {more} more)' if more else ''}"
    )


def _invalid(run: Run, reason: str) -> Run:
    judged = judgement_of(run)
    validity = Validity(False, (reason, *judged.validity.problems), judged.validity.warnings)
    judgement = msgspec.structs.replace(judged, validity=validity, verdict=Verdict("INVALID", reason))
    # As run.json has it, so that every reader of the run finds this judgement.
    info = msgspec.structs.replace(run.info, **msgspec.to_builtins(judgement))
    return msgspec.structs.replace(run, info=info)

"""The load × trigger map: where a system is stable, where it is vulnerable, and where it stays down.

A comparison that crosses one load (clients, cost of a handshake, rate of the feed) with one size of its
trigger (a field of the event that fires first) is such a map. The regions are those of Huang et al.,
"Metastable Failures in the Wild", OSDI 2022, as far as runs can show them:

- a load is **stable** where the system recovered from every trigger in the map,
- **vulnerable** where it is steady without a trigger, but some trigger left it down after it was over,
- **overloaded** where even the steady state fails, as its control run shows,
- **unknown** where some trigger has no valid run, or was still being recovered from at the end.

A cell is **metastable** where a valid run stayed down (FLAPPING, METASTABLE or OUTAGE; only the verdict
METASTABLE means that a rescue proved it). A cell that recovered is stable or vulnerable as its load is; as
long as nothing at that load stayed down, it counts as stable. Nothing is inferred from neighbouring cells.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any, Literal

from msgspec import Struct

from reports.analysis.actions import trigger_name
from reports.analysis.judgement import judgement_of
from reports.analysis.validity import BASELINE_POD_LOOP
from reports.analysis.verdict import RANKED, VerdictName
from reports.compare.comparable import EVENT, settings, studied, variables
from reports.compare.control import control_problems, controls, under_control
from reports.rundir.reader import Run
from reports.rundir.series import SERVED_WELL

Region = Literal["stable", "vulnerable", "metastable", "overloaded", "unknown"]
REGIONS: dict[Region, str] = {
    "stable": "recovered, and nothing at this load stayed down",
    "vulnerable": "recovered, but another trigger left this load down",
    "metastable": "a valid run stayed down after the trigger was over",
    "overloaded": "not steady even without a trigger",
    "unknown": "no valid run, or a run that was still recovering at its end",
}
"""Each region of a cell, and what it means."""

DOWN: frozenset[VerdictName] = frozenset({"FLAPPING", "METASTABLE", "OUTAGE"})
"""Verdicts on a service that stays down; SLOW_DRAIN may still come back."""


class Cell(Struct, frozen=True, kw_only=True):
    """All runs with one load and one size of the trigger."""

    load: float
    trigger: float
    region: Region
    runs: int
    valid: int
    verdicts: tuple[VerdictName, ...]
    """Of every run, in the order in which they were started."""
    verdict: VerdictName | None
    """Of the middle valid run, the worse one of two middle ones; None where no run is valid."""
    unrecovered: float | None
    """Share of the valid runs that did not recover; None where no run is valid."""
    down: int
    """Valid runs that stayed down."""
    s1: float | None
    """S1 at the first attempt, which may be infinite; None where it is not known."""
    s2: float | None


class LoadPoint(Struct, frozen=True, kw_only=True):
    """One load, over all sizes of the trigger."""

    value: float
    region: Region
    """Never metastable, which a load alone cannot be."""
    tipped_by: float | None
    """The smallest trigger that left it down; None where none did."""
    why: str


class StormMap(Struct, frozen=True, kw_only=True):
    """A grid of cells: `cells[i][j]` has the load `loads[i]` and the trigger `triggers[j]`."""

    load_key: str
    trigger_key: str
    trigger: str
    """Name of the event whose size `trigger_key` is."""
    loads: tuple[LoadPoint, ...]
    """From the lowest to the highest."""
    triggers: tuple[float, ...]
    """From the smallest to the largest."""
    cells: tuple[tuple[Cell, ...], ...]


def storm_map(runs: Sequence[Run]) -> StormMap | None:
    """The map that these runs make; None where they cross no load with a size of their trigger.

    More than half of the places have to be taken: a crossed comparison that was interrupted in its second
    load still is a map, a few arms that share no value are not. Raises ComparisonError, as `compare` does.
    """
    keys = _keys(runs)
    if keys is None:
        return None
    load_key, trigger_key, trigger = keys
    places: dict[tuple[float, float], list[Run]] = {}
    trusted = under_control(runs, controls(runs))
    for run in sorted(studied(trusted), key=lambda run: run.info.started_utc):
        values = settings(run)
        places.setdefault((values[load_key], values[trigger_key]), []).append(run)
    loads = sorted({load for load, _ in places})
    triggers = sorted({size for _, size in places})
    if 2 * len(places) <= len(loads) * len(triggers):
        return None
    points, columns = [], []
    for load in loads:
        steady = [run for run in runs if run.info.control and settings(run).get(load_key) == load]
        here = [places.get((load, size), []) for size in triggers]
        point = _load_point(load, dict(zip(triggers, here, strict=True)), trigger_key, _overloaded(steady))
        points.append(point)
        columns.append(tuple(_cell(point, size, group) for size, group in zip(triggers, here, strict=True)))
    return StormMap(
        load_key=load_key,
        trigger_key=trigger_key,
        trigger=trigger,
        loads=tuple(points),
        triggers=tuple(triggers),
        cells=tuple(columns),
    )


def _keys(runs: Sequence[Run]) -> tuple[str, str, str] | None:
    """The keys of load and trigger, and the trigger's name."""
    varied = variables(runs)
    of_events = [key for key in varied if key.startswith(f"{EVENT}.")]
    of_others = [key for key in varied if key not in of_events]
    if len(of_events) != 1 or len(of_others) != 1:
        return None
    [trigger_key], [load_key] = of_events, of_others
    arms = studied(runs)
    tables = [settings(run) for run in arms]
    if not all(_is_number(table.get(key)) for table in tables for key in varied):
        return None
    name = str(tables[0][f"{trigger_key.rsplit('.', 1)[0]}.do"])
    # The size of a mitigation, or of a fault that fires later, is no size of the trigger.
    return (load_key, trigger_key, name) if name in map(trigger_name, arms) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _overloaded(steady: Sequence[Run]) -> bool:
    """Whether control runs of one load show that its steady state fails.

    A control run that a noisy host invalidated, or that failed for another reason, shows nothing.
    """
    return not any(not control_problems(run) for run in steady) and any(map(_breaks_down, steady))


def _breaks_down(control: Run) -> bool:
    judged = judgement_of(control)
    if control.info.status != "complete" or judged.validity.invalidated_by_host:
        return False
    if judged.validity.valid:
        return bool(control_problems(control))
    before = judged.summary.before
    if before is None:
        return False
    served, loop = before.availability, before.pod_loop
    unserved = served is not None and served < SERVED_WELL
    return unserved or (loop is not None and loop > BASELINE_POD_LOOP)


def value_text(value: float) -> str:
    """A load or the size of a trigger, as a scenario has it."""
    return f"{value:,.10g}"


def enumerated(texts: Iterable[str]) -> str:
    """`1, 2 and 4`, of one text or more."""
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last


def _load_point(
    load: float, groups: Mapping[float, Sequence[Run]], trigger_key: str, overloaded: bool
) -> LoadPoint:
    if overloaded:
        return LoadPoint(
            value=load, region="overloaded", tipped_by=None, why="not steady even without a trigger"
        )
    verdicts = {size: _valid_verdicts(group) for size, group in groups.items()}
    tipped_by = min((size for size, names in verdicts.items() if DOWN & set(names)), default=None)
    if tipped_by is not None:
        why = f"steady without a trigger, but {trigger_key} = {value_text(tipped_by)} left it down"
        return LoadPoint(value=load, region="vulnerable", tipped_by=tipped_by, why=why)
    missing = [value_text(size) for size, names in verdicts.items() if not names]
    draining = [value_text(size) for size, names in verdicts.items() if set(names) - {"RECOVERED"}]
    doubts = [
        f"{what} at {trigger_key} = {enumerated(sizes)}"
        for what, sizes in (("no valid run", missing), ("not yet recovered at the end", draining))
        if sizes
    ]
    why = "; ".join(doubts) or "recovered from every trigger"
    return LoadPoint(value=load, region="unknown" if doubts else "stable", tipped_by=None, why=why)


def _cell(point: LoadPoint, size: float, runs: Sequence[Run]) -> Cell:
    names = _valid_verdicts(runs)
    ranked = sorted(names, key=RANKED.index)
    stability = runs[0].info.stability if runs else {}
    by_attempt = stability.get("s1") or ()
    return Cell(
        load=point.value,
        trigger=size,
        region=_region(point, names),
        runs=len(runs),
        valid=len(names),
        verdicts=tuple(judgement_of(run).verdict.name for run in runs),
        verdict=ranked[len(ranked) // 2] if ranked else None,
        unrecovered=sum(name != "RECOVERED" for name in names) / len(names) if names else None,
        down=sum(name in DOWN for name in names),
        s1=_finite_or_not(by_attempt[0]) if by_attempt else None,
        s2=_finite_or_not(stability["s2"]) if "s2" in stability else None,
    )


def _region(point: LoadPoint, names: Sequence[VerdictName]) -> Region:
    if point.region == "overloaded":
        return "overloaded"
    if DOWN & set(names):
        return "metastable"
    if set(names) != {"RECOVERED"}:
        return "unknown"
    return "vulnerable" if point.region == "vulnerable" else "stable"


def _valid_verdicts(runs: Iterable[Run]) -> list[VerdictName]:
    judged = map(judgement_of, runs)
    return [judgement.verdict.name for judgement in judged if judgement.validity.valid]


def _finite_or_not(value: float | None) -> float:
    """A stability number of run.json, where null stands for infinity."""
    return inf if value is None else value

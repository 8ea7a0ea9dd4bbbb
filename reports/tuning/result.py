"""The result of a search for settings: outcomes, scores, constraints, the Pareto front, and the choice.

Every candidate plays several storms, of other sizes and with other seeds. Its score is the worst of them in
each measure by itself. A candidate is on the **front** where none that meets the constraints as well is at
least as good in all three objectives and better in one:

    time to recover · peak load of the pods · recovery time of the slowest shared-IP group

What is chosen from the front is least far from the best of each: the sum of ln(value / best) over the three.
"""

from collections.abc import Mapping, Sequence
from math import exp, inf, log
from typing import Any

import numpy as np
from msgspec import Struct

from reports.analysis.judgement import assess
from reports.analysis.metrics import storm_stretch
from reports.analysis.verdict import VerdictName
from reports.rundir import series
from reports.rundir.reader import Run
from reports.text import units

OBJECTIVES = ("time_to_recover_s", "peak_load", "nat_victim_s")
"""What is to be small."""

PEAK_S = 5
_SECONDS_FLOOR = 1.0
"""A second more or less is no factor: times are compared with so much added."""
_NEVER = 10.0
"""How many times over a bound counts what never came."""


class Outcome(Struct, frozen=True, kw_only=True):
    """One storm of one candidate. None where something did not come."""

    trigger: str
    """Its size, such as `share 0.5`."""
    seed: int
    verdict: VerdictName
    time_to_recover_s: float | None
    peak_load: float | None
    """Highest share of the pods' time that was occupied over five seconds, as a mean over the pods."""
    base_load: float | None
    """The same before the trigger, as a mean over the seconds."""
    nat_victim_s: float | None
    """When the slowest group of clients by shared IP had recovered, from the trigger's end."""
    availability: float | None
    """From the trigger until the whole run would have ended."""
    effective_p99_ms: float | None
    """In the first seconds after the trigger; a bound where it says no more."""


def outcome(run: Run, *, trigger: str, seed: int, until_s: int) -> Outcome:
    """The outcome of a run; one that ended before `until_s` is taken to serve all clients until then."""
    judged = assess(run)
    summary, stretch = judged.summary, storm_stretch(run)
    rows = run.between(*stretch) if stretch else []
    back = [one.back_after_s for one in summary.shared_ips]
    p99 = summary.during.effective_p99 if summary.during else None
    return Outcome(
        trigger=trigger,
        seed=seed,
        verdict=judged.verdict.name,
        time_to_recover_s=summary.recovery.time_to_recover_s,
        peak_load=_peak(series.column(rows, "pod_loop")),
        base_load=summary.before.pod_loop if summary.before else None,
        nat_victim_s=None if not back or None in back else max(one for one in back if one is not None),
        availability=_over_the_whole(summary.storm.availability, *stretch, until_s)
        if stretch and summary.storm
        else None,
        effective_p99_ms=p99.ms if p99 else None,
    )


def _peak(loads: series.Seconds) -> float | None:
    """The highest mean over `PEAK_S` seconds: the very second of a drop looks the same whatever follows."""
    length = min(PEAK_S, len(loads))
    if not length:
        return None
    return series.highest(np.convolve(loads, np.full(length, 1 / length), mode="valid"))


def _over_the_whole(share: float | None, from_s: int, to_s: int, until_s: int) -> float | None:
    calm_s = max(0, until_s - to_s)
    return None if share is None else (share * (to_s - from_s) + calm_s) / (to_s - from_s + calm_s)


class Score(Struct, frozen=True, kw_only=True):
    """The worst of several outcomes, each measure by itself. None where something did not come."""

    storms: int
    recovered: int
    time_to_recover_s: float | None
    peak_load: float | None
    nat_victim_s: float | None
    availability: float | None
    effective_p99_ms: float | None

    def objective(self, name: str) -> float:
        """The value of that name; infinite where it did not come."""
        value = getattr(self, name)
        return inf if value is None else float(value)


def score(outcomes: Sequence[Outcome]) -> Score:
    """The score of one outcome or more."""
    return Score(
        storms=len(outcomes),
        recovered=sum(one.verdict == "RECOVERED" for one in outcomes),
        availability=_worst([one.availability for one in outcomes], lowest=True),
        **{
            name: _worst([getattr(one, name) for one in outcomes])
            for name in (*OBJECTIVES, "effective_p99_ms")
        },
    )


def _worst(values: Sequence[float | None], *, lowest: bool = False) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return min(known) if lowest else max(known)


class Constraints(Struct, frozen=True, kw_only=True):
    """Bounds that settings have to meet in every storm, besides that it recovers."""

    min_availability: float = 0.0
    max_time_to_recover_s: float | None = None
    max_cpu: float | None = None
    """Of the peak load, 0 to 1."""
    max_nat_victim_s: float | None = None

    def broken(self, found: Score) -> tuple[str, ...]:
        """The constraints that a score violates, a text each."""
        return tuple(words for words, _ in self._judged(found))

    def excess(self, found: Score) -> float:
        """By how much it violates them: the sum of value ÷ bound - 1; 0 where it meets all."""
        return sum(much for _, much in self._judged(found))

    def _judged(self, found: Score) -> list[tuple[str, float]]:
        judged = []
        if found.recovered < found.storms:
            lost = found.storms - found.recovered
            judged.append((f"{lost} of {found.storms} storms not recovered", _NEVER * lost))
        for name, value, bound, write in (
            ("time to recover", found.time_to_recover_s, self.max_time_to_recover_s, units.seconds),
            ("peak load", found.peak_load, self.max_cpu, units.percent),
            ("slowest shared-IP group recovered", found.nat_victim_s, self.max_nat_victim_s, units.seconds),
        ):
            if bound is not None and (value is None or value > bound):
                much = _NEVER if value is None else value / max(bound, 1e-9) - 1
                known = (
                    f"expected ≤ {write(bound)}, got never"
                    if value is None
                    else units.expected("≤", write, bound, value)
                )
                judged.append((f"{name}: {known}", much))
        served = found.availability or 0.0
        if served < self.min_availability:
            words = units.expected("≥", units.percent, self.min_availability, served)
            judged.append((f"availability: {words}", 1 - served / self.min_availability))
        return judged


def dominates(a: Score, b: Score) -> bool:
    """Whether `a` is at least as good as `b` in every objective, and better in one."""
    pairs = [(a.objective(name), b.objective(name)) for name in OBJECTIVES]
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


def front(scores: Mapping[str, Score]) -> tuple[str, ...]:
    """Names of those that none of the others dominates, by time to recover."""
    kept = [name for name, mine in scores.items() if not any(dominates(s, mine) for s in scores.values())]
    return tuple(sorted(kept, key=lambda name: [scores[name].objective(key) for key in OBJECTIVES]))


def distance(found: Score, best: Mapping[str, float]) -> float:
    """The sum of ln(value / best) over the objectives; infinite where one did not come."""
    return sum(
        inf if found.objective(name) == inf else log(_amount(found.objective(name), name) / best[name])
        for name in OBJECTIVES
    )


def best_of_each(scores: Mapping[str, Score]) -> dict[str, float]:
    """The smallest value of each objective, as `distance` counts it."""
    return {
        name: min((_amount(one.objective(name), name) for one in scores.values()), default=inf)
        for name in OBJECTIVES
    }


def times_as_much(found: Score, other: Score) -> dict[str, float | None]:
    """How many times as much `found` takes as `other`, by objective; None where either never came."""
    result: dict[str, float | None] = {}
    for name in OBJECTIVES:
        value, base = found.objective(name), other.objective(name)
        known = value < inf and base < inf
        result[name] = _amount(value, name) / _amount(base, name) if known else None
    return result


def ranked(scores: Mapping[str, Score], constraints: Constraints) -> tuple[str, ...]:
    """All names from the best to the worst: those that meet the constraints first, then by distance.

    Those that violate them follow by excess; the name decides where everything else is equal.
    """
    best = best_of_each(scores)
    return tuple(
        sorted(
            scores,
            key=lambda name: (
                round(constraints.excess(scores[name]), 9),
                distance(scores[name], best),
                name,
            ),
        )
    )


class Tuned(Struct, frozen=True, kw_only=True):
    """A candidate with what it was given and what came of it."""

    name: str
    policy: Any
    limit: Any
    reset_backoff: str
    origin: str
    score: Score
    outcomes: tuple[Outcome, ...]
    broken: tuple[str, ...]
    """Constraints that it violates, a text each."""
    stable_after_s: float | None = None
    """With the reset rule `stable`; None: as the scenario says."""
    on_one_value: tuple[float, ...] = ()
    """By attempt, the share of clients that wait exactly the same time, while every attempt fails."""
    collapse: str = ""
    """What becomes of the jitter, as a sentence; empty where it stays."""


class StockSettings(Struct, frozen=True, kw_only=True):
    """What a stock client can do of the recommended settings."""

    client: str
    options: dict[str, Any] = {}
    """Its nearest options, under its own names; none: its defaults."""
    function: str = ""
    """How it is given the function of the recommended delays, where it takes one."""
    lost: tuple[str, ...] = ()
    """What differs from the recommended settings, a text each; nothing where it can express them."""


class Tuning(Struct, frozen=True, kw_only=True):
    """The result of a search, as tune.json has it."""

    scenario: str
    summary: str
    clients: int
    pods: int
    constraints: Constraints
    tried: int
    """Candidates that played at least one storm."""
    storms: int
    """Simulated in all, those that --resume found included."""
    complete: bool
    """False where the search was stopped before its end."""
    triggers: tuple[str, ...]
    seeds: int
    chosen: str | None
    """None where no candidate meets all constraints."""
    front: tuple[str, ...]
    """Those that meet the constraints, and that none of these dominates."""
    finalists: tuple[Tuned, ...]
    """Every candidate that played all storms, from the best to the worst."""
    settings: str = ""
    """Of the chosen one, as configuration to paste."""
    stock_clients: tuple[StockSettings, ...] = ()
    """Of the chosen one, what each stock client can do, by a distance of its delays; not simulated."""
    notes: tuple[str, ...] = ()
    command: str = ""

    def named(self, name: str) -> Tuned:
        """The finalist of that name. Raises StopIteration."""
        return next(one for one in self.finalists if one.name == name)

    def of_origin(self, origin: str) -> Tuned | None:
        """The finalist that stands for the present settings, or for the incident's own fix."""
        return next((one for one in self.finalists if origin in one.origin.split(" = ")), None)


def chosen_and_front(
    scores: Mapping[str, Score], constraints: Constraints
) -> tuple[str | None, tuple[str, ...]]:
    """(the choice, the front) among those that meet the constraints."""
    keeping = {name: found for name, found in scores.items() if not constraints.broken(found)}
    on_front = front(keeping)
    best = best_of_each(keeping)
    chosen = min(on_front, key=lambda name: (distance(keeping[name], best), name), default=None)
    return chosen, on_front


def factor(found: Score, best: Mapping[str, float]) -> float:
    """The distance as one factor: the geometric mean over the objectives of value / best."""
    return exp(distance(found, best) / len(OBJECTIVES))


def _amount(value: float, name: str) -> float:
    return value + _SECONDS_FLOOR if name.endswith("_s") else max(value, 1e-3)

"""Gates simulated on recorded runs: the false-positive rate, and the rate of missed regressions.

Runs cost time, decisions do not. Each gate draws its runs from the recorded ones, with replacement and each
side for itself, and goes on from round to round as a real one does.
"""

import random
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from msgspec import Struct

from reports.compare.statistics import share_interval
from reports.gate.decision import Decision, Outcome, decide, look_of, side_of
from reports.gate.measures import Gauge, Measured

UNCHANGED = "unchanged"


class Pool(Struct, frozen=True, kw_only=True):
    """Recorded runs of a scenario, and of the same with seeded regressions."""

    scenario: str
    commit: str
    machine: dict[str, Any]
    versions: dict[str, str]
    overrides: dict[str, tuple[str, ...]]
    """By arm, what was changed."""
    arms: dict[str, tuple[Measured, ...]]
    """By arm, its runs; `UNCHANGED` is the baseline.

    INVALID ones failed for their own reasons: runs that the host invalidated are not kept."""


class Tally(Struct, frozen=True, kw_only=True):
    """Outcomes of the gates of one arm against the unchanged one."""

    arm: str
    gates: int
    runs: int
    """Recorded ones."""
    outcomes: dict[Outcome, int]
    rounds: float
    """Mean."""
    by: dict[str, int]
    """How often each gauge was called worse."""

    def share(self, outcome: Outcome) -> tuple[float, float, float]:
        """Of the gates with that outcome, with its exact 95 % interval."""
        hits = self.outcomes.get(outcome, 0)
        low, high = share_interval(hits, self.gates)
        return hits / self.gates, low, high


def play_gate(
    baseline: Sequence[Measured],
    candidate: Sequence[Measured],
    gauges: Sequence[Gauge],
    *,
    rounds: int,
    most_rounds: int,
    rng: random.Random,
) -> tuple[Decision, int]:
    """One gate, and the number of its rounds."""
    drawn = [[rng.choice(side) for _ in range(most_rounds)] for side in (baseline, candidate)]
    number, earlier = rounds, None
    while True:
        sides = side_of("baseline", drawn[0][:number]), side_of("candidate", drawn[1][:number])
        decision = decide(
            *sides,
            gauges,
            look=look_of(*sides, rounds),
            looks=most_rounds - rounds + 1,
            earlier=earlier,
        )
        if decision.outcome in {"pass", "regression"} or number == most_rounds:
            return decision, number
        number, earlier = number + 1, decision


def tally(
    pool: Pool, arm: str, gauges: Sequence[Gauge], *, gates: int, rounds: int, most_rounds: int, seed: int = 1
) -> Tally:
    """Plays `gates` gates of an arm against the unchanged one."""
    rng = random.Random(seed)  # noqa: S311
    played = [
        play_gate(
            pool.arms[UNCHANGED], pool.arms[arm], gauges, rounds=rounds, most_rounds=most_rounds, rng=rng
        )
        for _ in range(gates)
    ]
    outcomes: dict[Outcome, int] = {}
    by: dict[str, int] = {}
    for decision, _ in played:
        outcomes[decision.outcome] = outcomes.get(decision.outcome, 0) + 1
        for finding in decision.findings:
            if finding.answer == "worse":
                by[finding.key] = by.get(finding.key, 0) + 1
    return Tally(
        arm=arm,
        gates=gates,
        runs=len(pool.arms[arm]),
        outcomes=outcomes,
        rounds=fmean(number for _, number in played),
        by=dict(sorted(by.items(), key=lambda item: -item[1])),
    )

"""Histories of gates, drawn from the recorded runs of an unchanged scenario."""

import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import msgspec

from reports.gate.commit import Commit
from reports.gate.decision import Outcome
from reports.gate.effect import spread_of
from reports.gate.history import TrendEntry
from reports.gate.measures import Measured, Value, gauges
from reports.gate.power import UNCHANGED, Pool

POOL_FILE = Path(__file__).parents[2] / "docs" / "data" / "gate-pool.json"
RUNS = 5


@cache
def pool() -> Pool:
    """Recorded runs of `gate-quick`, and of the same with seeded regressions."""
    return msgspec.json.decode(POOL_FILE.read_bytes(), type=Pool)


def level(_number: int) -> float:
    """No change."""
    return 1.0


def slips(first: int, count: int, share: float) -> Callable[[int], float]:
    """From gate `first` on, so many changes of this share, one a gate."""
    return lambda number: (1 + share) ** max(0, min(number - first + 1, count))


def history(
    rng: random.Random,
    length: int,
    /,
    *,
    machine: str = "2 cores",
    scenario: str = "gate-quick",
    **factors: Callable[[int], float],
) -> list[TrendEntry]:
    """Gates of five runs each, drawn with replacement; `factors` by measure and gate."""
    return [
        entry(
            number,
            [_times(rng.choice(pool().arms[UNCHANGED]), number, factors) for _ in range(RUNS)],
            machine=machine,
            scenario=scenario,
        )
        for number in range(length)
    ]


def entry(
    number: int,
    runs: Sequence[Measured],
    *,
    machine: str = "2 cores",
    scenario: str = "gate-quick",
    outcome: Outcome = "pass",
) -> TrendEntry:
    """A gate of these runs; its commit tells its number."""
    spreads = {gauge.key: spread_of(gauge, runs) for gauge in gauges()}
    return TrendEntry(
        commit=Commit(f"{number:04x}{'0' * 36}", f"2026-11-{1 + number % 28:02}T00:00:00+00:00"),
        recorded="2026-11-29T01:00:00+00:00",
        scenario=scenario,
        machine=machine,
        outcome=outcome,
        reason="no regression",
        runs=len(runs),
        measures={key: spread for key, spread in spreads.items() if spread is not None},
    )


def _times(run: Measured, number: int, factors: dict[str, Callable[[int], float]]) -> Measured:
    values = dict(run.values)
    for key, factor in factors.items():
        number_of = values[key].number
        values[key] = Value(None if number_of is None else number_of * factor(number), values[key].at_least)
    return Measured(run.verdict, values)

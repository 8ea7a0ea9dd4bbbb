"""Estimates of storms beside what simulations of the same storms came to."""

import time
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from reports.tuning.result import outcome
from scenarios.estimate.estimate import Estimate, estimate
from scenarios.fields import NameOrTable
from scenarios.scenario.model import Scenario
from scenarios.simulator.costs import Costs
from scenarios.tuning.evaluate import Task, storm

CLOSE_S = 2.0
CLOSE = 0.15
"""A time to recover is close where it is off by no more than this, whichever is more."""
WORDS = {"SLOW_DRAIN": "drains", "INVALID": ""}
"""What the verdict on a run without a recovery is called in an estimate; all others are `stuck`."""


def word_of(verdict: str, time_to_recover_s: float | None) -> str:
    """The same for any run. What is not valid still recovers, or not; what it does instead is unknown."""
    return "recovers" if time_to_recover_s is not None else WORDS.get(verdict, "stuck")


class Compared(Struct, frozen=True, kw_only=True):
    """One storm."""

    policy: str
    limit: str
    estimate: Estimate
    estimate_ms: float
    """CPU that the estimate took."""
    word: str
    """What the simulation came to."""
    time_to_recover_s: float | None
    availability: float | None
    """From the trigger to the end."""

    @property
    def is_stuck(self) -> bool | None:
        """Whether the simulated storm sustained itself; None where nobody knows."""
        return self.word == "stuck" if self.word else None

    @property
    def said_stuck(self) -> bool | None:
        """What the estimate says of that; None where it says nothing, or half and half."""
        forecast = self.estimate.forecast
        return None if forecast is None else forecast.chance_metastable > 0.5

    @property
    def is_right(self) -> bool | None:
        """Whether the two agree on that; None where either says nothing."""
        return None if None in (self.said_stuck, self.is_stuck) else self.said_stuck == self.is_stuck

    @property
    def is_sure(self) -> bool:
        """Whether the estimate says it with certainty."""
        forecast = self.estimate.forecast
        return forecast is not None and forecast.chance_metastable in (0.0, 1.0)

    @property
    def error_s(self) -> float | None:
        """By how much the time to recover is off; None where either has none."""
        forecast = self.estimate.forecast
        if forecast is None or forecast.time_to_recover_s is None or self.time_to_recover_s is None:
            return None
        return forecast.time_to_recover_s - self.time_to_recover_s

    @property
    def is_close(self) -> bool | None:
        """Whether the time to recover is."""
        if self.error_s is None or self.time_to_recover_s is None:
            return None
        return abs(self.error_s) <= max(CLOSE_S, CLOSE * self.time_to_recover_s)


def compare(scenario: Scenario) -> Compared:
    """Estimates a storm, and simulates it with the function that `tune` uses."""
    began_s = time.process_time()
    said = estimate(scenario)
    took_s = time.process_time() - began_s
    seed = scenario.fleet.seed
    task = Task(candidate="grid", scenario=scenario, trigger="drop", seed=seed, costs=Costs())
    found = outcome(storm(task), trigger="drop", seed=seed, until_s=scenario.phases.duration_s)
    return Compared(
        policy=_name(scenario.fleet.policy),
        limit=_name(scenario.edge.limit),
        estimate=said,
        estimate_ms=1000 * took_s,
        word=word_of(found.verdict, found.time_to_recover_s),
        time_to_recover_s=found.time_to_recover_s,
        availability=found.availability,
    )


def _name(spec: NameOrTable) -> str:
    return spec if isinstance(spec, str) else str(spec["name"])


def share(values: Sequence[bool | None]) -> str:
    """`45 of 47`, of those that are not None."""
    known = [value for value in values if value is not None]
    return f"{sum(known)} of {len(known)}"


def errors(compared: Sequence[Compared]) -> str:
    """Median and 90th percentile of the errors of times to recover, in seconds."""
    found = [abs(one.error_s) for one in compared if one.error_s is not None]
    if not found:
        return "\u2013 | \u2013"
    return " | ".join(f"{value:.1f} s" for value in np.quantile(found, (0.5, 0.9)))

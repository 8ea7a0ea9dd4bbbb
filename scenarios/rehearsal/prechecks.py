"""What has to hold before anything is broken, judged by the seconds of steady state that there are.

Every check is one function from what is known to a `PreCheck`.
"""

import resource
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from reports.rundir.schema import PreCheck
from scenarios.rehearsal.live_slo import Percentile, measured, state, told
from scenarios.runner.operator import Row
from scenarios.scenario.model import Scenario
from scenarios.scenario.slo import Objective

LEAST_STEADY_S = 2
"""Whole seconds of steady state that have to have been seen."""


class Allowed(Struct, frozen=True, kw_only=True):
    """What the validity of a run is judged by."""

    generator_lag_ms: float


class Taken(Protocol):
    """What others had of some cores in the worst seconds, as the validity of a run is judged by."""

    @property
    def what(self) -> str:
        """Who they were, and what they did."""

    @property
    def where(self) -> str:
        """Which cores."""

    @property
    def cores(self) -> float:
        """How many cores' worth."""

    @property
    def allowed_cores(self) -> float:
        """How much of that is allowed."""

    @property
    def too_much(self) -> bool:
        """Whether it is more."""


class Known(Struct, frozen=True, kw_only=True):
    """What the checks look at."""

    scenario: Scenario
    rows: Sequence[Row]
    """The whole seconds of steady state so far."""
    taken: Sequence[Taken]
    """By others in these seconds; of other processes nothing where that is not known, or no matter."""
    percentile: Percentile
    armed: Sequence[str]
    """Abort conditions in force, each with its bound."""
    remote: bool
    """The target is not on this machine's loopback."""
    needed_descriptors: int
    allowed_descriptors: int


def prechecks(known: Known, allowed: Allowed) -> tuple[PreCheck, ...]:
    """All checks, in the order in which they are shown."""
    return (
        _joined(known),
        _steady(known),
        *_objectives(known),
        _armed(known),
        _quiet(known),
        _generator(known, allowed),
        _descriptors(known),
    )


def precheck_of(objective: Objective) -> tuple[str, str]:
    """What the check of an objective of the phase `before` is called, and what it wants."""
    return f"objective: {objective.metric} {objective.phase}", f"{objective.operator} {objective.bound:g}"


def _joined(known: Known) -> PreCheck:
    wanted = known.scenario.fleet.clients
    found = min((int(row.get("connected", 0)) for row in known.rows), default=0)
    return PreCheck(
        name="all clients joined",
        wanted=f"{wanted} in every second",
        found=f"{found} in the worst second",
        passed=found == wanted,
    )


def _steady(known: Known) -> PreCheck:
    lost = sum(int(row.get("disconnects", 0)) for row in known.rows)
    tries = sum(int(row.get("attempts", 0)) for row in known.rows)
    return PreCheck(
        name="steady state measured",
        wanted=f"{LEAST_STEADY_S} s or more, nobody dropped, no try to connect",
        found=f"{len(known.rows)} s, {lost} dropped, {tries} tries",
        passed=len(known.rows) >= LEAST_STEADY_S and not lost and not tries,
    )


def _objectives(known: Known) -> list[PreCheck]:
    checks = []
    for objective in known.scenario.slo:
        if objective.phase == "before":
            value = measured(objective.metric, known.rows, known.percentile)
            name, wanted = precheck_of(objective)
            checks.append(
                PreCheck(
                    name=name,
                    wanted=wanted,
                    found=told(value),
                    passed=state(objective, value) == "holds",
                )
            )
    return checks


def _armed(known: Known) -> PreCheck:
    none = "none; the target is on this machine" if not known.remote else "none"
    conditions = ", ".join(known.armed)
    return PreCheck(
        name="abort conditions armed",
        wanted="one or more, unless the target is on this machine",
        found=f"{conditions}, for {known.scenario.abort.for_s} s in a row" if conditions else none,
        passed=bool(known.armed) or not known.remote,
    )


def _quiet(known: Known) -> PreCheck:
    # What others use is not known where parts of ours are on other machines; that is said, and fails nothing.
    knows = any(row.get("foreign_cpu") is not None for row in known.rows) or not known.rows
    found = [] if knows else ["what other processes use is not known"]
    found += [f"{one.what} {one.cores:.2f} of {one.where}" for one in known.taken]
    wanted = [f"up to {one.allowed_cores:.2f} of {one.where}" for one in known.taken]
    return PreCheck(
        name="machine quiet",
        wanted="others have " + ("; ".join(dict.fromkeys(wanted)) or "next to nothing"),
        found="; ".join(found) or "nothing is known",
        passed=not any(one.too_much for one in known.taken),
    )


def _generator(known: Known, allowed: Allowed) -> PreCheck:
    lags = sorted(row["generator_lag_p99_ms"] for row in known.rows if "generator_lag_p99_ms" in row)
    lag = lags[(len(lags) - 1) // 2] if lags else None
    return PreCheck(
        name="generator on time",
        wanted=f"p99 loop lag of the median second up to {allowed.generator_lag_ms:g} ms",
        found="not known" if lag is None else f"{lag:.1f} ms",
        passed=lag is not None and lag <= allowed.generator_lag_ms,
    )


def _descriptors(known: Known) -> PreCheck:
    unlimited = known.allowed_descriptors == resource.RLIM_INFINITY
    return PreCheck(
        name="file descriptors",
        wanted=f"{known.needed_descriptors} or more",
        found="unlimited" if unlimited else str(known.allowed_descriptors),
        passed=unlimited or known.allowed_descriptors >= known.needed_descriptors,
    )

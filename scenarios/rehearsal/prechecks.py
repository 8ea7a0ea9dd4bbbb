"""Checks before the first fault, based on the seconds of steady state so far.

Every check is one function from `PrecheckInput` to a `PreCheck`.
"""

import resource
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from reports.rundir.schema import PreCheck
from reports.text import units
from reports.text.slo import limit_text, metric_name, write_against
from scenarios.rehearsal.live_slo import Percentile, measured, state
from scenarios.runner.operator import Row
from scenarios.scenario.model import Scenario
from scenarios.scenario.slo import Objective

LEAST_STEADY_S = 2
"""Least number of whole seconds of steady state."""


class Thresholds(Struct, frozen=True, kw_only=True):
    """Thresholds that the validity of a run uses, too."""

    generator_lag_ms: float


class Taken(Protocol):
    """CPU of other processes on some cores in the worst seconds, as the validity of a run uses it."""

    @property
    def what(self) -> str:
        """Who used the CPU, such as `other processes used`."""

    @property
    def where(self) -> str:
        """Which cores."""

    @property
    def cores(self) -> float:
        """CPU used, in cores."""

    @property
    def allowed_cores(self) -> float:
        """Tolerance, in cores."""

    @property
    def too_much(self) -> bool:
        """Whether it exceeds the tolerance."""


class PrecheckInput(Struct, frozen=True, kw_only=True):
    """The data that the checks use."""

    scenario: Scenario
    rows: Sequence[Row]
    """The whole seconds of steady state so far."""
    taken: Sequence[Taken]
    """CPU of other processes in these seconds; empty if unknown, or irrelevant."""
    percentile: Percentile
    armed: Sequence[str]
    """Abort conditions in force, each with its bound."""
    remote: bool
    """The target is not on this machine's loopback."""
    needed_descriptors: int
    allowed_descriptors: int


def prechecks(known: PrecheckInput, thresholds: Thresholds) -> tuple[PreCheck, ...]:
    """All checks, in the order in which they are shown."""
    return (
        _joined(known),
        _steady(known),
        *_objectives(known),
        _armed(known),
        _quiet(known),
        _generator(known, thresholds),
        _descriptors(known),
    )


def precheck_of(objective: Objective) -> tuple[str, str]:
    """Name and expectation of the check for an objective of the phase `before`."""
    return f"SLO: {metric_name(objective.metric)} {objective.phase}", limit_text(objective)


def _joined(known: PrecheckInput) -> PreCheck:
    wanted = max((int(row.get("clients", 0)) for row in known.rows), default=known.scenario.fleet.clients)
    found = min((int(row.get("connected", 0)) for row in known.rows), default=0)
    return PreCheck(
        name="all clients joined",
        wanted=f"{units.count(wanted)} in every second",
        found=f"{units.count(found)} in the worst second",
        passed=found == wanted,
    )


def _steady(known: PrecheckInput) -> PreCheck:
    lost = sum(int(row.get("disconnects", 0)) for row in known.rows)
    attempts = sum(int(row.get("attempts", 0)) for row in known.rows)
    return PreCheck(
        name="steady state measured",
        wanted=f"at least {LEAST_STEADY_S} s, no disconnects, no connection attempts",
        found=f"{len(known.rows)} s, {lost} disconnects, {attempts} attempts",
        passed=len(known.rows) >= LEAST_STEADY_S and not lost and not attempts,
    )


def _objectives(known: PrecheckInput) -> list[PreCheck]:
    checks = []
    for objective in known.scenario.slo:
        if objective.phase == "before":
            value = measured(objective.metric, known.rows, known.percentile)
            name, wanted = precheck_of(objective)
            checks.append(
                PreCheck(
                    name=name,
                    wanted=wanted,
                    found="unknown" if value is None else write_against(objective, value),
                    passed=state(objective, value) == "met",
                )
            )
    return checks


def _armed(known: PrecheckInput) -> PreCheck:
    none = "none; the target is on this host" if not known.remote else "none"
    conditions = ", ".join(known.armed)
    return PreCheck(
        name="abort conditions armed",
        wanted="at least one, unless the target is on this host",
        found=f"{conditions}, for {known.scenario.abort.for_s} consecutive seconds" if conditions else none,
        passed=bool(known.armed) or not known.remote,
    )


def _quiet(known: PrecheckInput) -> PreCheck:
    # Unknown if parts of the stack are on other hosts; that does not fail the check.
    knows = any(row.get("foreign_cpu") is not None for row in known.rows) or not known.rows
    found = [] if knows else ["CPU of other processes: unknown"]
    found += [f"{one.what} {one.cores:.2f} of {one.where}" for one in known.taken]
    wanted = [f"up to {one.allowed_cores:.2f} of {one.where}" for one in known.taken]
    return PreCheck(
        name="host quiet",
        wanted="CPU of other processes " + ("; ".join(dict.fromkeys(wanted)) or "near 0"),
        found="; ".join(found) or "unknown",
        passed=not any(one.too_much for one in known.taken),
    )


def _generator(known: PrecheckInput, thresholds: Thresholds) -> PreCheck:
    lags = sorted(row["generator_lag_p99_ms"] for row in known.rows if "generator_lag_p99_ms" in row)
    lag = lags[(len(lags) - 1) // 2] if lags else None
    wanted, found = units.distinct(units.milliseconds, thresholds.generator_lag_ms, lag)
    return PreCheck(
        name="generator on time",
        wanted=f"p99 loop lag of the median second at most {wanted}",
        found="unknown" if lag is None else found,
        passed=lag is not None and lag <= thresholds.generator_lag_ms,
    )


def _descriptors(known: PrecheckInput) -> PreCheck:
    unlimited = known.allowed_descriptors == resource.RLIM_INFINITY
    return PreCheck(
        name="file descriptors",
        wanted=f"at least {known.needed_descriptors}",
        found="unlimited" if unlimited else str(known.allowed_descriptors),
        passed=unlimited or known.allowed_descriptors >= known.needed_descriptors,
    )

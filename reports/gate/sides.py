"""Which runs a gate may set against each other, and what it takes from them.

Baseline and candidate may differ in whatever a change may have touched: policy, limit, costs, watchdog. They
may not differ in the load, the faults and the stretches of time, on which every number depends, nor in the
machine and in what other packages it runs.
"""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from reports.comparable import ComparisonError, variables
from reports.gate.decision import Side
from reports.gate.gauges import ALLOWED_KEYS, measured
from reports.judgement import judgement_of
from reports.record import Run

OURS = "reconnect-storm"
"""The package whose versions are what is compared."""

LOAD_KEYS = ("fleet.clients", "fleet.clients_per_ip", "feed.rate_hz", "feed.payload_bytes", "target.url")

BASELINE, CANDIDATE = "baseline", "candidate"


def side(name: str, runs: Sequence[Run]) -> Side:
    """What a gate needs to know of these runs."""
    judged = [judgement_of(run) for run in runs]
    problems = [
        problem for found in judged if not found.validity.valid for problem in found.validity.problems
    ]
    return Side(
        name=name,
        runs=len(runs),
        measured=tuple(measured(found, ALLOWED_KEYS) for found in judged if found.validity.valid),
        problems=tuple(dict.fromkeys(problems)),
        failures=tuple(run.info.problem for run in runs if run.info.status == "failed"),
    )


def of_one_arm(runs: Sequence[Run], arm: str, source: str) -> list[Run]:
    """The runs of an arm; without a name, those of the only arm. Raises ComparisonError."""
    studied = [run for run in runs if not run.info.control]
    arms = list(dict.fromkeys(run.info.arm for run in studied))
    if arm and arm not in arms:
        raise ComparisonError(f"{source}: found no arm {arm!r}, allowed: {', '.join(map(repr, arms))}")
    if not arm and len(arms) > 1:
        raise ComparisonError(
            f"{source}: found runs of several arms, allowed: one of {', '.join(map(repr, arms))}, "
            f"such as {source}@{arms[0]}"
        )
    return [run for run in studied if not arm or run.info.arm == arm]


def changes(
    baseline: Sequence[Run], candidate: Sequence[Run], *, same_scenario: bool = True
) -> tuple[str, ...]:
    """The keys of the scenario in which the two sides differ.

    same_scenario: both have to be versions of one scenario, as their names tell; two files that somebody set
    against each other need not. Raises ComparisonError where they must not be compared.
    """
    every = [_as(BASELINE, run) for run in baseline] + [_as(CANDIDATE, run) for run in candidate]
    found = variables(every)
    ours, theirs = baseline[0], candidate[0]
    for key in (("name",) if same_scenario else ()) + LOAD_KEYS:
        values = [_setting(run.info.scenario, key) for run in (ours, theirs)]
        if values[0] != values[1]:
            raise ComparisonError(
                f"the baseline is a foreign one: key {key}: found {values[0]!r} in {ours.directory} and "
                f"{values[1]!r} in {theirs.directory}, allowed: the same load on both sides"
            )
    return found


def _as(arm: str, run: Run) -> Run:
    """The same run in this arm, with nothing of our own version, which is what a gate compares."""
    versions = {name: found for name, found in run.info.versions.items() if name != OURS}
    return replace(run, info=replace(run.info, arm=arm, versions=versions))


def _setting(scenario: dict[str, Any], key: str) -> Any:
    section, _, name = key.partition(".")
    found = scenario.get(section)
    return found.get(name) if name and isinstance(found, dict) else found

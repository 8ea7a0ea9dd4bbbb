"""Which runs a gate may compare, and what it takes from them.

Baseline and candidate may differ in whatever a change may have touched: policy, limit, costs, watchdog. They
may not differ in the load, the faults and the stretches of time, on which every number depends, nor in the
machine and in what other packages it runs.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from reports.analysis.judgement import judgement_of
from reports.analysis.shared_ips import groups_of
from reports.compare.comparable import ComparisonError, variables
from reports.compare.one_reference import on_one_reference, reference_warning
from reports.gate.commit import Commit
from reports.gate.decision import Side
from reports.gate.measures import ALLOWED_KEYS, measured
from reports.rundir.reader import Run
from reports.rundir.schema import STOPPED_BY_USER

OWN_PACKAGE = "reconnect-storm"
"""The package whose versions are what is compared."""

LOAD_KEYS = ("fleet.clients", "fleet.clients_per_ip", "feed.rate_hz", "feed.payload_bytes", "target.url")

GROUP_LOAD_KEYS = ("clients_per_ip", "protocol")
"""Of each group of a mixed fleet, besides its share."""

_ROUND = re.compile(r"(\d{2,3})(?:-(?:try|attempt)\d+)?")
"""The folder of a round's run, or of another attempt at it."""

BASELINE, CANDIDATE = "baseline", "candidate"


def side(
    name: str,
    runs: Sequence[Run],
    missing: int = 0,
    *,
    commit: Commit | None = None,
    working_tree: bool = False,
) -> Side:
    """What a gate needs to know of these runs; `missing` are rounds that left none.

    A run that its user stopped says nothing of the side, and is no round of it.
    """
    judged = [judgement_of(run) for run in runs if not _was_stopped(run)]
    invalid = [judgement.validity for judgement in judged if not judgement.validity.valid]
    problems = [problem for validity in invalid for problem in validity.problems]
    if missing:
        problems.append(f"{missing} round{'s' if missing > 1 else ''} produced no run directory")
    return Side(
        name=name,
        runs=len(judged) + missing,
        measured=tuple(measured(judgement, ALLOWED_KEYS) for judgement in judged if judgement.validity.valid),
        problems=tuple(dict.fromkeys(problems)),
        failures=tuple(run.info.problem for run in runs if run.info.status == "failed"),
        disturbed=sum(validity.invalidated_by_host for validity in invalid),
        commit=commit,
        working_tree=working_tree,
    )


def _was_stopped(run: Run) -> bool:
    return run.info.status == "interrupted" and run.info.problem == STOPPED_BY_USER


def missing_rounds(folder: Path) -> int:
    """Rounds of one side of a gate, or of one arm alone, that left no run in this folder: a process that
    crashed before it began to record leaves a folder without one, or none at all."""
    rounds: dict[int, bool] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _ROUND.fullmatch(path.name)
        if match and path.is_dir():
            number = int(match[1])
            rounds[number] = rounds.get(number, False) or any(path.rglob("run.json"))
    if not any(rounds.values()):
        return 0
    return max(rounds) - min(rounds) + 1 - sum(rounds.values())


def of_one_arm(runs: Sequence[Run], arm: str, source: str) -> list[Run]:
    """The runs of an arm; without a name, those of the only arm. Raises ComparisonError."""
    studied = [run for run in runs if not run.info.control]
    arms = list(dict.fromkeys(run.info.arm for run in studied))
    if arm and arm not in arms:
        raise ComparisonError(f"{source}: invalid arm {arm!r}: expected {', '.join(map(repr, arms))}")
    if not arm and len(arms) > 1:
        raise ComparisonError(
            f"{source}: has runs of several arms: expected one of {', '.join(map(repr, arms))}, "
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
    every = [_in_arm(BASELINE, run) for run in baseline] + [_in_arm(CANDIDATE, run) for run in candidate]
    varied = variables(every)
    ours, theirs = baseline[0], candidate[0]
    keys = (("name",) if same_scenario else ()) + LOAD_KEYS
    before, after = (
        {key: _setting(run.info.scenario, key) for key in keys} | _groups_load(run) for run in (ours, theirs)
    )
    for key in dict.fromkeys([*before, *after]):
        was, now = before.get(key), after.get(key)
        if was != now:
            raise ComparisonError(
                f"baseline was recorded with a different load: {key}: {was!r} in {ours.directory}, "
                f"{now!r} in {theirs.directory}: expected the same load on both sides"
            )
    return varied


def sides_on_one_reference(
    baseline: Sequence[Run], candidate: Sequence[Run]
) -> tuple[list[Run], list[Run], str]:
    """Both sides with judgements that may be compared, and a warning where not all of their latencies count
    alike."""
    sides = [_in_arm(BASELINE, run) for run in baseline] + [_in_arm(CANDIDATE, run) for run in candidate]
    found = on_one_reference(sides)
    return found[: len(baseline)], found[len(baseline) :], reference_warning(sides)


def _in_arm(arm: str, run: Run) -> Run:
    """The same run in this arm, with nothing of our own version, which is what a gate compares."""
    versions = {name: version for name, version in run.info.versions.items() if name != OWN_PACKAGE}
    return replace(run, info=replace(run.info, arm=arm, versions=versions))


def _groups_load(run: Run) -> dict[str, Any]:
    """What the groups of a mixed fleet add to the load; a share that is left out is that of the rest."""
    groups = groups_of(run)
    rest = 1 - sum(group.get("share") or 0.0 for group in groups)
    found: dict[str, Any] = {}
    for group in groups:
        share = rest if group.get("share") is None else group["share"]
        key = f"fleet.group.{group['name']}"
        found[f"{key}.share"] = round(share, 6)
        found |= {f"{key}.{name}": group.get(name) for name in GROUP_LOAD_KEYS}
    return found


def _setting(scenario: dict[str, Any], key: str) -> Any:
    section, _, name = key.partition(".")
    value = scenario.get(section)
    return value.get(name) if name and isinstance(value, dict) else value

"""What a report says, in order, as plain text: the templates only lay it out."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from reports import units
from reports.against import AgainstRow, against_rows
from reports.comparable import by_arm
from reports.comparison import Comparison, compare
from reports.control import control_lines, under_control
from reports.judgement import judgement_of
from reports.measures import KEY_MEASURES
from reports.neighbours import Neighbourhood, NeighbourRow, neighbour_rows
from reports.record import Run
from reports.stability import stability_rows
from reports.statistics import extremes_confidence, runs_needed
from reports.table import GridRow, experience_grid, main_grid


class StabilityRow(Struct, frozen=True):
    """One stability number, explained, for every arm."""

    symbol: str
    meaning: str
    cells: tuple[str, ...]


class RunRow(Struct, frozen=True, kw_only=True):
    """One run, and what is to be said about it alone."""

    arm: str
    round: int
    seed: int
    started_utc: str
    directory: str
    verdict: str
    reason: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


class Page(Struct, frozen=True, kw_only=True):
    """The content of a report."""

    title: str
    about: str
    """The scenario's own summary."""
    comparison: Comparison
    arms: tuple[str, ...]
    table: tuple[GridRow, ...]
    against: tuple[AgainstRow, ...]
    """The other arms against the first; empty where there are too few runs for that."""
    runs_to_decide: int
    """Valid runs that each arm needs until a test of all key measures together can decide."""
    extremes_confidence: str
    """How often the extremes of three, four and five runs hold the true median."""
    controls: tuple[str, ...]
    """A line for every control run."""
    stability: tuple[StabilityRow, ...]
    neighbours: tuple[NeighbourRow, ...]
    runs: tuple[RunRow, ...]
    experience: tuple[GridRow, ...]
    versions: dict[str, str]
    machine: dict[str, str]
    scenario: str
    """As TOML."""
    commands: tuple[str, ...]


def page(runs: Sequence[Run]) -> Page:
    """The report on one run or on several. Raises ComparisonError where they must not be compared."""
    comparison = compare(runs)
    runs = under_control(runs, comparison.controls)
    arms = by_arm(runs)
    first = next(iter(arms.values()))[0].info
    stability = stability_rows({name: group[0].info.stability for name, group in arms.items()})
    name = str(first.scenario.get("name") or first.arm)
    several = len(comparison.arms) > 1
    return Page(
        title=f"{name}: {len(comparison.arms)} arms compared" if several else name,
        about=str(first.scenario.get("summary", "")),
        comparison=comparison,
        arms=tuple(arm.name for arm in comparison.arms),
        table=tuple(main_grid(comparison)),
        against=tuple(against_rows(comparison)),
        runs_to_decide=runs_needed(len(KEY_MEASURES)),
        extremes_confidence=", ".join(f"{extremes_confidence(number) * 100:.0f}" for number in (3, 4, 5)),
        controls=tuple(control_lines(comparison.controls)),
        stability=tuple(StabilityRow(n.symbol, n.meaning, tuple(texts)) for n, texts in stability),
        neighbours=tuple(neighbour_rows(neighbours_of(arms))),
        runs=tuple(_run_row(run) for run in sorted(runs, key=lambda run: run.info.started_utc)),
        experience=tuple(experience_grid(comparison)),
        versions={key: str(value) for key, value in first.versions.items()},
        machine={key.replace("_", " "): _plain(value) for key, value in first.machine.items()},
        scenario=scenario_listing(first.scenario, comparison),
        commands=tuple(dict.fromkeys(shlex.join(run.info.command) for run in runs)),
    )


def neighbours_of(arms: Mapping[str, Sequence[Run]]) -> dict[str, list[tuple[Neighbourhood, ...]]]:
    """For each arm, what its runs say by how many clients share an address."""
    return {name: [judgement_of(run).summary.neighbours for run in runs] for name, runs in arms.items()}


def scenario_listing(scenario: Mapping[str, Any], comparison: Comparison | None = None) -> str:
    """A resolved scenario as TOML; keys that differ between arms say so. What is left out is not in it."""
    plain = [(key, value) for key, value in scenario.items() if not _is_table(value) and value != ""]
    lines = [f"{key} = {_toml(value)}" for key, value in plain]
    shown = []
    for section, value in scenario.items():
        tables = {section: value} if isinstance(value, Mapping) else {}
        if _is_table(value) and not tables:
            tables = {f"{section}.{number}": entry for number, entry in enumerate(value)}
        for name, table in tables.items():
            if table:
                heading = f"[{section}]" if name == section else f"[[{section}]]{_varied(name, comparison)}"
                lines += ["", heading]
                lines += [
                    f"{_toml_key(key)} = {_toml(item)}{_varied(f'{name}.{key}', comparison)}"
                    for key, item in table.items()
                    if item is not None
                ]
                shown += [name, *(f"{name}.{key}" for key, item in table.items() if item is not None)]
    others = [key for key in comparison.variables if key not in shown] if comparison else []
    lines += ["", *(f"# {key}{_varied(key, comparison)[3:]}" for key in others)] if others else []
    return "\n".join(lines).strip()


def _run_row(run: Run) -> RunRow:
    judgement = judgement_of(run)
    return RunRow(
        arm=run.info.arm,
        round=run.info.round,
        seed=run.info.seed,
        started_utc=run.info.started_utc,
        directory=run.directory.name,
        verdict=judgement.verdict.name,
        reason=judgement.verdict.reason,
        problems=judgement.validity.problems,
        warnings=judgement.validity.warnings,
    )


def _varied(key: str, comparison: Comparison | None) -> str:
    if comparison is None or key not in comparison.variables:
        return ""
    values = dict.fromkeys(arm.settings[key] for arm in comparison.arms)
    return f"  # differs by arm: {', '.join(values)}"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Mapping) for item in value)
    )


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key, ensure_ascii=False)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or units.NOTHING
    return units.NOTHING if value is None else str(value)

"""What a report says, in order, as plain text: the templates only lay it out."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from reports import units
from reports.comparable import by_arm
from reports.comparison import Comparison, compare
from reports.judgement import judgement_of
from reports.neighbours import Neighbourhood, NeighbourRow, neighbour_rows
from reports.record import Run
from reports.stability import stability_rows
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
    """A resolved scenario as TOML; keys that differ between arms say so."""
    plain = [(key, value) for key, value in scenario.items() if not _is_table(value) and value != ""]
    lines = [f"{key} = {_toml(value)}" for key, value in plain]
    for section, value in scenario.items():
        if isinstance(value, Mapping) and value:
            lines += ["", f"[{section}]"]
            lines += [
                f"{_toml_key(key)} = {_toml(item)}{_varied(f'{section}.{key}', comparison)}"
                for key, item in value.items()
            ]
        elif _is_table(value):
            for entry in value:
                lines += ["", f"[[{section}]]"]
                lines += [f"{_toml_key(key)} = {_toml(item)}" for key, item in entry.items()]
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

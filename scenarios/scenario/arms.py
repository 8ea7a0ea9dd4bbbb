"""The arms of a comparison: what a matrix crosses, or what `[arms]` names."""

from collections.abc import Iterable
from typing import Any

import msgspec

from reports.rundir.toml import label
from scenarios.scenario.fleet.groups import OVERRIDES
from scenarios.scenario.model import Scenario
from scenarios.scenario.overrides import set_key
from scenarios.scenario.program import forget_stub
from scenarios.scenario.redact import shown_arms, shown_at, shown_key
from scenarios.scenario.redact_text import shown_text, told_apart
from scenarios.scenario.toml import steps
from scenarios.scenario.validate import ScenarioError, build


def arms(scenario: Scenario, *, source: str = "matrix") -> dict[str, Scenario]:
    """The scenarios that `[matrix]` crosses or `[arms]` names, by label; without either, the one alone."""
    crossed: dict[str, dict[str, Any]] = {"": {}}
    if scenario.arms:
        crossed = dict(zip(shown_arms(scenario.arms), scenario.arms.values(), strict=True))
    for key, values in scenario.matrix.items():
        labels = [_label(key, value) for value in values]
        if len(set(labels)) < len(labels):
            raise ScenarioError(
                f"{source}: matrix.{shown_key(key)}: duplicate value: expected each value once"
            )
        # Two values that differ in a secret alone are two arms as well.
        labels = told_apart([_label(shown_key(key), shown_at(steps(key), value)) for value in values])
        crossed = {
            f"{before} + {label}" if before else label: {**settings, key: value}
            for before, settings in crossed.items()
            for label, value in zip(labels, values, strict=True)
        }
    result = {}
    for arm, settings in crossed.items():
        table = msgspec.json.decode(msgspec.json.encode(scenario))
        table["matrix"] = table["arms"] = {}
        for key, value in settings.items():
            set_key(table, key, value, source=f"{source}: matrix")
        forget_stub(table, settings)
        built = build(table, source=source)
        refuse_without_effect(built, settings, source=source)
        result[arm or shown_text(scenario.name)] = built
    return result


def refuse_without_effect(scenario: Scenario, keys: Iterable[str], *, source: str) -> None:
    """Raises ScenarioError where one of these keys sets what every group of the fleet says itself."""
    for key in keys:
        section, *names = steps(key)[:2]
        if section != "fleet" or not scenario.fleet.group or not set(names) & set(OVERRIDES):
            continue
        (name,) = names
        if all(getattr(group, name) is not None for group in scenario.fleet.group):
            groups = "|".join(group.name for group in scenario.fleet.group)
            raise ScenarioError(
                f"{source}: fleet.{name}: no effect: each group of the fleet has its own {name}:"
                f" expected fleet.group.({groups}).{name}"
            )


def set_by_every_arm(scenario: Scenario) -> set[str]:
    """The keys, as paths with dots, that each arm of the scenario sets itself."""
    of_arms = [set(settings) for settings in scenario.arms.values()] or [set(scenario.matrix)]
    return {".".join(steps(key)) for key in set.intersection(*of_arms)}


def _label(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"{key.rpartition('.')[2]}={str(value).lower()}"
    return label(value)

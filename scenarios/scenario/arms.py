"""The arms of a comparison: what a matrix crosses, or what `[arms]` names."""

from typing import Any

import msgspec

from reports.rundir.toml import label
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
        result[arm or shown_text(scenario.name)] = build(table, source=source)
    return result


def _label(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"{key.rpartition('.')[2]}={str(value).lower()}"
    return label(value)

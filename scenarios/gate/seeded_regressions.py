"""Regressions to plant into a scenario, as pull requests bring them: a gate has to find each of them.

Six are for scenarios of the built-in stub. Those of a user's own gateway are in a file.
"""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scenarios.fields import invalid
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError


def _policy(scenario: Scenario, key: str, value: float) -> tuple[str, ...]:
    """The scenario's policy with another parameter, which has to be one of it."""
    policy = scenario.fleet.policy
    table: dict[str, Any] = {"name": policy} if isinstance(policy, str) else dict(policy)
    table[key] = value
    fields = ", ".join(f"{name} = {json.dumps(found)}" for name, found in table.items())
    return (f"fleet.policy={{ {fields} }}",)


SEEDED: dict[str, Callable[[Scenario], tuple[str, ...]]] = {
    "jitter removed": lambda scenario: _policy(scenario, "jitter", 0),
    "cap lowered to 1 s": lambda scenario: _policy(scenario, "max_ms", 1000),
    "limit dropped": lambda _: ("edge.limit=none",),
    "limit on all requests": lambda _: ("edge.limit=per-ip-all-requests",),
    "handshake cost + 50 %": lambda scenario: (
        f"gateway.handshake_cpu_ms={1.5 * scenario.gateway.handshake_cpu_ms}",
    ),
    "stale watchdog halved": lambda scenario: (f"fleet.stale_after_s={scenario.fleet.stale_after_s / 2}",),
}
"""By name, what overrides plant it into a scenario."""


def seeded(scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """By name, the overrides of each regression of the built-in stub.

    Raises ScenarioError for a gateway of the user's own.
    """
    if scenario.gateway.command:
        raise ScenarioError(
            f"{scenario.name}: the built-in regressions do not fit gateway.command: expected --regressions "
            "FILE"
        )
    return {name: plant(scenario) for name, plant in SEEDED.items()}


def read_regressions(path: Path) -> dict[str, tuple[str, ...]]:
    """By name, the overrides of each regression in a TOML file.

    Each has a table of dotted keys, as in `[arms]`. Raises ScenarioError.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path}: {error}") from None
    for name, table in tables.items():
        if not isinstance(table, dict) or not table:
            raise ScenarioError(f"{path}: {invalid(name, table, 'a table of keys and values, as in [arms]')}")
        for key, value in table.items():
            if not isinstance(value, str | int | float):
                raise ScenarioError(
                    f"{path}: {invalid(f'{name}.{key}', value, 'text, a number or a truth value')}"
                )
    if not tables:
        raise ScenarioError(f"{path}: no regression: expected a table for each")
    return {
        name: tuple(f"{key}={json.dumps(value)}" for key, value in table.items())
        for name, table in tables.items()
    }

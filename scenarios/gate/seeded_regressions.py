"""Six regressions to plant into a scenario, as pull requests bring them: a gate has to find each of them."""

import json
from collections.abc import Callable
from typing import Any

from scenarios.scenario.model import Scenario


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

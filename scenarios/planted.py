"""Six regressions to plant into a scenario, as pull requests bring them: a gate has to find each of them."""

import json
from collections.abc import Callable

from scenarios.model import Scenario

JITTERED = "incident"
"""The policy whose jitter and cap are taken away."""

PLANTED: dict[str, Callable[[Scenario], tuple[str, ...]]] = {
    "jitter removed": lambda _: (f'fleet.policy={{name="{JITTERED}", jitter=0}}',),
    "cap lowered to 1 s": lambda _: (f'fleet.policy={{name="{JITTERED}", max_ms=1000}}',),
    "limit dropped": lambda _: ("edge.limit=none",),
    "limit on all requests": lambda _: ("edge.limit=per-ip-all-requests",),
    "handshake cost + 50 %": lambda scenario: (
        f"gateway.handshake_cpu_ms={json.dumps(1.5 * scenario.gateway.handshake_cpu_ms)}",
    ),
    "stale watchdog halved": lambda scenario: (
        f"fleet.stale_after_s={json.dumps(scenario.fleet.stale_after_s / 2)}",
    ),
}
"""By name, what overrides plant it into a scenario."""

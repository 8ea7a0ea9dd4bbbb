"""What `run` and `compare` say of policies whose jitter ends on one value, before they begin."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from reports.rundir.toml import label
from scenarios.policies.collapse import jitter_lost, outages
from scenarios.policies.registry import policy
from scenarios.scenario.model import Scenario

_DRAWS = 300


def jitter_lines(scenarios: Iterable[Scenario]) -> Iterator[str]:
    """A warning for each policy of the clients that is capped after its jitter."""
    specs = {label(part.fleet.policy): part.fleet.policy for one in scenarios for part in one.fleet.parts}
    for name, spec in specs.items():
        # A policy of the user's own may fail; its clients will say so.
        with suppress(Exception):
            if lost := jitter_lost(outages(policy(spec), seed=1, draws=_DRAWS)):
                yield f"Warning: policy {name}: {lost}"

"""A gateway of the user's own in the model: the same scenario with the model's pods, and measured costs."""

import msgspec
from msgspec.structs import replace

from scenarios.scenario.model import Feed, Gateway, Scenario, Target
from scenarios.scenario.overrides import parse_override, set_key
from scenarios.scenario.validate import build
from scenarios.simulator.costs import CostFileError, Costs


def modelled(scenario: Scenario, costs: Costs, keys: tuple[str, ...]) -> tuple[Scenario, Costs]:
    """The scenario with the model's gateway in the place of the user's own, and the costs on top of its keys.

    keys: the keys of a scenario that a file of costs stands for; none where the costs were fitted to runs.
    The whole handshake is split as the stub splits it, between upgrade and join. Raises CostFileError.
    """
    if not keys:
        keys, costs = _whole(costs)
    gateway, feed = scenario.gateway, scenario.feed
    stub = replace(
        scenario,
        gateway=Gateway(pods=gateway.pods, cores=gateway.cores, balance=gateway.balance),
        feed=Feed(rate_hz=feed.rate_hz, payload_bytes=feed.payload_bytes, event=feed.event),
        # The model replays nothing: what a client had missed stays lost.
        fleet=replace(scenario.fleet, recovery=False),
        # What a limit by token counts; where the gateway is, and what it is told, is no part of the model.
        target=Target(
            headers=scenario.target.headers,
            cookies=scenario.target.cookies,
            credentials=scenario.target.credentials,
        ),
        service=(),
        folder="",
    )
    table = msgspec.to_builtins(stub)
    for key, value in map(parse_override, keys):
        set_key(table, key, value, source="--costs")
    return build(table, source="--costs", default_name=scenario.name), costs


def _whole(costs: Costs) -> tuple[tuple[str, ...], Costs]:
    """Costs on top of a scenario's keys as these keys, and what then comes on top of them."""
    handshake_ms = (costs.upgrade_cpu_s + costs.join_cpu_s) * 1e3
    if not handshake_ms:
        raise CostFileError("the costs have no CPU for a handshake: expected upgrade_cpu_s or join_cpu_s > 0")
    keys = (f"gateway.handshake_cpu_ms={handshake_ms}", f"gateway.tick_cpu_us={costs.tick_cpu_s * 1e6}")
    return keys, replace(costs, upgrade_cpu_s=0.0, join_cpu_s=0.0, tick_cpu_s=0.0)

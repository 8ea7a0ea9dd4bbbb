"""One pod of a scenario, as the chain sees it: all pods are alike, and clients are divided evenly."""

from msgspec import Struct

from gateway_stub.protocol import UPGRADE_SHARE
from scenarios.clients.protocol.round_trips import ROUND_TRIPS_PER_ATTEMPT
from scenarios.events.drop import DropShare
from scenarios.scenario.fleet.groups import address_kinds
from scenarios.scenario.model import Scenario
from scenarios.scenario.stability import edge_limits
from scenarios.simulator.costs import LONGEST_QUEUE, Costs


class SharedIps(Struct, frozen=True):
    """Clients by how many of them share an IP."""

    share: float
    """Of all clients."""
    clients: int
    """Behind each of their IPs, whichever pods these are at."""


class Bucket(Struct, frozen=True):
    """A rate of new connections at the proxy."""

    rate_per_s: float
    room: float
    """Connections that pass at once: the burst, and the one that is free."""
    per_address: bool
    """Whether each IP has one; otherwise all clients share it."""


class Pod(Struct, frozen=True, kw_only=True):
    """What one pod can do, and what it is asked for. Numbers of clients need not be whole."""

    returning: float
    """Clients that lose their session."""
    staying: float
    """Clients that keep it."""
    speed: float
    """Seconds of work per second, while all pods are busy: less than 1 where they share cores."""
    proxy_cores: float
    """Of the speed, what a new connection per second and pod takes for the proxy."""
    tick_cores: float
    """Of the speed, what a client with a feed takes for the proxy."""
    idle: float
    """Seconds of work per second of a pod without clients."""
    upgrade_s: float
    """Work of a connection that is taken from the accept queue, its client there or not."""
    join_s: float
    """Further work where the client is there."""
    join_cpu_s: float
    """CPU of a whole handshake: less than its work where pods occupy their loops."""
    tick_s: float
    """Work of one tick to one client."""
    close_s: float
    """Work of one session's end."""
    rate_hz: float
    """Ticks per second."""
    turns_per_tick: int
    """Turns of the loop in which a tick goes out; a busy pod takes one connection in each."""
    backlog: int
    """Connections that the accept queue holds."""
    timeout_s: float
    """From the start of an attempt until the client gives it up."""
    travel_s: tuple[float, float]
    """From the start of an attempt until it is in the queue: shortest and longest."""
    shared_ips: tuple[SharedIps, ...] = (SharedIps(1.0, 1),)
    """The shares sum to 1."""
    buckets: tuple[Bucket, ...] = ()
    """A connection has to pass all of them."""
    pods: int = 1
    """Like this one."""

    @property
    def clients(self) -> float:
        """Of the pod."""
        return self.returning + self.staying


def pod_of(scenario: Scenario, costs: Costs) -> Pod:
    """The pod of a scenario whose first fault drops a share of the clients, with the costs of the model."""
    fleet, gateway = scenario.fleet, scenario.gateway
    shares = (event.share for event in scenario.event if event.enabled and isinstance(event, DropShare))
    share = next(shares, 1.0)
    each = fleet.clients / gateway.pods
    burns = gateway.cpu == "burn"
    cores = gateway.cores if burns else gateway.pods
    handshake_s = gateway.handshake_cpu_ms / 1000
    upgrade_s = UPGRADE_SHARE * handshake_s + costs.upgrade_cpu_s
    join_s = (1 - UPGRADE_SHARE) * handshake_s + costs.join_cpu_s
    speed = (cores - costs.nginx_idle_cpu) / gateway.pods if burns else 1.0
    return Pod(
        returning=share * each,
        staying=(1 - share) * each,
        speed=min(1.0, speed),
        proxy_cores=costs.nginx_request_cpu_s if burns and speed < 1 else 0.0,
        tick_cores=costs.nginx_tick_cpu_s * scenario.feed.rate_hz if burns and speed < 1 else 0.0,
        idle=costs.idle_cpu,
        upgrade_s=upgrade_s,
        join_s=join_s,
        join_cpu_s=upgrade_s + join_s if burns else costs.upgrade_cpu_s + costs.join_cpu_s,
        tick_s=costs.tick_cpu_s + gateway.tick_cpu_us * 1e-6,
        close_s=costs.close_cpu_s,
        rate_hz=scenario.feed.rate_hz,
        turns_per_tick=costs.turns_per_tick,
        backlog=min(gateway.backlog, LONGEST_QUEUE),
        timeout_s=fleet.connect_timeout_s,
        travel_s=(
            ROUND_TRIPS_PER_ATTEMPT * fleet.rtt_ms / 1000 * 0.5 + costs.edge_delay_s,
            ROUND_TRIPS_PER_ATTEMPT * fleet.rtt_ms / 1000 * 1.5 + costs.edge_delay_s,
        ),
        shared_ips=tuple(SharedIps(*kind) for kind in address_kinds(fleet.clients_per_ip)),
        buckets=_buckets(scenario),
        pods=gateway.pods,
    )


def _buckets(scenario: Scenario) -> tuple[Bucket, ...]:
    limits = edge_limits(scenario)
    if limits.dry_run:
        return ()
    return tuple(Bucket(rule.rate.millis / 1000, rule.burst + 1, rule.per_address) for rule in limits.rules)

"""A scenario: who the clients are, what they connect to, and what goes wrong.

Every type is frozen and validated when it is loaded; the bounds written here are the bounds that an
error message quotes. Times carry their unit in the name.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Count = Annotated[int, Meta(ge=1)]
Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]
PositiveSeconds = Annotated[float, Meta(gt=0, le=86_400)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]

NameOrTable = str | dict[str, Any]
"""A registry's entry by name, or a table with `name` and that entry's parameters."""


class Fleet(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The clients: how many, from where, and what they do when they lose their connection."""

    clients: Annotated[int, Meta(ge=1, le=1_000_000)] = 300
    clients_per_ip: Count = 1
    policy: NameOrTable = "naive"
    transport: Literal["websocket"] = "websocket"
    connect_timeout_s: PositiveSeconds = 1.0
    """From the start of a try until the namespace is joined; then the client hangs up and tries again."""
    stale_after_s: Seconds = 2.0
    """A joined client without a tick for this long hangs up; 0 switches the watchdog off."""
    reset_backoff: Literal["open", "joined"] = "open"
    """When the policy starts again at try 0: at the Engine.IO open (as socket.io-client) or once joined."""
    rtt_ms: Milliseconds = 40.0
    """Median round trip of a client; each client has its own, drawn from 0.5 to 1.5 times this."""
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    ramp_per_s: Annotated[float, Meta(gt=0, le=100_000)] = 300.0
    """First connections per second while the fleet is brought up; handshakes are free of charge then."""


class Gateway(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The pods, and what a handshake costs them."""

    pods: Annotated[int, Meta(ge=1, le=256)] = 2
    cores: Annotated[int, Meta(ge=1, le=256)] = 1
    """Cores that pods and nginx share, so that a result means the same on a small and a large machine."""
    handshake_cpu_ms: Milliseconds = 10.0
    snapshot_bytes: Annotated[int, Meta(ge=0, le=16_000_000)] = 2_000
    cpu: Literal["burn", "reserve"] = "burn"
    balance: Literal["least_conn", "round_robin", "hash"] = "least_conn"
    backlog: Annotated[int, Meta(ge=1, le=65_535)] = 128
    """Connections that wait in a pod's accept queue; 128 is aiohttp's own. A long queue is a store of work
    for clients that have gone."""


class Feed(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The ticks that every pod sends to every client, on one fixed schedule."""

    rate_hz: Annotated[float, Meta(gt=1, le=1_000)] = 5.0
    """Above 1, because a client counts as usefully connected while its newest tick is under 1 s old."""
    payload_bytes: Annotated[int, Meta(ge=0, le=1_000_000)] = 200
    event: Annotated[str, Meta(min_length=1)] = "tick"


class Edge(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What stands between the clients and the pods."""

    limit: NameOrTable = "none"
    front: Literal["nginx"] = "nginx"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """0 takes a free port."""


class Event(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that happens, `at_s` seconds after the steady state began."""

    at_s: Seconds
    do: Literal["drop_all"]


class Phases(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the time of a run is cut: before, during, after and, where it did not recover, the rescue."""

    duration_s: Annotated[int, Meta(ge=2, le=86_400)] = 66
    """At the most; a run that has been well for a whole recovery window ends early."""
    during_s: Count = 15
    """The first seconds after the trigger; `after` follows, up to `rescue_at_s` or the end."""
    recovery_window_s: Count = 30
    """How long the steady state must hold again before it counts as recovered."""
    rescue_at_s: Annotated[int, Meta(ge=0)] = 44
    """Where fewer than 90 % are served by now, every client gets the rescue policy: the proof that the
    same clients, pods and rate can work, so that the outage was a metastable one. 0 switches it off."""
    rescue_s: Count = 13
    """How long the rescue may take."""
    rescue_policy: NameOrTable = field(
        default_factory=lambda: {"name": "spread", "hold_s": 3.0, "window_s": 6.0}
    )


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that a run needs to know; `run.json` carries it in full."""

    name: str = ""
    summary: str = ""
    fleet: Fleet = field(default_factory=Fleet)
    gateway: Gateway = field(default_factory=Gateway)
    feed: Feed = field(default_factory=Feed)
    edge: Edge = field(default_factory=Edge)
    event: tuple[Event, ...] = ()
    phases: Phases = field(default_factory=Phases)
    matrix: dict[str, tuple[NameOrTable | int | float, ...]] = field(default_factory=dict)
    """Keys to cross in a comparison, each with its values: `"fleet.policy" = ["naive", "incident"]`."""

    @property
    def trigger_s(self) -> float | None:
        """When the first event strikes, in seconds of steady state; None in a run without a trigger."""
        return min((event.at_s for event in self.event), default=None)

"""A scenario: who the clients are, what they connect to, and what goes wrong.

Every type is frozen and validated when it is loaded; the bounds written here are the bounds that an
error message quotes. Times carry their unit in the name.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from scenarios.events.registry import AnyEvent
from scenarios.fields import (
    EXPECTED,
    SECRET,
    Count,
    Milliseconds,
    NameOrTable,
    PositiveSeconds,
    Seconds,
    Share,
)
from scenarios.policies.outcome import Reset
from scenarios.scenario.edge.balance import Balance
from scenarios.scenario.edge.edge import Edge
from scenarios.scenario.fleet.groups import (
    MOST_GROUPS,
    OVERRIDES,
    ClientsPerIp,
    Group,
    ResetBackoff,
    StaleBy,
    Transport,
    shares,
)
from scenarios.scenario.mesh import Mesh
from scenarios.scenario.program import (
    VALUES,
    Command,
    Commands,
    Credentials,
    Line,
    PodMetrics,
    Program,
    Secrets,
    Service,
    SignalName,
)
from scenarios.scenario.slo import Hypothesis, Objective

Path = str | Annotated[int, Meta(ge=0)]
"""Steps through JSON, such as `meta.ts`; a number is the place of an argument."""

URL, MATRIX, ARMS = "url", "matrix", "arms"

Url = Annotated[Line, Meta(extra={SECRET: URL})]
"""Scheme, host, port and path may be shown; a user name, a query and a fragment may not."""

POD_HEADER = "X-Storm-Pod"
"""Response header in which the proxy of a run says which pod answers, where each numbers its own ticks."""


class Fleet(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The clients: their number, source addresses, and reconnect policy."""

    clients: Annotated[int, Meta(ge=1, le=1_000_000)] = 300
    """All of them connect before the steady state begins."""
    clients_per_ip: ClientsPerIp = 1
    """Clients behind a shared IP: one number, or shares of the clients, each with its own."""
    source: Literal["auto", "bind", "proxy-protocol", "x-forwarded-for", "same"] = "auto"
    """How the source addresses are made: by binding to 127/8, by a PROXY protocol header in front of each
    connection, by a request header that the target has to trust, or not at all. `auto` binds where the
    target is on this machine's loopback, and leaves it at `same` where it is not."""
    policy: NameOrTable = "naive"
    """When a client that has lost its connection reconnects: a policy by name, a table with `name` and its
    parameters, or `module:function` for a policy of your own."""
    transport: Transport = "websocket"
    """`polling-upgrade` makes the JavaScript client's five requests for one connection. A cookie that the
    gateway sets, as load balancers do that keep a session at one pod, goes along with all further requests
    of that session, and not with those of the next one."""
    recovery: bool = False
    """Connection state recovery, as socket.io-client 4.6 and later has it: clients keep the `pid` of their
    session and the offset of the last event, and join with both after a disconnect. It takes a gateway that
    has it switched on; the built-in stub has none."""
    tls_resume: bool | Share | None = None
    """Clients that keep their TLS session and resume it when they reconnect: all, none, or a share. Browsers
    do; many libraries do not. Left out: all of them with `edge.tls`, none with an external target."""
    connect_timeout_s: PositiveSeconds = 1.0
    """Timeout of an attempt, from its start until the namespace is joined; then the client reconnects."""
    stale_after_s: Seconds = 2.0
    """A joined client whose feed is stale for this long hangs up; 0 switches the watchdog off."""
    stale_by: StaleBy = "gap"
    """What the watchdog looks at: how long ago the last tick came in, or how old the newest tick is by its
    due time. A client that only waits for bytes does not notice a feed that is late but steady."""
    reset_backoff: ResetBackoff = "policy"
    """When the policy resets to attempt 0: as the policy itself says, or, whatever it says, at the Engine.IO
    open (as socket.io-client does), once joined, once a session has been joined for `stable_after_s`, or
    never."""
    stable_after_s: PositiveSeconds = 10.0
    """Only with `reset_backoff = "stable"`."""
    rtt_ms: Milliseconds = 40.0
    """Median round trip of a client; each client has its own, drawn from 0.5 to 1.5 times this."""
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    """Seed of what is drawn at random in a run, such as delays and round trips."""
    ramp_per_s: Annotated[float, Meta(gt=0, le=100_000)] = 300.0
    """First connections per second while the fleet is brought up; handshakes are free of charge then."""
    max_attempts_per_s: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Upper limit of attempts per second, whatever the policy says; a run in which it applied is marked.
    0 switches it off."""
    group: Annotated[tuple[Group, ...], Meta(max_length=MOST_GROUPS)] = ()
    """Kinds of clients, in a fleet of several kinds; without any, all clients are alike."""

    @property
    def parts(self) -> "tuple[Part, ...]":
        """The groups, each with the fleet that its clients would make alone; one without a name if there are
        none."""
        if not self.group:
            return (Part(name="", share=1.0, fleet=self),)
        return tuple(
            Part(name=group.name, share=share, fleet=self._as_in(group), group=group)
            for group, share in zip(self.group, shares(self.group), strict=True)
        )

    def _as_in(self, group: Group) -> "Fleet":
        said = {name: value for name in OVERRIDES if (value := getattr(group, name)) is not None}
        return replace(self, group=(), **said)

    @property
    def reset_by_scenario(self) -> Reset | None:
        """When policies reset, whatever they say themselves; None where they decide."""
        match self.reset_backoff:
            case "policy":
                return None
            case "stable":
                return self.stable_after_s
            case said:
                return said


class Part(Struct, frozen=True, kw_only=True):
    """The clients of one group, or of a fleet without groups."""

    name: str
    share: float
    fleet: Fleet
    """With what the group says in place of what `[fleet]` says."""
    group: Group | None = None

    @property
    def is_served(self) -> bool:
        """Whether a gateway of today lets these clients join."""
        return self.group is None or self.group.is_served

    @property
    def own_clients_per_ip(self) -> ClientsPerIp | None:
        """Of a group that has IPs of its own; None where it shares those of the others."""
        return self.group.clients_per_ip if self.group else None


class Gateway(Program, frozen=True, kw_only=True):
    """The pods: copies of your own gateway where there is a `command`, of the built-in stub where not.

    Costs, `ping_…`, `backlog`, `busy_lag_ms`, `cancel_gone` and `token_lifetime_s` are the stub's; a gateway
    of your own has its own.
    """

    setup: Command = ""
    """Command that is run once, in the same folder, before the pods start: `npm ci`."""
    path: Line = "/socket.io/"
    """Engine.IO path."""
    ready_path: Line = ""
    """HTTP path that answers 200 once a pod is ready; empty: ready once it accepts an Engine.IO session."""
    liveness_path: Line = ""
    """HTTP path that answers 200 while a pod is alive; the event `probes` needs it unless `conflated`."""
    on_crash: Literal["fail", "leave", "restart"] = "fail"
    """When a pod ends by itself: the run fails, or it goes on and the crash is one of its outcomes. `leave`
    takes the pod out of the proxy, `restart` starts it again on its port."""
    crash_restart_s: Seconds = 1.0
    """Time from a crash to the restart, with `on_crash = "restart"`."""
    metrics: PodMetrics | None = None
    """Left out: nothing is read from the pods but CPU and memory."""
    pods: Annotated[int, Meta(ge=1, le=256)] = 2
    """Copies of the gateway behind the proxy."""
    cores: Annotated[int, Meta(ge=1, le=256)] = 1
    """Cores that pods and nginx share, so that a result means the same on a small and a large machine."""
    handshake_cpu_ms: Milliseconds = 10.0
    """CPU of one handshake."""
    tick_cpu_us: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    """CPU of one delivered tick on top of what the pod's libraries take: filters, permissions, compression.
    Paid per client before a tick goes out, spent as `cpu` says."""
    snapshot_bytes: Annotated[int, Meta(ge=0, le=16_000_000)] = 2_000
    """Size of what a client is sent once it has joined."""
    cpu: Literal["burn", "occupy"] = "burn"
    """How costs are spent: `burn` uses CPU; `occupy` blocks the event loop without using CPU."""
    balance: Balance = "least_conn"
    """How the proxy chooses a pod for a new connection. `hash` goes by the client's IP, `ip_hash` by its
    first three octets. `cookie` is `least_conn`, with a cookie that keeps a session's requests at one pod."""
    backlog: Annotated[int, Meta(ge=1, le=65_535)] = 128
    """Connections that wait in a pod's accept queue; 128 is aiohttp's own. A long queue is a store of work
    for clients that have gone."""
    cancel_gone: bool = False
    """Look whether the client is still there before each stage of its handshake; most gateways do not, and
    finish the work of clients that have left."""
    ping_interval_s: PositiveSeconds = 25.0
    """Time from one ping of the server to the next."""
    ping_timeout_s: PositiveSeconds = 20.0
    """A client gives up when no ping came for the two together; the server, `ping_timeout_s` after a ping."""
    busy_lag_ms: Milliseconds = 1_000.0
    """From this loop lag on, a pod's readiness probe says no."""
    token_lifetime_s: Seconds = 0.0
    """How long a token of `gateway_stub.tokens:issue` is valid. Clients with another or an expired one are
    refused: with 403 where it comes in the header `Authorization`, with a CONNECT_ERROR where it comes as
    `auth.token`. 0: pods look at no token."""


class Feed(Program, frozen=True, kw_only=True):
    """The ticks that every pod sends to every client, on one fixed schedule.

    With a `command`, a publisher of your own is started after the services and stopped with the run;
    `{rate_hz}`, `{payload_bytes}` and `{event}` stand for the values below.
    """

    stall_signals: tuple[SignalName, SignalName] = ("SIGSTOP", "SIGCONT")
    """What `feed_stall` sends to the publisher at its begin and at its end."""
    burst_signals: tuple[SignalName, SignalName] | None = None
    """What `feed_burst` sends to the publisher; without, it is started again with another `{rate_hz}`."""

    rate_hz: Annotated[float, Meta(gt=1, le=1_000)] = 5.0
    """Above 1, because a client counts as served while its newest tick is under 1 s old."""
    payload_bytes: Annotated[int, Meta(ge=0, le=1_000_000)] = 200
    """Size of the padding in a tick."""
    event: Annotated[str, Meta(min_length=1)] = "tick"
    """Name of the Socket.IO event that carries a tick."""
    due_field: Path | None = None
    """Path of the publish time in a tick, such as `due_ns`, `meta.ts`, or `1` for the second argument. Empty
    where ticks carry none: then the spread of the fan-out is measured. Left out: `due_ns` if it is there."""
    due_unit: Literal["s", "ms", "us", "ns"] = "ns"
    """Unit of the time in `due_field`."""
    due_clock: Literal["monotonic", "wall"] = "monotonic"
    """The publisher's clock: CLOCK_MONOTONIC of the same machine, or seconds since 1970."""
    seq_field: Path | None = None
    """Path of a number that goes up by one with each tick. Empty where there is none: ticks are told apart
    by their content. Left out: `seq` if it is there."""
    due: Literal["stamp", "schedule"] = "stamp"
    """What latencies count from. `stamp`: the publish time in each tick. A gateway that stamps ticks when it
    sends them hides its own lateness in it: its timer is late, and so is the stamp. `schedule`: due times on
    a line that is fitted to the numbers and stamps of the calm phase, up to the first event. The fan-out
    latency by stamp is recorded as well."""
    numbering: Literal["auto", "shared", "per-pod"] = "auto"
    """Who numbers the ticks: `shared` where a number means the same tick at every pod, `per-pod` where each
    pod counts its own. Numbers of different pods are never compared: what a client missed between them is
    counted by time. `auto`: per-pod with `gateway.command` and without `feed.command`."""


class Target(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An external Socket.IO gateway; without a `url`, a proxy and pods are started.

    What clients say to a gateway, from `namespace` to `emit`, is said to one that is started, too.
    """

    url: Url = ""
    """`http://` or `https://`, host, port, and the Engine.IO path with its query, if not `/socket.io/`. Where
    the host has several addresses, clients are spread evenly over all of them, and each keeps to its own."""
    namespace: Annotated[
        str,
        Meta(
            pattern=r"^/[^,\x00-\x1f]*$",
            extra={SECRET: URL, EXPECTED: "a namespace that begins with /, without a comma"},
        ),
    ] = "/"
    """Socket.IO namespace that clients join."""
    auth: Annotated[dict[str, Any] | None, Meta(extra={SECRET: VALUES})] = None
    """What a stock client is given as `auth`."""
    emit: Annotated[
        tuple[Annotated[tuple[Any, ...], Meta(min_length=1)], ...], Meta(extra={SECRET: VALUES})
    ] = ()
    """Events that a client emits once it has joined, such as `[["subscribe", "prices"]]`."""
    headers: Secrets = field(default_factory=dict)
    """HTTP headers of every request of a client; their values are not written down."""
    cookies: Secrets = field(default_factory=dict)
    """Cookies of every request of a client; their values are not written down."""
    credentials: Credentials | None = None
    """What issues credentials while the run goes on. Its answers fill placeholders such as `{token}` in the
    values of `auth`, `headers` and `cookies`. Left out: these values are used as they are."""
    ca_file: str = ""
    """Certificates to trust instead of the system's."""
    server_name: str = ""
    """Name to ask for (SNI) and to find in the certificate, where it is not the URL's host."""
    insecure: bool = False
    """Take any certificate."""


class Abort(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a run is aborted, to protect its target. What is left out is off for a target on this machine's
    loopback, and has a default for any other."""

    error_share: Annotated[float, Meta(gt=0, le=1)] | None = None
    """Ended attempts that did not join, of all ended attempts; 0.9 for a target elsewhere."""
    fanout_p99_ms: Annotated[float, Meta(gt=0, le=86_400_000)] | None = None
    """10,000 for a target elsewhere."""
    availability_below: Share | None = None
    """Clients joined with a tick under 1 s old, of all clients, once all have been up."""
    health_url: Url = ""
    """Has to be answered with a status below 400 within a second, each time it is asked. Anything else is
    unhealthy, also an answer that is no HTTP, or none. Asked directly: `http_proxy` of the environment is
    not honoured."""
    for_s: Count = 10
    """For how many consecutive seconds."""


class Phases(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the time of a run is cut: before, during, after and, where it did not recover, the rescue."""

    duration_s: Annotated[int, Meta(ge=2, le=86_400)] = 66
    """Upper limit; a run that has been recovered for a whole recovery window ends early."""
    during_s: Count = 15
    """The first seconds after the trigger; `after` follows, until `rescue_at_s` or the end."""
    recovery_window_s: Count = 30
    """How long the steady state must last before the run counts as recovered."""
    rescue_at_s: Annotated[int, Meta(ge=0)] = 44
    """If less than 90 % are served at this time, every client gets the rescue policy (forced-recovery probe):
    a recovery with the same clients, pods and rate shows that the outage was metastable. No event begins
    during the rescue, and faults of known length have to be over before it. 0 switches it off."""
    control_s: Annotated[int, Meta(ge=0, le=86_400)] = 12
    """Duration of the control run of a comparison, which has no fault. 0 switches it off."""
    rescue_s: Count = 13
    """How long the rescue may take."""
    rescue_policy: NameOrTable = field(
        default_factory=lambda: {"name": "spread", "hold_s": 3.0, "window_s": 6.0}
    )
    """Policy that the rescue pushes to all clients."""


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that a run needs to know; `run.json` carries it in full."""

    name: str = ""
    """Name in run directories and reports. Left out: the name of the file."""
    summary: str = ""
    """What the scenario asks, in one sentence; `list` and reports show it."""
    fleet: Fleet = field(default_factory=Fleet)
    gateway: Gateway = field(default_factory=Gateway)
    feed: Feed = field(default_factory=Feed)
    edge: Edge = field(default_factory=Edge)
    mesh: Mesh = field(default_factory=Mesh)
    target: Target = field(default_factory=Target)
    service: tuple[Service, ...] = ()
    """Programs that the gateway needs, in the order in which they are started."""
    abort: Abort = field(default_factory=Abort)
    event: tuple[AnyEvent, ...] = ()
    """What happens during the run; the first fault is the trigger."""
    commands: Commands = field(default_factory=Commands)
    slo: tuple[Objective, ...] = ()
    """The SLOs of the service; see `gate` and `rehearse`."""
    hypothesis: Hypothesis | None = None
    phases: Phases = field(default_factory=Phases)
    matrix: Annotated[
        dict[str, tuple[NameOrTable | bool | int | float, ...]], Meta(extra={SECRET: MATRIX})
    ] = field(default_factory=dict)
    """Keys to cross in a comparison, each with its values: `"fleet.policy" = ["naive", "incident"]`."""
    arms: Annotated[dict[str, dict[str, Any]], Meta(extra={SECRET: ARMS})] = field(default_factory=dict)
    """Arms of a comparison by name, each with the keys that it sets; instead of a matrix, where crossing all
    would make too many. The first one is the reference."""
    folder: Line = ""
    """Folder that working folders are relative to. Left out: the folder of the scenario file, or the current
    one for a command that was given on the command line."""

    @property
    def own_gateway(self) -> bool:
        """Whether the pods are copies of the user's own gateway, and not of the stub."""
        return bool(self.gateway.command) and not self.target.url

    @property
    def ramps_gently(self) -> bool:
        """Whether first attempts wait for each other: what is the user's own is not free while the fleet is
        brought up, be it a gateway or the limits of an nginx."""
        return self.own_gateway or bool(self.edge.nginx_conf)

    @property
    def numbered_per_pod(self) -> bool:
        """Whether each pod numbers its own ticks; the proxy then tells clients which pod they are at."""
        own_ticks = bool(self.gateway.command) and not self.feed.command
        return self.feed.numbering == "per-pod" or (self.feed.numbering == "auto" and own_ticks)

    @property
    def trigger_s(self) -> float | None:
        """When the first fault fires, in seconds of steady state; None in a run without a trigger."""
        faults = (event.at_s for event in self.event if event.kind == "fault" and event.enabled)
        return min(faults, default=None)

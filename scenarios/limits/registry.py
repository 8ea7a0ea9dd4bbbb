"""Connection limits by name: which requests the proxy rate-limits and the pods shed.

A limit at the proxy is one or more rules. `nginx/gateway.conf.template` writes them as directives, and
`leaky_bucket.py` follows them as a pure function; the other proxies have their own templates, and
`token_bucket.py`. A limit at the pod answers 503 before the handshake has cost anything. Names joined by
`+` work together, such as `per-ip+global` or `per-ip+lag-shed`: a connection has to pass all of them, and no
rule of nginx is charged for a request that another rule of nginx refuses.

To add one, write a struct with its formula and source, and enter it in `LIMITS`.
"""

import ipaddress
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway_stub.protocol import Admission
from scenarios.fields import invalid
from scenarios.limits.leaky_bucket import EdgeRule, Key

RatePerS = Annotated[float, Meta(ge=1 / 60, le=10_000)]
Burst = Annotated[int, Meta(ge=0, le=100_000)]

EVERYWHERE = ("exempt", "dry_run")


class LimitError(ValueError):
    """An unknown limit, or invalid parameters."""


class Limits(Struct, frozen=True):
    """The rules and the admission control of a scenario's limit."""

    rules: tuple[EdgeRule, ...] = ()
    """In the order in which the proxy evaluates them."""
    admission: Admission = Admission()


class BaseLimit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all limits have in common; the fields are their parameters."""

    def limits(self, name: str) -> Limits:  # noqa: ARG002
        """Its rules; `name` is their name."""
        return Limits()


class NoLimit(BaseLimit, frozen=True, kw_only=True):
    """Every connection attempt is admitted immediately.

        refused where never

    Only the clients' reconnect policy then protects the gateway.

    Source: the incident.
    """


class _AtEdge(BaseLimit, frozen=True, kw_only=True):
    key: ClassVar[Key] = "new-per-address"
    nodelay: ClassVar[bool] = True

    exempt: tuple[str, ...] = ()
    """IP ranges that are not counted, such as `10.0.0.0/8` or `2001:db8::/32`."""
    dry_run: bool = False
    """Refuse nothing, and log what would have been refused."""

    def __post_init__(self) -> None:
        for network in self.exempt:
            ipaddress.ip_network(network)
            if "%" in network:
                raise ValueError(f"{network!r} is an address on one interface, not a range")

    def limits(self, name: str) -> Limits:
        fields = msgspec.structs.asdict(self)
        fields["exempt"] = tuple(ipaddress.ip_network(network).with_prefixlen for network in self.exempt)
        return Limits((EdgeRule(name=name, key=self.key, nodelay=self.nodelay, **fields),))


class PerIp(_AtEdge, frozen=True, kw_only=True):
    """New connections per second from one client IP; nginx refuses the rest with 429.

        excess' = max(0, excess − rate·Δt + 1); refused where excess' > burst

    A rate of 3 with a burst of 2 means three at once, then three per second. A refusal is not charged to the
    IP. Only a GET without a session id counts, so the other requests of a polling client pass; a request with
    a forged session id passes as well, and is rejected with 400 by the pod. Clients behind a shared IP share
    one allowance. nginx has whole rates only: a fraction is rounded to whole requests per minute. Other
    proxies get the same rate, and admit the same requests with a bucket of burst + 1 tokens.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    rate_per_s: RatePerS = 3.0
    """Connections per second that one IP may make."""
    burst: Burst = 2
    """Connections on top of the rate that may arrive at once."""


class PerIpStrict(PerIp, frozen=True, kw_only=True):
    """New connections from one client IP with a minimum interval.

        excess' = max(0, excess − rate·Δt + 1); refused where excess' > 0

    This is `rate=3r/s` without a burst: not three per second, but one every 334 ms. Of two clients behind a
    shared IP that reconnect at the same moment, one is refused.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    burst: Annotated[int, Meta(ge=0, le=0)] = 0


class PerIpAllRequests(PerIp, frozen=True, kw_only=True):
    """The common mistake: every request of a client IP counts, not only new connections.

        excess' = max(0, excess − rate·Δt + 1) for each request; refused where excess' > burst

    A WebSocket is one request, so the effect is the same as with `per-ip`. A client that begins with polling
    makes five requests for one connection; the first three pass, and the client never connects.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    key = "all-per-address"


class PerIpDelay(PerIp, frozen=True, kw_only=True):
    """As `per-ip`, but nginx delays the requests of a burst to the rate.

        excess' = max(0, excess − rate·Δt + 1); refused where excess' > burst; delay = excess' / rate

    This is a burst without `nodelay`. The delay counts against the client's connect timeout: with a burst of
    more than rate · timeout, the last clients give up before nginx forwards their request. Other proxies
    cannot delay requests (no queueing): a scenario with one of them and this limit is rejected.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    nodelay = False


class Global(_AtEdge, frozen=True, kw_only=True):
    """New connections per second of all clients together, at half of the gateway's capacity.

        rate = 0.5·P·(1−ρ)/c; excess' = max(0, excess − rate·Δt + 1); refused where excess' > burst

    P is the pods' capacity in cores, ρ the share of it that the steady feed uses, c the CPU-seconds of one
    handshake; `rate_per_s` overrides the rate. Clients behind a shared IP have no disadvantage. But the limit
    does not distinguish clients: those that retry fastest starve the others.

    Source: derived in scenarios/scenario/stability.py; the rule is that of nginx's
    ngx_http_limit_req_module.c.
    """

    key = "new-together"

    rate_per_s: RatePerS | None = None
    """Connections per second of all clients; left out: by the formula."""
    burst: Burst = 10
    """Connections on top of the rate that may arrive at once."""


class LagShed(BaseLimit, frozen=True, kw_only=True):
    """A pod whose event loop is late sheds new connections before they cost anything.

        503 where lag > above_lag_ms

    It needs no rate, because it follows from the real cost of handshakes. The lag is measured after the fact,
    so a wave that arrives between two measurements is still admitted.

    Source: the limit's own definition; gateway_stub implements it.
    """

    above_lag_ms: Annotated[float, Meta(gt=0, le=86_400_000)] = 250.0
    """Loop lag above which a pod sheds."""

    def limits(self, name: str) -> Limits:  # noqa: ARG002
        return Limits(admission=Admission(shed_above_lag_ms=self.above_lag_ms))


class HandshakeSlots(BaseLimit, frozen=True, kw_only=True):
    """A pod has a maximum number of concurrent handshakes, and sheds the others with 503.

        503 where active handshakes ≥ slots

    An active handshake finishes before its client gives up, if slots·c is well below the client's connect
    timeout, with c the CPU-seconds of one handshake.

    Source: the limit's own definition; gateway_stub implements it.
    """

    slots: Annotated[int, Meta(ge=1, le=1_000_000)] = 2
    """Concurrent handshakes of a pod."""

    def limits(self, name: str) -> Limits:  # noqa: ARG002
        return Limits(admission=Admission(handshake_slots=self.slots))


LIMITS: dict[str, type[BaseLimit]] = {
    "none": NoLimit,
    "per-ip": PerIp,
    "per-ip-strict": PerIpStrict,
    "per-ip-all-requests": PerIpAllRequests,
    "per-ip-delay": PerIpDelay,
    "global": Global,
    "lag-shed": LagShed,
    "handshake-slots": HandshakeSlots,
}
"""Limits by name. Names joined by `+` work together."""


def limit(spec: str | dict[str, Any]) -> Limits:
    """The limit that a scenario asks for: a name, names joined by `+`, or a table with `name` and parameters.

    A combination takes a table of parameters for each of its limits, as in
    `{name = "per-ip+global", per-ip = {burst = 5}}`; `exempt` and `dry_run` may be given once for all. Raises
    LimitError with the invalid value and what is expected.
    """
    table = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = table.pop("name", None)
    names = [part.strip() for part in name.split("+")] if isinstance(name, str) else []
    unknown = [part for part in names if part not in LIMITS] if names else [name]
    if unknown:
        raise LimitError(invalid("", unknown[0], f"{', '.join(LIMITS)}, or several joined by +"))
    if len(set(names)) < len(names):
        raise LimitError(invalid("", name, "each limit once"))
    if len(names) == 1:
        return _single(names[0], table)
    return _together([_single(part, own) for part, own in _shared_out(names, table).items()])


def _single(name: str, table: dict[str, Any]) -> Limits:
    kind = LIMITS[name]
    try:
        return msgspec.convert(table, kind).limits(name)
    except msgspec.ValidationError as error:
        allowed = ", ".join(kind.__struct_fields__) or "no parameters"
        given = ", ".join(f"{key} = {value!r}" for key, value in table.items())
        raise LimitError(f"limit {name!r}: invalid parameters {given}: {error}; expected {allowed}") from None


def _shared_out(names: list[str], table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each limit of a combination with its own parameters."""
    at_edge = [name for name in names if issubclass(LIMITS[name], _AtEdge)]
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in table.items():
        if key in EVERYWHERE and at_edge:
            for name in at_edge:
                own[name].setdefault(key, value)
        elif key in names and isinstance(value, dict):
            own[key].update(value)
        else:
            allowed = ", ".join([*(f"{name} = {{…}}" for name in names), *(EVERYWHERE if at_edge else ())])
            raise LimitError(
                f"limit {'+'.join(names)!r}: invalid parameter {key} = {value!r}: expected {allowed}"
            )
    return own


def _together(parts: list[Limits]) -> Limits:
    rules = tuple(rule for part in parts for rule in part.rules)
    dry = [rule.name for rule in rules if rule.dry_run]
    if dry and len(dry) < len(rules):
        everyone = ", ".join(rule.name for rule in rules)
        raise LimitError(
            f"limit {'+'.join(rule.name for rule in rules)!r}: dry_run is set for {', '.join(dry)} only: "
            f"expected for all of {everyone}, or for none; nginx has one switch for all of them"
        )
    admission = Admission()
    for part in parts:
        switched_on = {key: value for key, value in msgspec.structs.asdict(part.admission).items() if value}
        admission = replace(admission, **switched_on)
    return Limits(rules, admission)

"""Connection limits by name: what the front and the pods refuse, and on which grounds.

A limit at the front is one or more rules. `nginx/gateway.conf.template` writes them as directives, and
`leaky_bucket.py` follows them as a pure function; for the other fronts, their templates and `token_bucket.py`
do. A limit at the pod answers 503 before the handshake has cost anything. Names joined by
`+` work together, such as `per-ip+global` or `per-ip+lag-shed`: a connection needs the consent of all, and no
rule of nginx is charged for a request that another rule of nginx refuses.

To add one, write a struct with its formula and source, and enter it in `LIMITS`.
"""

import ipaddress
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway_stub.protocol import Admission
from scenarios.limits.leaky_bucket import EdgeRule, Key

RatePerS = Annotated[float, Meta(ge=1 / 60, le=10_000)]
Burst = Annotated[int, Meta(ge=0, le=100_000)]

_EVERYWHERE = ("exempt", "dry_run")


class LimitError(ValueError):
    """A limit that is not there, or parameters that it does not take."""


class Limits(Struct, frozen=True):
    """What a scenario's limit comes down to."""

    rules: tuple[EdgeRule, ...] = ()
    """In the order in which the front asks them."""
    admission: Admission = Admission()


class BaseLimit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all limits have in common; the fields are their parameters."""

    def limits(self, name: str) -> Limits:  # noqa: ARG002
        """What it comes down to; `name` is what its rules are called."""
        return Limits()


class NoLimit(BaseLimit, frozen=True, kw_only=True):
    """Everybody is let in, at once.

        refused where never

    What keeps the gateway alive is then up to the clients alone.

    Source: the incident.
    """


class _AtEdge(BaseLimit, frozen=True, kw_only=True):
    key: ClassVar[Key] = "new-per-address"
    nodelay: ClassVar[bool] = True

    exempt: tuple[str, ...] = ()
    """Address ranges, such as `10.0.0.0/8` or `2001:db8::/32`, that are not counted."""
    dry_run: bool = False
    """Refuse nobody, and log who would have been."""

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
    """New connections per second from one source address; nginx refuses the rest with 429.

        excess' = max(0, excess − rate·Δt + 1); refused where excess' > burst

    A rate of 3 with a burst of 2 means three at once, then three a second. A refusal costs the address
    nothing. Only a GET without a session id counts, so that a polling client's other requests get through; a
    made-up session id slips past, and earns a cheap 400 at the pod. Clients behind one address share one
    allowance. nginx keeps whole rates only: a fraction is rounded to whole requests a minute. Other fronts
    are given the same rate, and let in the same requests from a bucket of burst + 1 tokens.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    rate_per_s: RatePerS = 3.0
    burst: Burst = 2


class PerIpStrict(PerIp, frozen=True, kw_only=True):
    """New connections from one source address with a minimum distance in time.

        excess' = max(0, excess − rate·Δt + 1); refused where excess' > 0

    This is `rate=3r/s` without a burst: not three in a second, but one in every 334 ms. Two users behind one
    address who come back at the same moment already stand in each other's way.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    burst: Annotated[int, Meta(ge=0, le=0)] = 0


class PerIpAllRequests(PerIp, frozen=True, kw_only=True):
    """The common mistake: every request of a source address counts, not only new connections.

        excess' = max(0, excess − rate·Δt + 1) for each request; refused where excess' > burst

    A WebSocket is one request and fares as under `per-ip`. A client that begins with polling makes five
    requests for one connection, of which the first three get through, and never connects.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    key = "all-per-address"


class PerIpDelay(PerIp, frozen=True, kw_only=True):
    """As `per-ip`, but whoever comes in a burst waits at nginx until it is their turn.

        excess' = max(0, excess − rate·Δt + 1); refused where excess' > burst; delay = excess' / rate

    This is a burst without `nodelay`. The wait counts against the client's own time-out: with a burst of more
    than rate · time-out, the last ones in line give up before nginx has let them through. Other fronts cannot
    hold anybody back: a scenario that has one of them with this limit is refused.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    nodelay = False


class Global(_AtEdge, frozen=True, kw_only=True):
    """New connections per second of all addresses together, at half of what the gateway can take in.

        rate = 0.5·P·(1−ρ)/c; excess' = max(0, excess − rate·Δt + 1); refused where excess' > burst

    P is the pods' capacity in cores, ρ the share of it that the steady feed takes, c the CPU-seconds of one
    handshake; `rate_per_s` overrides it. It does not care how many users share an address, and does not know
    one user from another either: a client that retries fast enough takes everybody's turns.

    Source: derived in scenarios/scenario/stability.py; the rule is that of nginx's
    ngx_http_limit_req_module.c.
    """

    key = "new-together"

    rate_per_s: RatePerS | None = None
    burst: Burst = 10


class LagShed(BaseLimit, frozen=True, kw_only=True):
    """A pod whose event loop is late turns new connections away, before they have cost anything.

        503 where lag > above_lag_ms

    It needs no rate, because it follows from what handshakes really cost. The lag is known only once it is
    there, so that a wave which arrives between two measurements still gets in.

    Source: the limit's own definition; gateway_stub carries it out.
    """

    above_lag_ms: Annotated[float, Meta(gt=0, le=86_400_000)] = 250.0

    def limits(self, name: str) -> Limits:  # noqa: ARG002
        return Limits(admission=Admission(shed_above_lag_ms=self.above_lag_ms))


class HandshakeSlots(BaseLimit, frozen=True, kw_only=True):
    """A pod carries out only so many handshakes at once; for the others there is 503 at once.

        503 where handshakes under way ≥ slots

    What is under way is finished before its client gives up, if slots·c is well below the client's time-out,
    with c the CPU-seconds of one handshake.

    Source: the limit's own definition; gateway_stub carries it out.
    """

    slots: Annotated[int, Meta(ge=1, le=1_000_000)] = 2

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
    LimitError with what was found and what is allowed.
    """
    table = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = table.pop("name", None)
    names = [part.strip() for part in name.split("+")] if isinstance(name, str) else []
    unknown = [part for part in names if part not in LIMITS] if names else [name]
    if unknown:
        raise LimitError(f"found limit {unknown[0]!r}, allowed: {', '.join(LIMITS)}, or several joined by +")
    if len(set(names)) < len(names):
        raise LimitError(f"found limit {name!r}, allowed: each limit once")
    if len(names) == 1:
        return _single(names[0], table)
    return _together([_single(part, own) for part, own in _shared_out(names, table).items()])


def _single(name: str, table: dict[str, Any]) -> Limits:
    kind = LIMITS[name]
    try:
        return msgspec.convert(table, kind).limits(name)
    except msgspec.ValidationError as error:
        allowed = ", ".join(kind.__struct_fields__) or "no parameters"
        found = ", ".join(f"{key} = {value!r}" for key, value in table.items())
        raise LimitError(f"limit {name!r}: found {found}: {error}; allowed: {allowed}") from None


def _shared_out(names: list[str], table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each limit of a combination with its own parameters."""
    at_edge = [name for name in names if issubclass(LIMITS[name], _AtEdge)]
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in table.items():
        if key in _EVERYWHERE and at_edge:
            for name in at_edge:
                own[name].setdefault(key, value)
        elif key in names and isinstance(value, dict):
            own[key].update(value)
        else:
            allowed = ", ".join([*(f"{name} = {{…}}" for name in names), *(_EVERYWHERE if at_edge else ())])
            raise LimitError(f"limit {'+'.join(names)!r}: found {key} = {value!r}, allowed: {allowed}")
    return own


def _together(parts: list[Limits]) -> Limits:
    rules = tuple(rule for part in parts for rule in part.rules)
    dry = [rule.name for rule in rules if rule.dry_run]
    if dry and len(dry) < len(rules):
        everyone = ", ".join(rule.name for rule in rules)
        raise LimitError(
            f"limit {'+'.join(rule.name for rule in rules)!r}: found dry_run for {', '.join(dry)} alone, "
            f"allowed: for all of {everyone}, or for none; nginx has one switch for them"
        )
    admission = Admission()
    for part in parts:
        switched_on = {key: value for key, value in msgspec.structs.asdict(part.admission).items() if value}
        admission = replace(admission, **switched_on)
    return Limits(rules, admission)

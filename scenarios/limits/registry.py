"""Connection limits by name: which requests the proxy rate-limits and the pods shed.

A limit at the proxy is one or more rules. `nginx/gateway.conf.template` writes them as directives, and
`leaky_bucket.py` follows them as a pure function; the other proxies have their own templates, and
`token_bucket.py`. `in_flight.py` and `window.py` have the rules that count something else than a rate. A
limit at the pod refuses before the handshake has cost anything. Names joined by `+` work together, such as
`per-ip+global` or `per-ip+lag-shed`: a connection has to pass all of them, and no rate of nginx is charged
for a request that another rate of nginx refuses.

To add one, write a struct with its formula and source in `at_proxy.py` or `at_pod.py`, and enter it in
`LIMITS`.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from gateway_stub.protocol import Admission
from scenarios.fields import invalid, parameters
from scenarios.limits.at_pod import HandshakeSlots, LagShed, PodWindow
from scenarios.limits.at_proxy import (
    ConcurrentPerIp,
    Global,
    PerIp,
    PerIpAllRequests,
    PerIpDelay,
    PerIpStrict,
    PerToken,
    SlidingWindow,
)
from scenarios.limits.base import BaseLimit, LimitError, Limits, ProxyLimit
from scenarios.limits.counted import Refusal

__all__ = ["EVERYWHERE", "LIMITS", "LimitError", "Limits", "limit"]

EVERYWHERE = ProxyLimit.__struct_fields__
"""Parameters that all limits at the proxy have."""


class NoLimit(BaseLimit, frozen=True, kw_only=True):
    """Every connection attempt is admitted immediately.

        refused where never

    Only the clients' reconnect policy then protects the gateway.

    Source: the incident.
    """


LIMITS: dict[str, type[BaseLimit]] = {
    "none": NoLimit,
    "per-ip": PerIp,
    "per-ip-strict": PerIpStrict,
    "per-ip-all-requests": PerIpAllRequests,
    "per-ip-delay": PerIpDelay,
    "per-token": PerToken,
    "global": Global,
    "concurrent-per-ip": ConcurrentPerIp,
    "sliding-window": SlidingWindow,
    "lag-shed": LagShed,
    "handshake-slots": HandshakeSlots,
    "pod-window": PodWindow,
}
"""Limits by name. Names joined by `+` work together."""


def limit(spec: str | dict[str, Any]) -> Limits:
    """The limit that a scenario asks for: a name, names joined by `+`, or a table with `name` and parameters.

    A combination takes a table of parameters for each of its limits, as in
    `{name = "per-ip+global", per-ip = {burst = 5}}`; what all limits at the proxy have may be given once for
    all. Raises LimitError with the invalid value and what is expected.
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
        return parameters(table, kind).limits(name)
    except ValueError as error:
        raise LimitError(f"limit {name!r}: {error}") from None


def _shared_out(names: list[str], table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each limit of a combination with its own parameters."""
    at_edge = [name for name in names if issubclass(LIMITS[name], ProxyLimit)]
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
    counted = [rule for part in parts for rule in part.at_proxy]
    names = "+".join(rule.name for rule in counted)
    dry = [rule.name for rule in counted if rule.dry_run]
    if dry and len(dry) < len(counted):
        raise LimitError(
            f"limit {names!r}: dry_run is set for {', '.join(dry)} only: expected for all of "
            f"{names.replace('+', ', ')}, or for none; nginx has one switch for all of them"
        )
    refusals = [part.refusal for part in parts if part.at_proxy]
    if any(refusal != refusals[0] for refusal in refusals):
        raise LimitError(
            f"limit {names!r}: status, retry_after_s or drop differ: expected the same for all of "
            f"{names.replace('+', ', ')}; a proxy refuses in one way"
        )
    admission = Admission()
    for part in parts:
        switched_on = {key: value for key, value in msgspec.structs.asdict(part.admission).items() if value}
        admission = replace(admission, **switched_on)
    return Limits(
        rules=tuple(rule for part in parts for rule in part.rules),
        admission=admission,
        in_flight=tuple(rule for part in parts for rule in part.in_flight),
        windows=tuple(rule for part in parts for rule in part.windows),
        refusal=refusals[0] if refusals else Refusal(),
    )

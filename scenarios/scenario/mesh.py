"""The sidecars of a service mesh: their settings, and what they do not support.

Every pod has a sidecar, and all traffic to the pod passes through it. It can retry, limit and cut off
requests to its own pod only: it sees the clients of one pod, and only after the proxy has accepted them.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from gateway_stub.protocol import Admission
from scenarios.fields import Count, NameOrTable, PositiveSeconds, Seconds, invalid
from scenarios.limits.counted import Refusal
from scenarios.limits.leaky_bucket import EdgeRule
from scenarios.limits.registry import LimitError, limit

RetryOn = Literal["connect-failure", "reset", "gateway-error", "5xx", "503"]
"""As Envoy names its conditions; `503` is its `retriable-status-codes` with that one."""

OrNone = Annotated[int, Meta(ge=0, le=1_000_000)]
"""A bound, or 0 for none."""


class Mesh(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sidecars. Keys that are left out are off, also where Envoy's own default is on."""

    sidecar: Literal["none", "envoy"] = "none"
    """Proxy beside each pod; all traffic from the proxy to the pod passes through it."""
    retries: Annotated[int, Meta(ge=0, le=100)] = 0
    """Retries of a sidecar, at its own pod, before the client gets an answer; 0: none.
    Before retry n it waits, at random, up to (2ⁿ - 1)·25 ms, and 250 ms at the most."""
    retry_on: tuple[RetryOn, ...] = ("connect-failure", "reset", "gateway-error")
    """Conditions for a retry. An attempt that took longer than `per_try_timeout_s` is a gateway error."""
    per_try_timeout_s: Seconds = 0.0
    """Timeout of one attempt, for the pod's answer to a request or to a WebSocket's upgrade; 0: none."""
    connect_timeout_s: PositiveSeconds = 60.0
    """Timeout for the pod to accept a connection; the default is that of nginx."""
    retry_budget_percent: Annotated[float, Meta(ge=0, le=100)] = 0.0
    """Retries under way at a sidecar, as a share of its requests under way, open WebSockets among them; 0 for
    no budget."""
    retry_budget_min_concurrency: Count = 3
    """Concurrent retries that are always within the budget."""
    max_connections: OrNone = 0
    """Circuit breaker: connections from a sidecar to its pod, those of joined clients among them."""
    max_pending: OrNone = 0
    """Circuit breaker: requests that wait for a connection to the pod; further ones get 503."""
    outlier_failures: OrNone = 0
    """Outlier detection: after this many consecutive failures the pod is ejected; its sidecar answers 503."""
    outlier_on: Literal["5xx", "gateway-failure"] = "5xx"
    """What counts as a failure: 500 to 599, or 502, 503 and 504 alone. A pod that cannot be reached, and a
    attempt that timed out, count as either."""
    outlier_ejection_s: PositiveSeconds = 30.0
    """Duration of the first ejection; the n-th consecutive one lasts n times as long."""
    limit: NameOrTable = "none"
    """A limit on new connections at each sidecar, by the names of `edge.limit`."""
    source: Literal["forwarded", "peer"] = "forwarded"
    """The address that this limit counts by: the client's, as the proxy forwards it, or that of the peer,
    which is the proxy: then all clients share one address."""


_NOTHING_ASKED = Mesh()


def sidecar_rule(mesh: Mesh) -> EdgeRule | None:
    """The rule of the limit at the sidecars; None without one."""
    rules = limit(mesh.limit).rules
    return rules[0] if rules else None


def mesh_complaint(mesh: Mesh, *, target_url: str) -> str:
    """What is wrong with a combination of keys, beginning with one of them; empty if nothing is."""
    if mesh.sidecar == "none":
        return _without_sidecar(mesh)
    if target_url:
        return invalid("sidecar", mesh.sidecar, "'none' with target.url; an external target gets no sidecars")
    if mesh.retries and not mesh.retry_on:
        return invalid("retry_on", [], "at least one condition with mesh.retries")
    if mesh.retry_budget_percent and not mesh.retries:
        return invalid("retry_budget_percent", mesh.retry_budget_percent, "0 without mesh.retries")
    return _limit_complaint(mesh.limit)


def _without_sidecar(mesh: Mesh) -> str:
    asked, default = msgspec.structs.asdict(mesh), msgspec.structs.asdict(_NOTHING_ASKED)
    for key, value in asked.items():
        if value != default[key]:
            return invalid(key, value, f"{default[key]!r} if mesh.sidecar is 'none'")
    return ""


def _limit_complaint(spec: str | dict[str, Any]) -> str:
    try:
        asked = limit(spec)
    except LimitError as error:
        return f"limit: {error}"
    expected = ""
    if asked.admission != Admission():
        expected = "a limit on new connections; load shedding of the pods belongs in edge.limit"
    elif asked.windows or asked.in_flight or any(rule.token for rule in asked.rules):
        expected = "a limit on the rate of new connections, per IP or of all; edge.limit supports others"
    elif asked.refusal != Refusal():
        expected = "no status, retry_after_s or drop at a sidecar, which refuses with 429"
    elif len(asked.rules) > 1:
        expected = "one limit; Envoy would count what another rule refuses"
    for rule in asked.rules[:1]:
        if not rule.nodelay:
            expected = "a limit that refuses; Envoy cannot delay requests"
        elif rule.exempt:
            expected = "no exempt ranges at a sidecar; edge.limit supports them"
        elif rule.rate_per_s is None:
            expected = f"{{name = '{rule.name}', rate_per_s = …}}, the rate of each sidecar"
    return invalid("limit", spec, expected) if expected else ""

"""What a limit is: parameters that become rules at the proxy, or admission control of the pods."""

import ipaddress
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from gateway_stub.protocol import Admission
from scenarios.fields import EXPECTED
from scenarios.limits.counted import CountedRule, Refusal
from scenarios.limits.in_flight import InFlightRule
from scenarios.limits.leaky_bucket import EdgeRule
from scenarios.limits.window import WindowRule


class LimitError(ValueError):
    """An unknown limit, or invalid parameters."""


class PodWindowRule(Struct, frozen=True, kw_only=True):
    """The limit per address that each pod counts for itself, as reports know it."""

    name: str = "pod-window"
    connections: int
    window_s: float
    charge_refusals: bool
    peer: bool
    """The address is that of the peer, which is the proxy."""


class Limits(Struct, frozen=True):
    """The rules and the admission control of a scenario's limit."""

    rules: tuple[EdgeRule, ...] = ()
    """Of rates, in the order in which the proxy evaluates them."""
    admission: Admission = Admission()
    in_flight: tuple[InFlightRule, ...] = ()
    windows: tuple[WindowRule, ...] = ()
    refusal: Refusal = Refusal()
    """What the proxy answers where any rule refuses."""

    @property
    def at_proxy(self) -> tuple[CountedRule, ...]:
        """All rules at the proxy."""
        return (*self.rules, *self.windows, *self.in_flight)

    @property
    def at_pods(self) -> tuple[PodWindowRule, ...]:
        """The pods' limit per address; none where they refuse for other reasons as well, for what they count
        does not tell these apart."""
        pods = self.admission
        if not pods.window_connections or pods.shed_above_lag_ms or pods.handshake_slots:
            return ()
        rule = PodWindowRule(
            connections=pods.window_connections,
            window_s=pods.window_s,
            charge_refusals=pods.window_charges_refusals,
            peer=pods.window_by_peer,
        )
        return (rule,)

    @property
    def dry_run(self) -> bool:
        """Whether the proxy refuses nothing; all rules agree on that."""
        return any(rule.dry_run for rule in self.at_proxy)


class BaseLimit(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all limits have in common; the fields are their parameters."""

    def limits(self, name: str) -> Limits:  # noqa: ARG002
        """Its rules; `name` is their name."""
        return Limits()


class ProxyLimit(BaseLimit, frozen=True, kw_only=True):
    """What all limits at the proxy have in common."""

    exempt: tuple[str, ...] = ()
    """IP ranges that are not counted, such as `10.0.0.0/8` or `2001:db8::/32`."""
    dry_run: bool = False
    """Refuse nothing, and log what would have been refused."""
    status: Annotated[
        Literal[429, 503], Meta(extra={EXPECTED: "429 or 503; nginx's 444, no answer at all, is drop = true"})
    ] = 429
    """Status of a refusal."""
    retry_after_s: Annotated[int, Meta(ge=0, le=86_400)] = 0
    """Value of the header Retry-After of a refusal; 0: no such header."""
    drop: bool = False
    """Close the connection without an answer in place of a refusal; nginx calls that 444. The proxy's log
    counts it as refused, the clients as a broken connection."""

    def __post_init__(self) -> None:
        for network in self.exempt:
            ipaddress.ip_network(network)
            if "%" in network:
                raise ValueError(f"{network!r} is an address on one interface, not a range")
        if self.drop and (self.status, self.retry_after_s) != (429, 0):
            raise ValueError("drop has no answer that could have a status or retry_after_s")

    @property
    def refusal(self) -> Refusal:
        """What the proxy answers."""
        return Refusal(status=self.status, retry_after_s=self.retry_after_s, drop=self.drop)

    def counting(self, name: str) -> dict[str, Any]:
        """The fields of its rule, but for those that say what a refusal looks like."""
        fields = msgspec.structs.asdict(self)
        own = {key: value for key, value in fields.items() if key not in Refusal.__struct_fields__}
        ranges = tuple(ipaddress.ip_network(network).with_prefixlen for network in self.exempt)
        return {**own, "name": name, "exempt": ranges}


class PodLimit(BaseLimit, frozen=True, kw_only=True):
    """What all limits at the pod have in common."""

    close_1013: bool = False
    """Accept the upgrade, and close with 1013 (try again later) in place of the refusal. A polling client
    gets the refusal. It applies to all limits at the pod."""

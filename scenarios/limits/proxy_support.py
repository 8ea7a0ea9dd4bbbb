"""Which limits each proxy supports; `scenarios/proxies/registry.py` has the proxies themselves.

A limit works in the same way at every proxy, or is rejected when the scenario is loaded: nothing is
approximated silently.
"""

from collections.abc import Iterator

from scenarios.fields import NameOrTable, invalid
from scenarios.limits.registry import LimitError, Limits, limit
from scenarios.limits.token_bucket import token_rule

DEFAULT = "nginx"

MOST_RULES = {"envoy": 4, "haproxy": 3}
"""Filters in Envoy's chain, and keys that HAProxy can track for one request."""
_HAPROXY_TAG = 2**31
"""Bound of the tokens missing from a bucket, so that they fit into the 32 bits of a tag."""


def limit_at(proxy: str, spec: NameOrTable) -> Limits:
    """The rules of a scenario's limit. Raises LimitError, also if the proxy does not support it."""
    limits = limit(spec)
    # The first complaint is told.
    for complaint in (*_complaints(proxy, limits), *_number_complaints(proxy, limits)):
        raise LimitError(complaint)
    return limits


def _complaints(proxy: str, limits: Limits) -> Iterator[str]:
    """What a proxy cannot do at all."""
    delaying = [rule.name for rule in limits.rules if not rule.nodelay]
    if proxy != DEFAULT and delaying:
        plain = delaying[0].removesuffix("-delay")
        yield invalid(
            "",
            delaying[0],
            f"{plain} with proxy {proxy!r}, which cannot delay requests; {DEFAULT!r} can",
        )
    for window in limits.windows if proxy != "haproxy" else ():
        yield invalid(
            "",
            window.name,
            f"per-ip, which comes near, or pod-window, which is exact, with proxy {proxy!r}, which counts no"
            " sliding window; 'haproxy' does",
        )
    if proxy != "envoy":
        return
    for in_flight in limits.in_flight:
        yield invalid(
            "",
            in_flight.name,
            "a limit on new connections with proxy 'envoy', which does not count the open connections of an"
            " address; 'nginx' and 'haproxy' do",
        )
    for rule in limits.rules:
        if rule.token.startswith("cookie:"):
            yield invalid(
                f"by of limit {rule.name!r}",
                rule.token,
                "header:NAME with proxy 'envoy', which does not count by cookie; 'nginx' and 'haproxy' do",
            )
    if limits.refusal.drop:
        yield invalid(
            "drop",
            True,
            "false with proxy 'envoy', which answers every refusal; 'nginx' and 'haproxy' can drop it",
        )


def _number_complaints(proxy: str, limits: Limits) -> Iterator[str]:
    """What a proxy cannot do so often, or as large."""
    rules = limits.at_proxy
    most_rules = MOST_RULES.get(proxy, len(rules))
    if len(rules) > most_rules:
        names = "+".join(rule.name for rule in rules)
        yield invalid("", names, f"at most {most_rules} rules with proxy {proxy!r}, got {len(rules)}")
    for rule in limits.rules if proxy == "haproxy" else ():
        # A rate that is derived from the scenario is rarely a whole number per second.
        interval_ms = token_rule(rule).interval_ms if rule.rate_per_s is not None else 60_000
        most = _HAPROXY_TAG // interval_ms - 2
        if rule.burst > most:
            yield invalid(
                f"burst of limit {rule.name!r}",
                rule.burst,
                f"at most {most} at this rate with proxy 'haproxy'",
            )

"""Which limits each proxy supports; `scenarios/proxies/registry.py` has the proxies themselves.

A limit works in the same way at every proxy, or is rejected when the scenario is loaded: nothing is
approximated silently.
"""

from scenarios.fields import NameOrTable, invalid
from scenarios.limits.registry import LimitError, Limits, limit
from scenarios.limits.token_bucket import token_rule

DEFAULT = "nginx"

HAPROXY_RULES = 3
"""Keys that HAProxy can track for one request."""
_HAPROXY_TAG = 2**31
"""Bound of the tokens missing from a bucket, so that they fit into the 32 bits of a tag."""


def limit_at(proxy: str, spec: NameOrTable) -> Limits:
    """The rules of a scenario's limit. Raises LimitError, also if the proxy does not support it."""
    limits = limit(spec)
    delaying = [rule.name for rule in limits.rules if not rule.nodelay]
    if proxy != DEFAULT and delaying:
        raise LimitError(
            invalid(
                "",
                delaying[0],
                f"{delaying[0].removesuffix('-delay')} with proxy {proxy!r}, which cannot delay requests;"
                f" {DEFAULT!r} can",
            )
        )
    if proxy == "haproxy":
        _check_haproxy(limits)
    return limits


def _check_haproxy(limits: Limits) -> None:
    if len(limits.rules) > HAPROXY_RULES:
        names = "+".join(rule.name for rule in limits.rules)
        raise LimitError(
            invalid("", names, f"at most {HAPROXY_RULES} rules with proxy 'haproxy', got {len(limits.rules)}")
        )
    for rule in limits.rules:
        # A rate that is derived from the scenario is rarely a whole number per second.
        interval_ms = token_rule(rule).interval_ms if rule.rate_per_s is not None else 60_000
        most = _HAPROXY_TAG // interval_ms - 2
        if rule.burst > most:
            raise LimitError(
                invalid(
                    f"burst of limit {rule.name!r}",
                    rule.burst,
                    f"at most {most} at this rate with proxy 'haproxy'",
                )
            )

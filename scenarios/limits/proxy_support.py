"""What each front cannot do; what a front is in a run, `scenarios/proxies/registry.py` says.

A limit means the same at every front, or is refused when the scenario is loaded: nothing is approximated
silently.
"""

from scenarios.fields import NameOrTable
from scenarios.limits.registry import LimitError, Limits, limit
from scenarios.limits.token_bucket import token_rule

DEFAULT = "nginx"

HAPROXY_RULES = 3
"""Keys that HAProxy can track for one request."""
_HAPROXY_TAG = 2**31
"""What is missing of a bucket has to be told from what is not, in the 32 bits of a tag."""


def limit_at(front: str, spec: NameOrTable) -> Limits:
    """What a scenario's limit comes down to. Raises LimitError, also where the front cannot carry it out."""
    limits = limit(spec)
    delaying = [rule.name for rule in limits.rules if not rule.nodelay]
    if front != DEFAULT and delaying:
        raise LimitError(
            f"limit {delaying[0]!r}: found at front {front!r}, which lets in or refuses, and holds nobody "
            f"back; allowed: {delaying[0].removesuffix('-delay')} there, or front {DEFAULT!r}"
        )
    if front == "haproxy":
        _check_haproxy(limits)
    return limits


def _check_haproxy(limits: Limits) -> None:
    if len(limits.rules) > HAPROXY_RULES:
        names = "+".join(rule.name for rule in limits.rules)
        raise LimitError(
            f"limit {names!r}: found {len(limits.rules)} rules at front 'haproxy', allowed: "
            f"{HAPROXY_RULES} there"
        )
    for rule in limits.rules:
        # Where the scenario decides on the rate, it is hardly ever a whole one a second.
        interval_ms = token_rule(rule).interval_ms if rule.rate_per_s is not None else 60_000
        most = _HAPROXY_TAG // interval_ms - 2
        if rule.burst > most:
            raise LimitError(
                f"limit {rule.name!r}: found a burst of {rule.burst} at front 'haproxy', allowed: "
                f"up to {most} there at this rate"
            )

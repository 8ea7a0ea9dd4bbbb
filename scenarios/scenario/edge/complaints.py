"""Checks what a scenario says about TLS at the proxy, and about a configuration of the user's own."""

from collections.abc import Iterator

from scenarios.fields import invalid
from scenarios.limits.registry import LimitError, limit
from scenarios.scenario.edge.settings import changed
from scenarios.scenario.edge.tls import Tls
from scenarios.scenario.model import Gateway, Scenario


def tls_complaints(scenario: Scenario) -> Iterator[str]:
    """Everything that is wrong with TLS, each beginning with the key."""
    edge, url, resume = scenario.edge, scenario.target.url, scenario.fleet.tls_resume
    if edge.tls and url:
        yield "edge.tls: not supported together with target.url: expected one of the two"
    if resume is not None and not edge.tls and not url.startswith(("https://", "wss://")):
        yield invalid(
            "fleet.tls_resume", resume, "no such key without TLS: [edge.tls], or target.url with https"
        )


def nginx_conf_complaints(scenario: Scenario) -> Iterator[str]:
    """Everything that does not go with the user's own nginx configuration, each beginning with the key."""
    edge = scenario.edge
    if not edge.nginx_conf:
        if edge.nginx_log_format:
            yield "edge.nginx_log_format: not supported without edge.nginx_conf"
        return
    if scenario.target.url:
        yield "edge.nginx_conf: not supported together with target.url: expected one of the two"
    if edge.proxy != "nginx":
        yield invalid("edge.proxy", edge.proxy, "'nginx' with edge.nginx_conf")
    try:
        limited = bool(limit(edge.limit).rules)
    except LimitError:
        limited = False  # which is told by itself
    if limited:
        yield invalid("edge.limit", edge.limit, "'none' with edge.nginx_conf, which has limits of its own")
    for key, value in changed(edge.nginx).items():
        yield invalid(f"edge.nginx.{key}", value, "no such key with edge.nginx_conf, which says it itself")
    if scenario.gateway.balance != Gateway().balance:
        expected = "no such key with edge.nginx_conf, which balances by itself"
        yield invalid("gateway.balance", scenario.gateway.balance, expected)
    if edge.tls:
        for key in ("versions", "session_cache", "session_tickets"):
            value, default = getattr(edge.tls, key), getattr(Tls(), key)
            if value != default:
                yield invalid(
                    f"edge.tls.{key}", value, "no such key with edge.nginx_conf, which says it itself"
                )

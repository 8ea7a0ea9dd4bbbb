"""What the model knows of the edge; a scenario that asks for more is refused with the reason."""

from collections.abc import Iterator

from scenarios.fields import invalid
from scenarios.limits.registry import Limits, limit
from scenarios.scenario.edge.envoy import EnvoySettings
from scenarios.scenario.edge.haproxy import HaproxySettings
from scenarios.scenario.edge.nginx import NginxSettings
from scenarios.scenario.edge.settings import changed
from scenarios.scenario.model import Scenario
from scenarios.scenario.own_gateway import limit_specs
from scenarios.simulator.edge.tokens import token_complaint

_KNOWN_OF_HAPROXY = {"nbthread", "timeout_connect_s", "timeout_server_s", "hard_stop_after_s"}
"""Keys of `[edge.haproxy]` that the model has, or that change nothing that it has: its proxy takes every
connection, and knows how many each pod has."""


def edge_complaints(scenario: Scenario) -> Iterator[str]:
    """What the model does not know, each as the text of an error that begins with the key."""
    edge = scenario.edge
    if edge.nginx_conf:
        yield (
            "edge.nginx_conf: not supported by simulate and tune: the model does not know what your"
            " configuration does"
        )
    for key, spec in limit_specs(scenario):
        if expected := _limit_expected(scenario, limit(spec)):
            yield invalid(key, spec, expected)
    if edge.proxy == "nginx":
        yield from _nginx_complaints(scenario, edge.nginx_in_force)
    elif edge.proxy == "envoy":
        yield from _envoy_complaints(scenario, edge.envoy_in_force)
    else:
        yield from _haproxy_complaints(scenario, edge.haproxy)


def _limit_expected(scenario: Scenario, limits: Limits) -> str:
    """What the model supports in the place of a limit; empty where it supports it."""
    for rule in limits.rules:
        if rule.token and (expected := token_complaint(rule.token, scenario.target)):
            return expected
    if limits.in_flight and any(part.fleet.transport == "polling-upgrade" for part in scenario.fleet.parts):
        return "fleet.transport = 'websocket' with 'concurrent-per-ip': the model has one request per client"
    return ""


def _nginx_complaints(scenario: Scenario, settings: NginxSettings) -> Iterator[str]:
    patience_s = _patience_s(scenario)
    for name in ("proxy_read_timeout_s", "proxy_connect_timeout_s"):
        value = getattr(settings, name)
        if value < patience_s:
            yield invalid(
                f"edge.nginx.{name}",
                value,
                f"at least {patience_s:g}, the longest connect_timeout_s: nginx of the model waits for a pod"
                " for as long as the client does",
            )
    several = settings.workers > 1
    if several and settings.worker_connections and not settings.reuseport:
        yield invalid(
            "edge.nginx.worker_connections",
            settings.worker_connections,
            "edge.nginx.workers = 1, or edge.nginx.reuseport = true: which worker wakes up first and takes a"
            " connection is up to the kernel",
        )
    if several and settings.max_fails and not settings.upstream_zone:
        yield invalid(
            "edge.nginx.max_fails",
            settings.max_fails,
            "edge.nginx.workers = 1, or edge.nginx.upstream_zone = true: the model has one count of failures"
            " for all workers",
        )


def _envoy_complaints(scenario: Scenario, settings: EnvoySettings) -> Iterator[str]:
    """Its bounds and time-outs have to be out of reach. The model has no outlier detection."""
    key, patience_s = "edge.envoy.", _patience_s(scenario)
    for name in ("max_connections", "max_requests"):
        value = getattr(settings, name)
        if 0 < value < scenario.fleet.clients:
            yield invalid(
                key + name,
                value,
                f"at least {scenario.fleet.clients}: the model has no requests that wait for Envoy's circuit"
                " breakers",
            )
    if settings.connect_timeout_s < patience_s:
        yield invalid(
            key + "connect_timeout_s",
            settings.connect_timeout_s,
            f"at least {patience_s:g}, the longest connect_timeout_s: Envoy of the model waits for a pod for"
            " as long as the client does",
        )
    if 0 < settings.stream_idle_timeout_s <= scenario.gateway.ping_interval_s:
        yield invalid(
            key + "stream_idle_timeout_s",
            settings.stream_idle_timeout_s,
            f"more than {scenario.gateway.ping_interval_s:g}, gateway.ping_interval_s: Envoy of the model"
            " closes no quiet stream",
        )
    if settings.consecutive_5xx:
        yield invalid(
            key + "consecutive_5xx", settings.consecutive_5xx, "0: the model has no outlier detection"
        )


def _haproxy_complaints(scenario: Scenario, settings: HaproxySettings) -> Iterator[str]:
    if scenario.edge.defaults == "stock":
        expected = (
            "'bench' with proxy 'haproxy': the model has no retries, and no proxy that waits for who has left"
        )
        yield invalid("edge.defaults", scenario.edge.defaults, expected)
        return
    for name, value in changed(settings).items():
        if name not in _KNOWN_OF_HAPROXY:
            yield invalid(
                f"edge.haproxy.{name}", value, "this key left out: the model has no such setting of HAProxy"
            )


def _patience_s(scenario: Scenario) -> float:
    """The longest that a client waits for an attempt."""
    return max(part.fleet.connect_timeout_s for part in scenario.fleet.parts)

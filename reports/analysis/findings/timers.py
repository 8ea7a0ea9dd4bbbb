"""Time-outs that can end a session, from the scenario's own values."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from reports.rundir.reader import Run, is_external

CLOSE = 0.05
CLOSE_S = 0.3
"""How far an age may be from a time-out that explains it."""
RECONNECT = 0.3
"""A period is a time-out and what a client takes to come back: up to this share of it."""


class Timer(Struct, frozen=True, kw_only=True):
    """One time-out."""

    name: str
    seconds: float
    change: str


def timers(run: Run) -> list[Timer]:
    """The time-outs of a run; of a proxy that is not ours, the defaults of the usual ones."""
    scenario = run.info.scenario
    edge, gateway = scenario.get("edge", {}), scenario.get("gateway", {})
    if is_external(run) or edge.get("nginx_conf"):
        return list(DEFAULTS)
    settings = edge.get(run.proxy) or {}
    found = [
        Timer(name=name.removesuffix("_s"), seconds=float(settings[name]), change=change)
        for name, change in _SETTINGS.get(run.proxy, {}).items()
        if settings.get(name)
    ]
    if not gateway.get("command"):
        found += _pings(gateway)
    if gateway.get("token_lifetime_s"):
        found.append(
            Timer(
                name="gateway.token_lifetime_s",
                seconds=float(gateway["token_lifetime_s"]),
                change="Renew tokens while a session goes on, each at a random part of its lifetime.",
            )
        )
    if edge.get("defaults") == "stock":
        found += [
            timer for proxy, timer in zip(("nginx", "envoy"), DEFAULTS, strict=True) if run.proxy == proxy
        ]
    return found


def of_age(age_s: float, known: Iterable[Timer]) -> Timer | None:
    """The time-out that is nearest to an age, and near enough."""
    near = [each for each in known if abs(each.seconds - age_s) <= CLOSE_S + CLOSE * each.seconds]
    return min(near, key=lambda each: abs(each.seconds - age_s), default=None)


def of_period(period_s: float, known: Iterable[Timer]) -> Timer | None:
    """The longest time-out that leaves clients some time to come back within a period, and not too much."""
    fitting = [
        each
        for each in known
        if (1 - RECONNECT) * period_s <= each.seconds <= (1 + CLOSE) * period_s + CLOSE_S
    ]
    return max(fitting, key=lambda each: each.seconds, default=None)


def _pings(gateway: Mapping[str, Any]) -> list[Timer]:
    if not gateway.get("ping_interval_s"):
        return []
    return [
        Timer(
            name="gateway.ping_interval_s + gateway.ping_timeout_s",
            seconds=float(gateway["ping_interval_s"] + gateway.get("ping_timeout_s", 0.0)),
            change=(
                "Let pings through in both directions, and give `pingTimeout` room for the event loop's "
                "worst lag."
            ),
        )
    ]


_IDLE = "or at least twice the gateway’s ping interval; the gateway: a ping interval below the time-out."
_RELOADS = "longer than sessions last; or drain clients over a window before a reload."
_ENVOY_IDLE = "Envoy: `stream_idle_timeout: 0s` on the WebSocket route, or a ping interval below it."
_SETTINGS = {
    "nginx": {
        "proxy_read_timeout_s": f"nginx: `proxy_read_timeout 3600s;`, {_IDLE}",
        "worker_shutdown_timeout_s": f"nginx: fewer reloads, and a `worker_shutdown_timeout` {_RELOADS}",
    },
    "haproxy": {
        "timeout_tunnel_s": f"HAProxy: `timeout tunnel 1h`, {_IDLE}",
        "timeout_client_s": f"HAProxy: `timeout tunnel 1h`, {_IDLE}",
        "timeout_server_s": f"HAProxy: `timeout tunnel 1h`, {_IDLE}",
        "hard_stop_after_s": f"HAProxy: fewer reloads, and a `hard-stop-after` {_RELOADS}",
    },
    "envoy": {"stream_idle_timeout_s": _ENVOY_IDLE},
}
"""Keys of `edge.nginx` and the like, with the directive to change."""

DEFAULTS = (
    Timer(
        name="the default of nginx’s proxy_read_timeout, and of many load balancers’ idle time-outs",
        seconds=60.0,
        change=_SETTINGS["nginx"]["proxy_read_timeout_s"],
    ),
    Timer(
        name="the default of Envoy’s stream_idle_timeout",
        seconds=300.0,
        change=_ENVOY_IDLE,
    ),
)

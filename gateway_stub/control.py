"""The control endpoints of a pod: on loopback, behind a token, on a port of their own."""

import hmac
import math
import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway_stub.protocol import COST_PATH, DROP_ALL_PATH, METRICS_PATH, TOKEN_HEADER, PodStatistics

_HELP = {
    "clients": ("gauge", "Clients joined now."),
    "handshakes_total": ("counter", "Handshakes that the pod began to pay for."),
    "joined_total": ("counter", "Clients that joined."),
    "gone_early_total": ("counter", "Handshakes whose client left before it joined."),
    "short_sessions_total": ("counter", "Joined sessions that ended within 5 s."),
    "ticks_sent_total": ("counter", "Deliveries handed to the transport."),
    "join_races_total": ("counter", "Clients that left between the Engine.IO open and the join."),
}


def control_app(
    *,
    token: str,
    drop_all: Callable[[], int],
    set_handshake_cpu_ms: Callable[[float], None],
    totals: Callable[[], dict[str, float]],
    last: Callable[[], PodStatistics | None],
) -> web.Application:
    """An application with the control endpoints (token required) and Prometheus text at `/metrics`."""

    @web.middleware
    async def authorise(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(TOKEN_HEADER, "")
        if request.path != METRICS_PATH and not hmac.compare_digest(
            given.encode(errors="surrogateescape"), token.encode()
        ):
            raise web.HTTPForbidden(text="wrong or missing control token\n")
        return await handler(request)

    async def drop(_request: web.Request) -> web.Response:
        return web.json_response({"at_ns": time.monotonic_ns(), "dropped": drop_all()})

    async def cost(request: web.Request) -> web.Response:
        try:
            value = float(request.query["cpu_ms"])
        except (KeyError, ValueError):
            value = math.nan
        if not 0 <= value < math.inf:
            raise web.HTTPBadRequest(text="cpu_ms: a number of milliseconds from 0 is required\n")
        set_handshake_cpu_ms(value)
        return web.json_response({"cpu_ms": value})

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text=prometheus_text(totals(), last()), content_type="text/plain")

    app = web.Application(middlewares=[authorise])
    app.add_routes([web.post(DROP_ALL_PATH, drop), web.post(COST_PATH, cost), web.get(METRICS_PATH, metrics)])
    return app


def prometheus_text(totals: dict[str, float], last: PodStatistics | None) -> str:
    """Counters and the last second's gauges in Prometheus' text format."""
    lines = []
    for name, value in totals.items():
        kind, text = _HELP[name]
        metric = f"gateway_{name}"
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} {kind}", f"{metric} {value}"]
    if last:
        for metric, text, gauge in (
            ("gateway_cpu_ratio", "CPU-seconds per second, last second.", last.cpu_ns / last.span_ns),
            (
                "gateway_loop_utilisation_ratio",
                "Share of the last second in which the loop was occupied.",
                last.occupied_ns / last.span_ns,
            ),
            ("gateway_loop_lag_seconds", "Worst loop lag of the last second.", last.lag_ms / 1000),
        ):
            lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge", f"{metric} {gauge:g}"]
    return "\n".join(lines) + "\n"

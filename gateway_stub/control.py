"""The control port of a pod: controls behind a token; metrics and probes without one."""

import hmac
import math
import random
import time
from collections.abc import Callable, Iterable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway_stub.protocol import (
    CLOCK_PATH,
    CONTROLS_PATH,
    DRAIN_PATH,
    DROP_PATH,
    LIVENESS_PATH,
    METRICS_PATH,
    READINESS_PATH,
    TOKEN_HEADER,
    Controls,
    PodStatistics,
)

_WITHOUT_TOKEN = {METRICS_PATH, LIVENESS_PATH, READINESS_PATH, CLOCK_PATH}

_HELP = {
    "clients": ("gauge", "Clients joined now."),
    "handshakes_total": ("counter", "Handshakes that the pod took on."),
    "joined_total": ("counter", "Clients that joined."),
    "gone_early_total": ("counter", "Handshakes whose client left before it joined."),
    "short_sessions_total": ("counter", "Joined sessions that ended within 5 s."),
    "shed_total": ("counter", "Handshakes that the pod turned away."),
    "ticks_sent_total": ("counter", "Deliveries handed to the transport."),
    "join_races_total": ("counter", "Clients that left between the Engine.IO open and the join."),
}


def control_app(
    *,
    token: str,
    drop: Callable[[float, random.Random], int],
    drain: Callable[[float, int | None, random.Random], int],
    apply: Callable[[Controls], Controls],
    probes: Iterable[web.RouteDef],
    totals: Callable[[], dict[str, float]],
    last: Callable[[], PodStatistics | None],
) -> web.Application:
    """An application with the control endpoints (token required), Prometheus text at `/metrics`, and probes.

    drop: cuts a share of the clients off and returns how many. drain: begins to close all clients' sessions
    evenly over so many seconds, with a close code or without one, and returns how many those are. apply: puts
    controls in force and returns what is then in force. probes: routes that an orchestrator may ask without
    queueing behind clients.
    """

    @web.middleware
    async def authorise(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(TOKEN_HEADER, "")
        if request.path not in _WITHOUT_TOKEN and not hmac.compare_digest(
            given.encode(errors="surrogateescape"), token.encode()
        ):
            raise web.HTTPForbidden(text="wrong or missing control token\n")
        return await handler(request)

    async def drop_clients(request: web.Request) -> web.Response:
        share, rng = _number(request, "share", "1", 1.0), _rng(request)
        return web.json_response({"at_ns": time.monotonic_ns(), "dropped": drop(share, rng)})

    async def drain_clients(request: web.Request) -> web.Response:
        window_s, code = _number(request, "window_s", "0", math.inf), _close_code(request)
        draining = drain(window_s, code, _rng(request))
        return web.json_response({"at_ns": time.monotonic_ns(), "draining": draining})

    async def put_in_force(request: web.Request) -> web.Response:
        try:
            controls = msgspec.json.decode(await request.read(), type=Controls)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=f"controls: {error}\n") from None
        answer = msgspec.json.encode(apply(controls))
        return web.Response(body=answer, content_type="application/json")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text=prometheus_text(totals(), last()), content_type="text/plain")

    app = web.Application(middlewares=[authorise])
    app.add_routes(
        [
            web.post(DROP_PATH, drop_clients),
            web.post(DRAIN_PATH, drain_clients),
            web.post(CONTROLS_PATH, put_in_force),
            web.get(METRICS_PATH, metrics),
        ]
    )
    app.add_routes(probes)
    return app


def _number(request: web.Request, name: str, default: str, most: float) -> float:
    text = request.query.get(name, default)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most or math.isinf(number):
        expected = "a number from 0 on" if math.isinf(most) else f"a number from 0 to {most:g}"
        raise web.HTTPBadRequest(text=f"{name}: invalid value {text!r}: expected {expected}\n")
    return number


def _close_code(request: web.Request) -> int | None:
    text = request.query.get("close_code")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1000 <= int(text) <= 4999):
        raise web.HTTPBadRequest(
            text=f"close_code: invalid value {text!r}: expected an integer from 1000 to 4999\n"
        )
    return int(text)


def _rng(request: web.Request) -> random.Random:
    text = request.query.get("seed", "0")
    try:
        return random.Random(int(text))  # noqa: S311
    except ValueError:
        raise web.HTTPBadRequest(text=f"seed: invalid value {text!r}: expected an integer\n") from None


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

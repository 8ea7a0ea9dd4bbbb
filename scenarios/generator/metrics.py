"""What the generator is doing, as Prometheus reads it: the last merged second, and counts.

What we add to Locust's web UI: `/metrics`, and a door-keeper before every page.

The web UI asks nobody who they are, so `/metrics` shows nothing secret. Whom the door-keeper lets in is said
in `web_door.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, request

from reports.rundir.columns import OUTCOMES
from scenarios.generator.web_door import START, Door, Request
from scenarios.wire.interval import DISCONNECTS, Interval, Samples
from scenarios.wire.prometheus_text import CONTENT_TYPE, METRICS_PATH, Labels, metric

_COUNTERS = {
    "attempts": "Connection attempts that began.",
    "outcomes": "Connection attempts that ended, by outcome; `limited` are refusals by a limit.",
    "disconnects": "Sessions that ended, by reason.",
    "ticks": "Ticks delivered to clients.",
    "missed_ticks": "Ticks that clients never got because they were away.",
}
_FROM_THE_START = (
    *((name, "", "") for name in ("attempts", "ticks", "missed_ticks")),
    *(("outcomes", "outcome", outcome) for outcome in OUTCOMES),
    *(("disconnects", "reason", reason) for reason in DISCONNECTS),
)
"""Counts that are shown as 0 before they count anything: of a count that appears with its first value,
Prometheus sees no increase, and the first value of `disconnects` may be the whole storm."""
_QUANTILES = {"0.5": 50.0, "0.99": 99.0}


class Exposition:
    """Keeps count over all tests of this process."""

    def __init__(self) -> None:
        self._last: Interval | None = None
        self._totals: Counter[tuple[str, str, str]] = Counter(dict.fromkeys(_FROM_THE_START, 0))
        self._lost_workers = 0

    def take(self, interval: Interval) -> None:
        """Takes a second of the whole generator."""
        self._last = interval
        self._totals["attempts", "", ""] += interval.attempts
        self._totals["ticks", "", ""] += interval.ticks
        self._totals["missed_ticks", "", ""] += interval.missed
        for outcome, count in interval.outcomes.items():
            self._totals["outcomes", "outcome", outcome] += count
        for reason, count in interval.disconnects.items():
            self._totals["disconnects", "reason", reason] += count
        self._lost_workers += sum(change.change == "lost" for change in interval.worker_changes)

    def end(self) -> None:
        """The test is over: there is no last second any more."""
        self._last = None

    def text(self, *, workers: int, storm: bool) -> str:
        """Everything in Prometheus' text format.

        workers: processes that are there. storm: whether a run has taken this generator.
        """
        lines = [
            *_metric("workers", "gauge", "Generator processes that are there.", [({}, workers)]),
            *_metric("workers_lost_total", "counter", "Those lost during tests.", [({}, self._lost_workers)]),
            *_metric("running", "gauge", "Whether a test is running.", [({}, int(self._last is not None))]),
            *_metric("storm", "gauge", "Whether a run has taken this generator.", [({}, int(storm))]),
        ]
        for name, text in _COUNTERS.items():
            counts = [
                ({label: value} if label else {}, count)
                for (of, label, value), count in sorted(self._totals.items())
                if of == name
            ]
            lines += _metric(f"{name}_total", "counter", text, counts)
        if self._last is not None:
            lines += _gauges(self._last)
        return "\n".join(lines) + "\n"


def _gauges(last: Interval) -> list[str]:
    lines: list[str] = []
    for name, text, value in (
        ("clients", "Clients that have been started.", last.clients),
        ("missing_clients", "Clients of processes that are lost.", last.missing),
        ("connected_clients", "Clients joined.", last.connected),
        ("useful_clients", "Clients joined whose newest tick is under 1 s old.", last.useful),
        ("stale_clients", "Clients whose newest tick is 1 s old or older.", last.stale_clients),
        ("cpu_ratio", "CPU-seconds per second, all processes.", last.cpu_ns / 1e9),
        ("memory_bytes", "Resident memory, all processes.", last.rss_bytes),
    ):
        if value is not None:
            lines += _metric(name, "gauge", text, [({}, value)])
    for name, text, samples in (
        ("fanout_seconds", "Fan-out latency, last second.", last.fanout),
        ("staleness_seconds", "Age of the newest tick of all clients, last second.", last.staleness),
        ("loop_lag_seconds", "Lag of the generator's own event loops, last second.", last.loop_lag),
    ):
        lines += _metric(name, "gauge", text, _quantiles(samples))
    return lines


def _quantiles(samples: Samples) -> list[tuple[Labels, float]]:
    found = ((quantile, samples.percentile_ms(percent)) for quantile, percent in _QUANTILES.items())
    return [({"quantile": quantile}, ms / 1000) for quantile, ms in found if ms is not None]


def _metric(name: str, kind: str, text: str, values: Iterable[tuple[Labels, float]]) -> list[str]:
    return metric(f"generator_{name}", kind, text, values)


_CORS = "access-control-"
_HEADERS = (
    # Nobody may put a transparent frame of the web UI over a button of theirs.
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)


def add_pages(app: Flask, *, metrics: Callable[[], str], busy: Callable[[], bool], door: Door) -> None:
    """Adds them.

    metrics: Prometheus text. busy: whether a run has taken this generator. door: what is let in.
    """

    @app.route(METRICS_PATH)
    def show_metrics() -> Response:
        return Response(metrics(), content_type=CONTENT_TYPE)

    @app.before_request
    def keep_door() -> Response | None:
        page = request.endpoint or ""
        form = request.form if page == START else {}
        asked = Request(
            method=request.method,
            page=page,
            headers={name.lower(): value for name, value in request.headers.items()},
            query=tuple(request.args),
            content_type=request.mimetype,
            form={key: tuple(request.form.getlist(key)) for key in form},
        )
        if refusal := door.refusal(asked):
            return Response(f"{refusal.reason}\n", refusal.status, content_type="text/plain")
        if page == START and busy():
            return Response("a storm is under way: its run starts and stops the clients\n", 409)
        return None

    app.wsgi_app = _for_own_pages_alone(app.wsgi_app)  # type: ignore[method-assign]


def _for_own_pages_alone(inner: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The application without the headers by which Locust lets any web page read its answers."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            kept = [(name, value) for name, value in headers if not name.lower().startswith(_CORS)]
            return start_response(status, [*kept, *_HEADERS], *more)

        return inner(environ, start)

    return answer

"""What we add to Locust's web UI: `/metrics`, and a door-keeper before every page.

The web UI asks nobody who they are, so `/metrics` shows nothing secret. Whom the door-keeper lets in is said
in `web_door.py`.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, request

from scenarios.clients.exposition import CONTENT_TYPE
from scenarios.clients.web_door import START, Door, Request

METRICS_PATH = "/metrics"

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

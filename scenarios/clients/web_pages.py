"""What we add to Locust's web UI: `/metrics`, and a door-keeper before the form that starts tests.

The web UI asks nobody who they are, so `/metrics` shows nothing secret, and the form may set nothing but what
it shows: Locust would take any option from it, those that lift a guard rail too.
"""

from collections.abc import Callable, Collection

from flask import Flask, Response, request

from scenarios.clients.exposition import CONTENT_TYPE

METRICS_PATH = "/metrics"
_START_PATH = "/swarm"


def add_pages(
    app: Flask, *, metrics: Callable[[], str], busy: Callable[[], bool], hidden: Collection[str]
) -> None:
    """Adds them.

    metrics: Prometheus text. busy: whether a run has taken this generator. hidden: options that only the
    command line may set.
    """

    @app.route(METRICS_PATH)
    def show_metrics() -> Response:
        return Response(metrics(), content_type=CONTENT_TYPE)

    @app.before_request
    def keep_door() -> Response | None:
        if not request.path.endswith(_START_PATH):
            return None
        if busy():
            return Response("a storm is under way: its run starts and stops the clients\n", 409)
        found = sorted(set(request.form) & set(hidden))
        return Response(f"{', '.join(found)}: only on the command line\n", 403) if found else None

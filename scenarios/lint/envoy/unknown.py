"""What a file of Envoy's does not say: what is read dynamically, and values that are filled in later."""

from collections.abc import Iterator

from scenarios.lint.envoy.site import Site
from scenarios.lint.finding import Finding, not_judged
from scenarios.lint.placeholders import unknown
from scenarios.lint.values import Node

_DYNAMIC = (("lds_config", "listeners"), ("cds_config", "clusters"))
_DECIDING = (
    "timeout", "idle_timeout", "stream_idle_timeout", "max_stream_duration", "max_connection_duration",
    "max_connections", "max_requests", "max_pending_requests", "num_retries", "max_tokens",
)  # fmt: skip

NOT_JUDGED = not_judged("envoy")
RULES = (NOT_JUDGED,)


def check(site: Site) -> Iterator[Finding]:
    """Each thing once."""
    for document in site.documents:
        for key, what in _DYNAMIC:
            source = document.get("dynamic_resources", key)
            if source.there:
                yield NOT_JUDGED.at(source.place, f"{what} are read dynamically")
    for manager in site.all_managers:
        if manager.get("rds").there or manager.get("scoped_routes").there:
            yield NOT_JUDGED.at(
                manager.place, "the routes of this http_connection_manager are read dynamically"
            )
    known = {one.get("name").text for one in site.clusters}
    for route in site.routes:
        for name in route.clusters:
            if name not in known:
                yield NOT_JUDGED.at(route.place, f"cluster {name} of {route.name} is not in this file")
    for holder in (*site.managers, *(one.action for one in site.routes), *site.clusters):
        yield from _values(holder)


def _values(holder: Node) -> Iterator[Finding]:
    for node in holder.inner():
        for name in _DECIDING:
            value = node.get(name)
            if value.there and unknown(value.text):
                yield NOT_JUDGED.at(value.place, f"{name} {value.text} is filled in later")

"""A cap on requests in flight as a pure rule: nginx's `limit_conn`, and HAProxy's `conn_cur`.

    refused where requests of the key in flight ≥ connections; otherwise there is one more until it ends

A request is in flight from its header until its answer is complete. A WebSocket is one request, so it counts
for as long as it is open; a client that polls counts only while one of its requests is on the way.

In a dry run nginx does not count what it would have refused; HAProxy counts every request that it tracks.

Source: nginx/nginx, src/http/modules/ngx_http_limit_conn_module.c; haproxy/haproxy, src/stick_table.c.
"""

from scenarios.limits.counted import CountedRule


class InFlightRule(CountedRule, frozen=True, kw_only=True):
    """One `limit_conn` rule."""

    connections: int
    """Requests of one address that may be in flight at once."""

    @property
    def all_requests(self) -> bool:
        """A WebSocket counts whether or not polling came before it."""
        return True

    def admits(self, in_flight: int) -> bool:
        """Whether one more request fits beside those of the same address."""
        return in_flight < self.connections

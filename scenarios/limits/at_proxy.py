"""Limits at the proxy: rates of new connections, sliding windows, and requests in flight."""

from typing import Annotated, ClassVar

from msgspec import Meta

from scenarios.fields import EXPECTED
from scenarios.limits.base import Limits, ProxyLimit
from scenarios.limits.in_flight import InFlightRule
from scenarios.limits.leaky_bucket import EdgeRule, Key
from scenarios.limits.window import WindowRule

RatePerS = Annotated[float, Meta(ge=1 / 60, le=10_000)]
Burst = Annotated[int, Meta(ge=0, le=100_000)]
Connections = Annotated[int, Meta(ge=1, le=65_535)]


class RateLimit(ProxyLimit, frozen=True, kw_only=True):
    """What all limits on a rate have in common."""

    key: ClassVar[Key] = "new-per-address"
    nodelay: ClassVar[bool] = True

    def limits(self, name: str) -> Limits:
        rule = EdgeRule(key=self.key, nodelay=self.nodelay, **self.counting(name))
        return Limits((rule,), refusal=self.refusal)


class PerIp(RateLimit, frozen=True, kw_only=True):
    """New connections per second from one client IP; nginx refuses the rest with 429.

        excess' = max(0, excess − rate·Δt + 1); refused where excess' > burst

    A rate of 3 with a burst of 2 means three at once, then three per second. A refusal is not charged to the
    IP. Only a GET without a session id counts, so the other requests of a polling client pass; a request with
    a forged session id passes as well, and is rejected with 400 by the pod. Clients behind a shared IP share
    one allowance. nginx has whole rates only: a fraction is rounded to whole requests per minute. Other
    proxies get the same rate, and admit the same requests with a bucket of burst + 1 tokens.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    rate_per_s: RatePerS = 3.0
    """Connections per second that one IP may make."""
    burst: Burst = 2
    """Connections on top of the rate that may arrive at once."""


class PerIpStrict(PerIp, frozen=True, kw_only=True):
    """New connections from one client IP with a minimum interval.

        excess' = max(0, excess − rate·Δt + 1); refused where excess' > 0

    This is `rate=3r/s` without a burst: not three per second, but one every 334 ms. Of two clients behind a
    shared IP that reconnect at the same moment, one is refused.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    burst: Annotated[int, Meta(ge=0, le=0)] = 0


class PerIpAllRequests(PerIp, frozen=True, kw_only=True):
    """The common mistake: every request of a client IP counts, not only new connections.

        excess' = max(0, excess − rate·Δt + 1) for each request; refused where excess' > burst

    A WebSocket is one request, so the effect is the same as with `per-ip`. A client that begins with polling
    makes five requests for one connection; the first three pass, and the client never connects.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    key = "all-per-address"


class PerIpDelay(PerIp, frozen=True, kw_only=True):
    """As `per-ip`, but nginx delays the requests of a burst to the rate.

        excess' = max(0, excess − rate·Δt + 1); refused where excess' > burst; delay = excess' / rate

    This is a burst without `nodelay`. The delay counts against the client's connect timeout: with a burst of
    more than rate · timeout, the last clients give up before nginx forwards their request. Other proxies
    cannot delay requests (no queueing): a scenario with one of them and this limit is rejected.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c.
    """

    nodelay = False


class Global(RateLimit, frozen=True, kw_only=True):
    """New connections per second of all clients together, at half of the gateway's capacity.

        rate = 0.5·P·(1−ρ)/c; excess' = max(0, excess − rate·Δt + 1); refused where excess' > burst

    P is the pods' capacity in cores, ρ the share of it that the steady feed uses, c the CPU-seconds of one
    handshake; `rate_per_s` overrides the rate. Clients behind a shared IP have no disadvantage. But the limit
    does not distinguish clients: those that retry fastest starve the others.

    Source: derived in scenarios/scenario/stability.py; the rule is that of nginx's
    ngx_http_limit_req_module.c.
    """

    key = "new-together"

    rate_per_s: RatePerS | None = None
    """Connections per second of all clients; left out: by the formula."""
    burst: Burst = 10
    """Connections on top of the rate that may arrive at once."""


class PerToken(RateLimit, frozen=True, kw_only=True):
    """New connections per second with the same token or cookie, in place of the same client IP.

        excess' = max(0, excess − rate·Δt + 1); refused where excess' > burst

    Clients behind a shared IP have an allowance each. A request without the header or cookie is not counted:
    the limit does not protect against clients that leave it out, or that invent one for every attempt.
    Envoy reads headers only: a scenario with it and a cookie is rejected.

    Clients of this program send what `target.headers` and `target.cookies` say, and no token without these:
    then nothing is refused. `target.credentials` gives each client a token of its own.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c, with `$http_…` or `$cookie_…` as key.
    """

    key = "new-per-token"

    by: Annotated[
        str,
        Meta(
            pattern=r"^(header:[A-Za-z][A-Za-z0-9-]*|cookie:[A-Za-z][A-Za-z0-9_]*)\Z",
            extra={EXPECTED: "header:NAME or cookie:NAME, such as 'header:Authorization'"},
        ),
    ] = "header:Authorization"
    """What tells clients apart: `header:NAME`, or `cookie:NAME`. A name of a header has letters, digits and
    hyphens, that of a cookie letters, digits and underscores."""
    rate_per_s: RatePerS = 3.0
    """Connections per second that one token may make."""
    burst: Burst = 2
    """Connections on top of the rate that may arrive at once."""

    def limits(self, name: str) -> Limits:
        fields = self.counting(name)
        rule = EdgeRule(key=self.key, nodelay=self.nodelay, token=fields.pop("by"), **fields)
        return Limits((rule,), refusal=self.refusal)


class ConcurrentPerIp(ProxyLimit, frozen=True, kw_only=True):
    """Open connections of one client IP at the same time.

        refused where requests of the IP in flight ≥ connections

    This is nginx's `limit_conn`. A request counts from its header to the end of its answer: a WebSocket for
    as long as it is open, a polling client only while one of its requests is on the way, and for a moment
    twice when it upgrades. A connection that was open before the limit came into force does not count.
    Clients behind a shared IP share the connections; if the proxy sees one address for everybody, all clients
    do. Envoy has no such cap: a scenario with it and this limit is rejected.

    Source: nginx/nginx, src/http/modules/ngx_http_limit_conn_module.c; HAProxy's `conn_cur`.
    """

    connections: Connections = 10
    """Connections that one IP may have open at once."""

    def limits(self, name: str) -> Limits:
        return Limits(in_flight=(InFlightRule(**self.counting(name)),), refusal=self.refusal)


class SlidingWindow(ProxyLimit, frozen=True, kw_only=True):
    """New connections of one client IP in any window of time, as HAProxy counts them.

        rate = ⌊(before·remaining + now·window) / window⌋; refused where rate ≥ connections

    `now` and `before` are the requests of the present window and of the one before, `remaining` is what is
    left of the present one. HAProxy remembers no single request, so a window may admit a few more or a few
    less than an exact one would; `pod-window` is exact. With `charge_refusals` refused requests count as
    well, and a client that retries too early for long enough never gets in. nginx and Envoy have no sliding
    window: a scenario with one of them and this limit is rejected. What comes near at nginx is `per-ip` with
    the same rate on average, which never charges a refusal.

    Source: haproxy/haproxy, src/freq_ctr.c; `gpc0_rate`, and `http_req_rate` with `charge_refusals`.
    """

    connections: Connections = 10
    """Connections that one IP may make in a window."""
    window_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    """Length of the window."""
    charge_refusals: bool = False
    """Count refused requests as well."""

    def limits(self, name: str) -> Limits:
        return Limits(windows=(WindowRule(**self.counting(name)),), refusal=self.refusal)

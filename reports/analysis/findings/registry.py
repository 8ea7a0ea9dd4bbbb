"""All kinds of findings, and how they are looked for in a run.

Add one: write a rule, a function from the evidence to what it found or None, and enter it in `FINDINGS`. A
rule says nothing where a setting is sound, and nothing where the run does not have the data.
"""

from collections.abc import Mapping

from reports.analysis.findings.cuts import cut_by_time_out
from reports.analysis.findings.drops import sessions_of_one_age, synchronised_drops
from reports.analysis.findings.finding import Found, Kind, RunFinding
from reports.analysis.findings.limits import never_in, refused_first_attempts, single_key
from reports.analysis.findings.upstreams import pods_taken_out, uneven_workers
from reports.analysis.validity import Evidence
from reports.rundir.reader import Run, is_external

_TIME_OUTS = {
    "nginx": "`proxy_read_timeout` and `worker_shutdown_timeout`: longer than sessions last.",
    "haproxy": "`timeout tunnel`, `hard-stop-after`: longer than sessions last.",
    "envoy": "`stream_idle_timeout: 0s` and no `max_stream_duration` on the WebSocket route.",
}

FINDINGS: dict[str, Kind] = {
    "single-key": Kind(
        title="The limit saw a single key",
        meaning=(
            "The limit counts by client address, and every request has the same one: that of a load balancer "
            "or proxy in front. A limit for each client becomes one limit for all. In a storm it refuses "
            "nearly everybody, and clients that retry fastest starve the others."
        ),
        found_where=(
            "a limit per address refused requests, the clients have several IPs, and all requests in the "
            "proxy's log have one address; or where the limit of sidecars, or of pods, counts by the address "
            "of the proxy"
        ),
        change={
            "nginx": (
                "`set_real_ip_from <network of the load balancer>;` with `real_ip_header X-Forwarded-For;` "
                "(or `proxy_protocol`). A `location` with a `proxy_set_header` of its own inherits none: "
                "repeat `proxy_set_header X-Forwarded-For $remote_addr;` there."
            ),
            "haproxy": (
                "`http-request set-src hdr_ip(x-forwarded-for,-1) if { src <load balancer> }`, or "
                "`accept-proxy` on the `bind` line, before `track-sc0 src`."
            ),
            "envoy": (
                "`use_remote_address: true` with `xff_num_trusted_hops: <proxies in front>`, and the "
                "descriptor `remote_address` or `masked_remote_address`."
            ),
        },
        rule=single_key,
    ),
    "never-in": Kind(
        title="Clients that can never get in",
        meaning=(
            "The limit refuses the same clients again and again, although its rate would have been enough "
            "for all of them by now. It counts more than new connections, charges refusals, or has too "
            "small a burst or cap for the clients of one address. Waiting does not help: after a storm "
            "these clients stay out until somebody changes the limit."
        ),
        found_where=(
            "in the last 15 s clients with one number of clients per IP were out, none of them came in, the "
            "limit refused at least 90 % of what they tried, pods failed hardly any attempt, and the rate of "
            "the limit since the trigger was room for twice the clients of an IP; or where a cap on open "
            "connections is below the number of clients that share an IP. Of an nginx configuration of your "
            "own, rates and caps are not known: found where its error log names a zone, and the last 15 s "
            "(the last half of a shorter storm, or of a ramp that timed out) are like that"
        ),
        change={
            "nginx": (
                "Count new connections alone, and give `limit_req … burst=` (or `limit_conn`) room for the "
                "clients of one address. `limit_req` does not charge refusals."
            ),
            "haproxy": (
                "Do not count denied requests: `http-request sc-inc-gpc0(0) if !refused` instead of "
                "`sc_http_req_rate(0)`, which charges them; a threshold above the clients of one address."
            ),
            "envoy": "`max_tokens` of the descriptor above the clients of one address.",
        },
        rule=never_in,
    ),
    "refused-first-attempts": Kind(
        title="Clients that had done nothing were refused",
        meaning=(
            "A limit by address counts all clients behind an address as one. When a storm disconnects them "
            "together, all but the first few are refused at their first attempt, and come back as late as "
            "clients that hammered."
        ),
        found_where=(
            "a limit per address, at the proxy or at the pods, refused at least 5 % of the first attempts "
            "that clients made after a disconnect, and at least 5 of them; with `drop` or `close_1013` "
            "clients do not know that they were refused, and nothing is found. Of an nginx configuration of "
            "your own, its error log has to name a zone, and clients that share an IP have to be refused "
            "twice as often as the others"
        ),
        change={
            "nginx": (
                "A larger `burst=` with `nodelay` on `limit_req`, an exempt range for large offices (`geo`), "
                "or a key that tells clients apart: `limit_req_zone $cookie_<name> …`."
            ),
            "haproxy": (
                "A larger bucket, an `acl` that exempts large offices, or `track-sc0 req.cook(<name>)` "
                "instead of `src`."
            ),
            "envoy": (
                "A larger `max_tokens`, or a descriptor of a header or cookie instead of `remote_address`."
            ),
        },
        rule=refused_first_attempts,
    ),
    "uneven-workers": Kind(
        title="Sockets are uneven over the proxy's workers",
        meaning=(
            "One worker accepts most connections. In a storm it does the handshakes of nearly all clients on "
            "one core, and reaches `worker_connections` while the others are idle: then connections fail far "
            "below the total of all workers."
        ),
        found_where=(
            "the proxy has several workers and, at the trigger or at the end, the fullest has 1.5 times the "
            "mean number of WebSockets, and more than chance explains; only nginx tells its workers apart"
        ),
        change={
            "nginx": "`listen … reuseport;`, and `multi_accept off;`.",
            "haproxy": "`bind … shards by-thread`.",
            "envoy": "`connection_balance_config: {exact_balance: {}}` on the listener.",
        },
        rule=uneven_workers,
    ),
    "synchronised-drops": Kind(
        title="Clients are disconnected together, again and again",
        meaning=(
            "A time-out cuts all sessions that are equally old or equally quiet, so clients that joined "
            "together lose their connections together. Every pulse is a small storm without a fault, and "
            "after a large one all clients are in step."
        ),
        found_where=(
            "at least 3 pulses at one distance, of at least 5 % of the clients each, hold 70 % of the "
            "disconnects that no event of the run explains; those by a client's own watchdog do not count. A "
            "time-out of the scenario that fits is named"
        ),
        change=_TIME_OUTS,
        rule=synchronised_drops,
    ),
    "one-session-age": Kind(
        title="Sessions end at one age",
        meaning=(
            "Most sessions end at the same age, which is a time-out and not a fault. After a storm, when all "
            "clients have joined within seconds, the same time-out disconnects them together again."
        ),
        found_where=(
            "at least 20 sessions, and 70 % of those that ended without an event that explains it (or of "
            "those among them that joined during the run), ended at one age, give or take 7 %, and did so at "
            "different moments or at the value of a time-out of the scenario"
        ),
        change=_TIME_OUTS,
        rule=sessions_of_one_age,
    ),
    "cut-by-time-out": Kind(
        title="A time-out of the proxy cut clients together",
        meaning=(
            "After a reload, old workers keep their sockets until `worker_shutdown_timeout`; a socket "
            "without a byte is cut after `proxy_read_timeout`. Either cuts all clients at one moment. Their "
            "return is a storm without a fault. Once is enough."
        ),
        found_where=(
            "at least 5 of the clients, and 5 % of them, lost their connection within seconds, as long after "
            "a reload or after the feed stopped as a time-out of the scenario says, and neither their own "
            "watchdog nor another event explains it; the time-outs in an nginx configuration of your own are "
            "not known"
        ),
        change=_TIME_OUTS,
        rule=cut_by_time_out,
    ),
    "pods-taken-out": Kind(
        title="Pods were taken out of the upstream while they were alive",
        meaning=(
            "After a few failures the proxy counts a pod as dead and sends its clients to the others. In a "
            "storm pods are late, not dead: the load of each one that is taken out falls on the rest, and "
            "these follow, until every request gets an error at once."
        ),
        found_where=(
            "nginx's error log says that a server was disabled after another failure than a refused "
            "connection, or that no live upstream was left; HAProxy's log says that one is DOWN; or "
            "sidecars counted ejections"
        ),
        change={
            "nginx": (
                "`server … max_fails=0;`, and readiness probes that take out dead pods; the defaults are "
                "`max_fails=1 fail_timeout=10s`."
            ),
            "haproxy": "`check` with a larger `fall` and `timeout check`, and no `observe layer7`.",
            "envoy": (
                "`outlier_detection`: larger `consecutive_5xx`, a `max_ejection_percent` that leaves pods "
                "in, or `enforcing_consecutive_5xx: 0`."
            ),
        },
        rule=pods_taken_out,
    ),
}
"""Every kind by its id, the most important one first."""

PROXIES: Mapping[str, str] = {"nginx": "nginx", "haproxy": "HAProxy", "envoy": "Envoy"}
"""Names as they are written."""


def findings(evidence: Evidence) -> tuple[RunFinding, ...]:
    """What the rules found in a run."""
    found = {name: kind.rule(evidence) for name, kind in FINDINGS.items()}
    return tuple(
        RunFinding(
            id=name,
            title=FINDINGS[name].title,
            figures=each.figures,
            meaning=FINDINGS[name].meaning,
            change=each.change or _change(FINDINGS[name], each, evidence.run),
        )
        for name, each in found.items()
        if each is not None
    )


def _change(kind: Kind, found: Found, run: Run) -> str:
    """The directive of the proxy that it is about; those of all where the proxy is not ours."""
    if is_external(run) and not found.proxy:
        return " ".join(f"{PROXIES[proxy]}: {change}" for proxy, change in kind.change.items())
    proxy = found.proxy or run.proxy
    return f"{PROXIES[proxy]}: {kind.change[proxy]}"

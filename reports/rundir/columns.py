"""What the columns of a run directory's tables mean. A cell is empty where the second has no value."""

OUTCOMES = {
    "joined": "the namespace is joined",
    "limited": "answered with 429 or 503",
    "refused": "no connection, or the proxy found no pod (502, 504)",
    "timeout": "not joined within the client's connect timeout",
    "reset": "the connection ended before the namespace was joined",
    "rejected": "any other HTTP status, or the namespace was refused",
    "broken": "the answer broke the protocol",
    "tls": "the TLS handshake failed",
    "exhausted": "this host ran out of ports, descriptors or memory",
    "no_credentials": "no credentials, or not in time, from the function or command that issues them",
    "abandoned": "given up by the client because a new policy was pushed",
}
"""How a connection attempt can end; each is a column of series.csv."""

GAVE_UP = {
    "policy_ended": "the policy had no further delay, or its throttle closed for good",
    "namespace_disconnect": "the server disconnected the namespace (packet 41)",
    "connect_error": "the server refused the namespace (packet 44)",
    "http_status": "an HTTP status",
    "refused": "no connection",
    "tls": "the TLS handshake failed",
    "timeout": "the client's connect timeout",
    "closed": "the connection ended",
    "protocol_error": "the server broke the protocol",
    "ping_timeout": "the server's ping was overdue",
    "stale": "the client's own watchdog",
    "abandoned": "a pushed policy that began by stopping",
}
"""Why a client stops for good; each is a column of series.csv with `gave_up_` before it."""

RECOVERY = {
    "recovery_asked": "sessions that asked for connection state recovery when they joined",
    "recovered": "of these, sessions that the gateway recovered",
    "replayed": "missed ticks that the gateway sent to recovered sessions",
    "duplicated": "ticks that a client received again",
}
"""What clients with connection state recovery count; each is a column of series.csv."""

TLS = {
    "tls_full": "TLS handshakes in full, as clients counted them",
    "tls_resumed": "TLS handshakes that resumed a session, which cost a fraction of a full one",
}
"""How TLS handshakes went; each is a column of series.csv."""

SERIES_COLUMNS: dict[str, str] = {
    "t_s": "second of steady state; the row covers [t_s, t_s + 1)",
    "clients": "clients that have been started",
    "connected": "clients joined at the end of the second",
    "useful": "mean clients joined with a newest tick under 1 s old",
    "attempts": "connection attempts that started",
    "attempts_peak_100ms": "most attempts that started within one tenth of the second",
    "attempts_squares_100ms": "sum of squares of the attempts in each tenth, for variance / mean",
    **{name: f"attempts: {ending}" for name, ending in OUTCOMES.items()},
    "disconnects": "joined sessions that ended",
    "stale": "of these, ended by the client's own watchdog",
    "ping_timeout": "of these, ended by the client because the server's ping was overdue",
    "gave_up": "clients that stopped for good: their policy allowed no further attempt",
    **{f"gave_up_{name}": f"of these, after: {reason}" for name, reason in GAVE_UP.items()},
    **TLS,
    "held_back": "attempts that the cap on attempts delayed",
    "unopened": "connections of joined sessions that this machine could not open",
    "missing": "clients of generator processes that died",
    "ticks": "ticks received",
    "missed": "ticks that clients found out they will never get",
    **RECOVERY,
    "skipped": "of the ticks due in this second, those that clients found out they will never get",
    "early": "ticks received before they were due, by the clock of the publisher",
    "earliest_ms": "how long before, at the most",
    "fanout_p50_ms": "median of received - due, by second of receipt",
    "fanout_p99_ms": "99th percentile of received - due, by second of receipt",
    "fanout_max_ms": "maximum of received - due, by second of receipt",
    "fanout_by_stamp_p50_ms": "median of received - stamp, where due times come from a fitted schedule",
    "fanout_by_stamp_p99_ms": "99th percentile of the same",
    "fanout_by_stamp_max_ms": "maximum of the same",
    "stamped": "ticks that were due by their stamps, where due times come from a fitted schedule",
    "effective_p99_ms": "99th percentile of effective latency, by the second of the due time",
    "effective_at_least": "1 where that percentile falls among values that are only lower bounds",
    "staleness_p50_ms": "median age of the newest tick of every client, joined or not, on a 100 ms grid",
    "staleness_p99_ms": "99th percentile of the same",
    "staleness_max_ms": "maximum of the same",
    "stale_client_s": "client-seconds, joined or not, with a newest tick of 1 s or older",
    "nginx_limited": "requests that nginx's own log says it refused by a limit",
    "sidecar_refused": "requests that sidecars answered by themselves with 429 or 503",
    "pod_cpu": "CPU-seconds per second, mean over pods",
    "pod_cpu_total": "CPU-seconds per second, sum over pods",
    "pod_loop": "share of time in which the event loop was occupied, mean over pods",
    "pod_loop_max": "the same, of the busiest pod",
    "pod_lag_ms": "worst loop lag of any pod",
    "pod_rss_mb": "resident memory in megabytes, sum over pods, at the end of the second",
    "tick_late_ms": "worst time from due until a pod began to send",
    "handshakes": "handshakes that pods began to pay for",
    "gone_early": "of these, with a client that had left before it joined",
    "short_sessions": "sessions that ended within 5 s of joining, as pods saw it",
    "pod_shed": "handshakes that pods shed by their own admission control",
    "ticks_sent": "deliveries that pods handed to their transports",
    "nginx_cpu": "CPU-seconds per second of nginx",
    "generator_cpu": "CPU-seconds per second of the load generator",
    "generator_lag_p99_ms": "99th percentile of the loop lag of the generator process that was latest",
    "retry_late_p99_ms": "99th percentile of how late attempts started, against the delay of their policy",
    "foreign_cpu": "CPU-seconds per second that other processes used on the whole machine",
    "steal": "CPU-seconds per second that the hypervisor took away, on the whole machine",
    "stack_foreign_cpu": "CPU-seconds per second that other processes used on the cores of pods and nginx",
    "stack_steal": "CPU-seconds per second that the hypervisor took of one of these, at the most",
    "generator_foreign_cpu": "CPU-seconds per second that other processes used on the generator's core",
    "generator_steal": "CPU-seconds per second that the hypervisor took of it",
}
"""Columns of series.csv."""

_OF_SOME_CLIENTS = {
    "connected": "of these, joined at the end of the second",
    "useful": "of these, mean joined with a newest tick under 1 s old",
    "attempts": "connection attempts that they started",
    "limited": "of these attempts, answered with 429 or 503",
    "first_attempts": "of these attempts, first ones after a disconnect",
    "first_limited": "of these first attempts, answered with 429 or 503",
}
_TICKS_OF_SOME_CLIENTS = {
    "ticks_in_time": "ticks due to these clients in this second: held within 1 s, or a newer one",
    "ticks_late": "the same: held later than that",
    "ticks_never": "the same: not held by the end of the measurement",
    "ticks_skipped": "of those in time and late, never received, because a newer one came in their place",
}

SHARED_IP_COLUMNS: dict[str, str] = {
    "t_s": "second of steady state",
    "clients_per_ip": "how many clients share a source IP",
    "clients": "clients behind such an IP",
    **_OF_SOME_CLIENTS,
    **_TICKS_OF_SOME_CLIENTS,
}
"""Columns of shared_ips.csv: the same second by how many clients share a source IP."""

GROUP_COLUMNS: dict[str, str] = {
    "t_s": "second of steady state",
    "group": "which group of the fleet, counted from 0 in the order of the scenario",
    "clients": "clients of the group",
    **_OF_SOME_CLIENTS,
    "failed": "of their attempts, ended without a join in whatever way",
    "gave_up": "of these clients, stopped for good",
    **_TICKS_OF_SOME_CLIENTS,
}
"""Columns of groups.csv: the same second by group, in runs whose fleet has groups."""

POD_COLUMNS: dict[str, str] = {
    "t_s": "second of steady state",
    "pod": "index of the pod; a pod that is started again keeps it",
    "clients": "clients joined at the end of the second; of your own gateway, open connections",
    "cpu": "CPU-seconds per second, mean over the time since the pod's last row",
    "loop": "share of time in which the event loop was occupied",
    "throttled": "share of time in which a CPU quota throttled the pod's container",
    "rss_mb": "resident memory of the pod's processes in megabytes, at the end of the second",
    "lag_ms": "worst loop lag",
    "tick_late_ms": "worst time from due until it began to send",
    "handshakes": "handshakes that it began to pay for",
    "joined": "handshakes that ended joined",
    "gone_early": "handshakes with a client that had left before it joined",
    "short_sessions": "sessions that ended within 5 s of joining",
    "shed": "handshakes that it shed by its own admission control",
    "ticks_sent": "deliveries handed to the transports",
}
"""Columns of pods.csv: the same second by pod. A pod that was paused reports when it resumes: its counts are
then assigned to the second in which it did, and its rates are means over the time since its last report."""

SIDECAR_COLUMNS: dict[str, str] = {
    "t_s": "second of steady state",
    "pod": "index of the pod that the sidecar stands beside",
    "cpu": "CPU-seconds per second",
    "rss_mb": "resident memory in megabytes, at the end of the second; the program's own pages among it",
    "retries": "retries at its pod",
    "retry_successes": "of these, the successful ones",
    "retries_denied": "retries that a retry budget, or a circuit breaker, denied",
    "connect_failures": "connections to the pod that failed or timed out",
    "timed_out": "requests that exceeded the per-attempt timeout",
    "connection_overflow": "connections that its circuit breaker denied",
    "pending_overflow": "requests that its circuit breaker denied: too many were pending",
    "ejections": "times that outlier detection ejected its pod",
    "limited": "requests that its limit refused",
}
"""Columns of sidecars.csv: the same second by sidecar, in runs that have some. Counts are empty where a
sidecar did not answer in time; its next row has them."""

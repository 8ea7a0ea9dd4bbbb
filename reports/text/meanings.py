"""What the measures of a run mean, by key; docs/reading-a-report.md has the same sentences."""

from reports.rundir.columns import OUTCOMES, SERIES_COLUMNS, SIDECAR_COLUMNS

MEANINGS: dict[str, str] = {
    "effective_p99": (
        "time from the moment when a tick was due until a client had that tick or a later one. It counts all "
        "clients, connected or not, so losing clients cannot improve it"
    ),
    "fanout": (
        "time from the moment when a tick was due until a client had it, of the ticks that arrived. It looks "
        "good in an outage that leaves few clients connected"
    ),
    "fanout_by_stamp": "fan-out latency from the stamps of the ticks, where the other counts from a schedule",
    "availability": (
        "client-seconds served, as a share of all client-seconds from the trigger on. A client is served if "
        "its newest tick is less than 1 s old"
    ),
    "attempts_peak": "connection attempts in the busiest second",
    "amplification": "connection attempts divided by lost connections: the retry amplification",
    "limited": "connection attempts that were rate-limited (by a limit) or shed (by a busy pod)",
    "pod_loop": (
        "share of time in which a pod's event loop was not idle. Pods that share a core reach 100 % with a "
        "fraction of a core each, which is their pod CPU"
    ),
    "time_to_recover_s": (
        "from the end of the trigger to the start of the first 30 s (or what the scenario says) in which "
        "everything is as it was before"
    ),
    "ticks_in_time": (
        "within 1 s of the tick's due time, the client held it or a newer one: effective latency below 1 s"
    ),
    "ticks_late": "the client held it or a newer one, but only after 1 s or more",
    "ticks_never": (
        "the client held neither by the end of the measurement: a lower bound is all that is known of the "
        "effective latency"
    ),
    "ticks_lost": (
        "the client never received the tick itself: it came never, or it was skipped because the client was "
        "away and received a newer one afterwards"
    ),
    "sessions_asked": SERIES_COLUMNS["recovery_asked"],
    "sessions_recovered": (
        "sessions that asked for connection state recovery, and that the gateway recovered: it still had the "
        "session, and the event that the client had last"
    ),
    "sessions_delivered": "ticks that clients received, each counted once for each client",
    "sessions_replayed": SERIES_COLUMNS["replayed"],
    "sessions_duplicated": SERIES_COLUMNS["duplicated"],
    "sessions_lost": "ticks that clients never received, whether sessions were recovered or not",
    "back": (
        "from the end of the trigger until p % of the disconnected clients were served again, for five "
        "consecutive seconds. Disconnected is how many fewer clients were served in the worst second than "
        "before the trigger"
    ),
    "never_returned": (
        "disconnected clients that were not served again by the rescue or the end, neither for five "
        "consecutive seconds nor in the last ones"
    ),
    "staleness": "age of the newest tick of every client, joined or not, on a 100 ms grid",
    "stale": "joined sessions that the client's own watchdog ended",
    "pod_limited": SERIES_COLUMNS["pod_shed"],
    "burst_peak": "the busiest tenth of a second, as a multiple of the mean",
    "burst_dispersion": "1 for independent (Poisson) arrivals; more where attempts come in waves",
    "pod_spread": "1 where the pods have equally many clients",
    "wasted_work": "share of handshakes for clients that had gone, or that were gone again within 5 s",
    "tls_cpu_share": (
        "share of the proxy's CPU that TLS handshakes took, an estimate: their numbers, times what one of "
        "each kind cost the proxy before the clients came"
    ),
    "tick_cpu": "CPU-seconds of the pods per delivered tick, before the trigger",
}
"""By the key of a measure, or its beginning where several measures differ in a phase or a percentile."""

_COLUMNS = {
    **SERIES_COLUMNS,
    **{f"outcome_{name}": ending for name, ending in OUTCOMES.items()},
    **{f"sidecar_{name}": text for name, text in SIDECAR_COLUMNS.items()},
}

_OF_ANOTHER = ("of these", "the same")
"""How a column's text begins that needs the one before."""


def meaning_of(key: str) -> str:
    """What the measure, or the metric of an SLO, means; empty where its name says it."""
    key = key.removeprefix("rest_")
    beginnings = [key.rsplit("_", cut)[0] for cut in range(key.count("_") + 1)]
    for known in (MEANINGS, _COLUMNS):
        found = next((known[beginning] for beginning in beginnings if beginning in known), "")
        if found and not found.startswith(_OF_ANOTHER):
            return found
    return ""

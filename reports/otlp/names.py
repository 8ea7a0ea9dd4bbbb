"""What the columns of a run directory are called in OpenTelemetry: dots between parts, no unit in a name.

Units are those of UCUM; words in braces are no units, but what is counted. Counts are cumulative sums from
the start of the run, because more receivers take those than single seconds.
"""

from collections.abc import Mapping

from msgspec import Struct

from reports.rundir.columns import OUTCOMES
from reports.rundir.schema import Tag

PREFIX = "reconnect_storm"


class Column(Struct, frozen=True, kw_only=True):
    """A column of a table, as points of a metric."""

    metric: str
    """Without the prefix."""
    unit: str
    count: bool = False
    """A monotonic sum; a gauge otherwise."""
    attribute: str = ""
    """`name=value`, the name without the prefix; empty where the metric has a single column."""
    factor: float = 1.0
    """From the unit of the column to that of the metric."""


def _clients(state: str) -> Column:
    return Column(metric="client.count", unit="{client}", attribute=f"client.state={state}")


SERIES: Mapping[str, Column] = {
    "clients": _clients("started"),
    "connected": _clients("joined"),
    "useful": _clients("served"),
    "missing": _clients("missing"),
    "attempts": Column(metric="connection.attempts", unit="{attempt}", count=True),
    **{
        outcome: Column(
            metric="connection.outcomes", unit="{attempt}", count=True, attribute=f"outcome={outcome}"
        )
        for outcome in OUTCOMES
    },
    "disconnects": Column(metric="session.disconnects", unit="{session}", count=True),
    "gave_up": Column(metric="client.gave_up", unit="{client}", count=True),
    "stale_client_s": Column(metric="client.stale_time", unit="s", count=True),
    "ticks": Column(metric="tick.received", unit="{tick}", count=True),
    "missed": Column(metric="tick.missed", unit="{tick}", count=True),
    "nginx_limited": Column(metric="proxy.limited", unit="{request}", count=True),
    "nginx_cpu": Column(metric="proxy.cpu.usage", unit="{cpu}"),
    "generator_cpu": Column(metric="generator.cpu.usage", unit="{cpu}"),
    "generator_lag_p99_ms": Column(metric="generator.loop.lag.p99", unit="s", factor=1e-3),
    "foreign_cpu": Column(metric="host.cpu.other_processes", unit="{cpu}"),
    "steal": Column(metric="host.cpu.steal", unit="{cpu}"),
}
"""Of series.csv."""

PODS: Mapping[str, Column] = {
    "clients": Column(metric="gateway.client.count", unit="{client}"),
    "cpu": Column(metric="gateway.cpu.usage", unit="{cpu}"),
    "loop": Column(metric="gateway.loop.utilization", unit="1"),
    "lag_ms": Column(metric="gateway.loop.lag", unit="s", factor=1e-3),
    "rss_mb": Column(metric="gateway.memory.usage", unit="By", factor=1e6),
    "handshakes": Column(metric="gateway.handshakes", unit="{handshake}", count=True),
    "gone_early": Column(metric="gateway.handshakes.abandoned", unit="{handshake}", count=True),
    "shed": Column(metric="gateway.handshakes.shed", unit="{handshake}", count=True),
    "ticks_sent": Column(metric="gateway.tick.sent", unit="{tick}", count=True),
}
"""Of pods.csv; each point has the attribute `pod`."""

HISTOGRAMS: Mapping[Tag, tuple[str, str]] = {
    "fanout": ("tick.fanout.duration", ""),
    "effective": ("tick.effective.duration", "censored=false"),
    "censored": ("tick.effective.duration", "censored=true"),
    "staleness": ("tick.staleness", ""),
    "session_age": ("session.duration", ""),
}
"""Metric and attribute of each histogram of latency.hlog; all of them in seconds."""

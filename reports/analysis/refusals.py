"""Refusals by a limit, as each side counted them: clients, nginx, sidecars, pods.

Clients count every answer of 429 or 503. Some of these nginx gave by its limits, and logged one line for
each; some the sidecars beside the pods gave, for a limit, a bound or an ejection; some the pods. A
client that had given up before the answer reached it does not count it; an answer that neither nginx's
limits nor a sidecar nor a pod gave is counted by the client alone. A sidecar that retries may hide what a pod
has refused: then pods count more than clients. A limit may refuse without an answer (`drop`), or accept and
close (`close_1013`): no client counts that as a refusal. And nginx may ask the next pod instead of handing on
what one has refused (`proxy_next_upstream`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from reports.rundir import series
from reports.rundir.reader import Run, proxy_name
from reports.rundir.series import Row

TOLERATED_COUNT = 5
TOLERATED_SHARE = 0.02


class Refusals(Struct, frozen=True, kw_only=True):
    """None for a side that is not ours, or whose seconds are not known."""

    clients: int
    nginx: int | None
    pods: int | None
    sidecars: int = 0
    unexplained: int | None
    """Clients' less all others'; negative where clients had given up. None where nginx's or the pods' are not
    known."""
    unseen: bool = False
    """Whether clients do not see all refusals: fewer are then no contradiction."""

    @property
    def agree(self) -> bool:
        """Whether both ends differ by no more than 5, or 2 % of the larger count; unknown counts as yes."""
        if self.unexplained is None or (self.unseen and self.unexplained < 0):
            return True
        larger = max(self.clients, self.clients - self.unexplained)
        return abs(self.unexplained) <= max(TOLERATED_COUNT, TOLERATED_SHARE * larger)


def refusals(rows: Sequence[Row], scenario: Mapping[str, Any]) -> Refusals:
    """What each side counted in `rows` of the series of a run with this scenario."""
    clients = round(series.total(series.column(rows, "limited")))
    nginx, pods = (_known(rows, name) for name in ("nginx_limited", "pod_shed"))
    sidecars = _known(rows, "sidecar_refused") or 0
    unexplained = None if nginx is None or pods is None else clients - nginx - pods - sidecars
    return Refusals(
        clients=clients,
        nginx=nginx,
        pods=pods,
        sidecars=sidecars,
        unexplained=unexplained,
        unseen=_unseen(scenario),
    )


def _unseen(scenario: Mapping[str, Any]) -> bool:
    """Whether a limit of the scenario, or one that is set later, refuses as clients do not count it, or
    nginx keeps to itself what pods refuse."""
    edge = scenario.get("edge", {})
    if {"http_429", "http_503"} & {*((edge.get("nginx") or {}).get("proxy_next_upstream") or ())}:
        return True
    specs = [edge.get("limit")]
    specs += [event.get("limit") for event in scenario.get("event") or () if event.get("do") == "set_limit"]
    tables = [spec for spec in specs if isinstance(spec, Mapping)]
    tables += [part for table in tables for part in table.values() if isinstance(part, Mapping)]
    return any(table.get("drop") or table.get("close_1013") for table in tables)


def proxy_is_unknown(run: Run) -> bool:
    """Whether the proxy is ours and nobody knows what it refused: its configuration is the user's own, and
    has no log that tells."""
    edge = run.info.scenario.get("edge", {})
    return bool(edge.get("nginx_conf")) and refusals(run.rows, run.info.scenario).nginx is None


def refusal_warnings(run: Run) -> Iterator[str]:
    """Refusals by a limit that one side counted, and no other; or that nobody knows."""
    if proxy_is_unknown(run):
        wanted = run.info.scenario["edge"].get("nginx_log_format") or "storm"
        yield (
            "refusals by a limit of nginx are unknown: the configuration in edge.nginx_conf has no access log"
            f" that tells, in a log_format {wanted}; edge.nginx_log_format names the format of yours"
        )
    counted = refusals(run.rows, run.info.scenario)
    if counted.agree or counted.unexplained is None:
        return
    because = (
        "some clients gave up before their refusal reached them"
        if counted.unexplained < 0
        else "something else answered 429 or 503, or a pod was killed before it reported"
    )
    sidecars = f", sidecars {counted.sidecars}" if counted.sidecars else ""
    yield (
        f"refusals by a limit do not add up: clients counted {counted.clients}, "
        f"{proxy_name([run])} {counted.nginx}{sidecars}, pods {counted.pods}: {because}"
    )


def _known(rows: Sequence[Row], name: str) -> int | None:
    values = series.column(rows, name)
    return None if series.mean(values) is None else round(series.total(values))

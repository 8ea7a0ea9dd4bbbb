"""What the logs of the proxy come to, for run.json: addresses, sockets by worker, pods taken out."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from reports.rundir.proxy_log import ProxyLog, WorkerSockets
from reports.rundir.schema import RunInfo
from scenarios.limits.registry import limit
from scenarios.proxies.access_log import REJECTED, AccessLine
from scenarios.proxies.nginx import NOT_ENOUGH
from scenarios.proxies.registry import PROXIES
from scenarios.proxies.zones import second_of, zone_refusals
from scenarios.scenario.model import Scenario

_CONNECTION = re.compile(r"\*\d+ ")
_TAKEN_OUT = "upstream server temporarily disabled"
_NONE_LEFT = "no live upstreams"
_REFUSED = "Connection refused"
_HAPROXY_DOWN = re.compile(r"Server \S+ is DOWN")
_WORKER_KILLED = re.compile(
    r"^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[alert\] .*worker process \d+ exited on signal"
)
_WEBSOCKET = 101


def proxy_log(folder: Path, lines: Sequence[AccessLine], info: RunInfo, wall_zero_s: float) -> ProxyLog:
    """What the logs in a proxy's folder come to. lines: those about requests. wall_zero_s: when the steady
    state began, by the clock of the log."""
    last_s = info.phases[-1].to_s - 1 if info.phases else 0
    moments_s = sorted({info.trigger_s or 0, last_s})
    return counted(lines, _own_words(folder), wall_zero_s, moments_s)


def counted(
    lines: Sequence[AccessLine], own_words: Iterable[str], wall_zero_s: float, moments_s: Sequence[int]
) -> ProxyLog:
    """own_words: what the proxy says of itself. moments_s: when its workers' sockets are counted."""
    steady = [line for line in lines if line.ended_wall_s >= wall_zero_s]
    addresses = {line.remote_address for line in steady} - {"-"}
    said = [*own_words]
    taken_out, alive, none_left = _taken_out(said)
    return ProxyLog(
        requests=len(steady),
        addresses=len(addresses),
        address=addresses.pop() if len(addresses) == 1 else "",
        workers=tuple(_sockets(steady, wall_zero_s, t_s) for t_s in moments_s)
        if any(line.worker for line in steady)
        else (),
        full=sum(NOT_ENOUGH in line for line in said),
        taken_out=taken_out,
        taken_out_alive=alive,
        none_left=none_left,
        answers=Counter(str(max(0, line.status)) for line in steady if line.limit_status == REJECTED),
        zones=zone_refusals(said, wall_zero_s),
        workers_killed_s=tuple(_workers_killed_s(said, wall_zero_s)),
    )


def limit_rules(scenario: Scenario) -> dict[str, list[dict[str, Any]]]:
    """What the limits of the scenario count, by where they are."""
    if scenario.target.url:
        return {}
    found = {
        place: list(to_builtins(limit(spec).at_proxy))
        for place, spec in (("proxy", scenario.edge.limit), ("sidecars", scenario.mesh.limit))
        if spec != "none"
    }
    at_pods = list(to_builtins(limit(scenario.edge.limit).at_pods))
    return {**found, **({"pods": at_pods} if at_pods else {})}


def said_of_limits(folder: Path) -> str:
    """What nginx's error log says of its limits, the busiest first; empty where it says nothing."""
    zones = zone_refusals(_own_words(folder), 0.0)
    return ", ".join(
        f"{zone} refused {zone.refused:,} requests of {zone.addresses:,} "
        f"address{'' if zone.addresses == 1 else 'es'}"
        for zone in zones
    )


def _own_words(folder: Path) -> Iterator[str]:
    """The lines of the logs in a proxy's folder that are not about a request: those have tabs."""
    for name in ("error.log", "access.log"):
        try:
            text = (folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        yield from (line for line in text.splitlines() if "\t" not in line)


def _sockets(lines: Iterable[AccessLine], wall_zero_s: float, t_s: int) -> WorkerSockets:
    """The WebSockets that were open at a moment, by worker: their lines were written when they closed."""
    at_s = wall_zero_s + t_s
    found = Counter(
        line.worker
        for line in lines
        if line.status == _WEBSOCKET and line.ended_wall_s - line.lasted_s < at_s <= line.ended_wall_s
    )
    return WorkerSockets(t_s=t_s, sockets=tuple(sorted(found.values(), reverse=True)))


def _workers_killed_s(own_words: Iterable[str], wall_zero_s: float) -> Iterator[int]:
    """When workers of nginx ended by a signal."""
    for line in own_words:
        found = _WORKER_KILLED.match(line)
        t_s = second_of(found[1], wall_zero_s) if found else None
        if t_s is not None:
            yield t_s


def _taken_out(own_words: Iterable[str]) -> tuple[int, int, int]:
    """(pods taken out, of these alive, requests without a pod).

    nginx says of a refused connection first that, then that the server is disabled; of a time-out the other
    way round.
    """
    taken_out = alive = none_left = 0
    refused: set[str] = set()
    for line in own_words:
        if _NONE_LEFT in line:
            none_left += 1
            continue
        connection = _CONNECTION.search(line)
        if _TAKEN_OUT in line:
            taken_out += 1
            alive += connection is None or connection[0] not in refused
        elif connection is not None:
            # Only its latest failure counts: a connection may carry several requests.
            (refused.add if _REFUSED in line else refused.discard)(connection[0])
        elif _HAPROXY_DOWN.match(line):
            taken_out += 1
            alive += _REFUSED not in line
    return taken_out, alive, none_left


def versions_of_proxies(scenario: Scenario) -> dict[str, str]:
    """Of the proxy, and of the sidecars: each is of a kind that a proxy can be."""
    kinds = [scenario.edge.proxy] if not scenario.target.url else []
    kinds += [scenario.mesh.sidecar] if scenario.mesh.sidecar != "none" else []
    return {name: version for kind in kinds for name, version in PROXIES[kind].versions().items()}

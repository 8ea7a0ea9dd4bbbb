"""Findings about limits: a single key, refused first attempts, clients that can never get in."""

from collections.abc import Iterable, Mapping
from typing import Any

from reports.analysis.findings.finding import Found, per_address, rules_in_force, source_ips
from reports.analysis.findings.kept_out import (
    FEWEST_REFUSED,
    REFUSED_SHARE,
    WATCHED_S,
    count,
    locked_out,
    pods_keep_out,
)
from reports.analysis.findings.own_limits import kept_out_by_own_nginx, refused_by_own_nginx
from reports.analysis.metrics import aftermath, storm_stretch, unaided_stretch
from reports.analysis.validity import Evidence
from reports.rundir import series
from reports.rundir.reader import Run, proxy_name
from reports.text import units

ROOM = 2.0
"""The limit has to have had room for the clients of an IP so many times over."""


def single_key(evidence: Evidence) -> Found | None:
    """A limit per address that saw one address, though the clients have many."""
    return (
        _one_address_at_proxy(evidence)
        or _one_address_at_pods(evidence)
        or _one_address_at_sidecars(evidence)
    )


def _one_address_at_proxy(evidence: Evidence) -> Found | None:
    run = evidence.run
    log, ips = run.info.proxy_log, source_ips(run)
    refused = count(run.rows, "nginx_limited")
    if log is None or log.addresses != 1 or ips < 2 or not refused:
        return None
    # What the limits in a configuration of the user's own count is not known; most count addresses.
    own = bool(run.info.scenario.get("edge", {}).get("nginx_conf"))
    if not own and not any(map(per_address, rules_in_force(run, "proxy", 0, _end_s(run)))):
        return None
    text = (
        f"1 key, {units.count(evidence.summary.clients)} clients: all {units.count(log.requests)} requests "
        f"in the log of {proxy_name([run])} came from {log.address}, though the clients have "
        f"{units.count(ips)} IPs. The limit refused {units.count(refused)} of them."
    )
    if run.info.scenario.get("fleet", {}).get("source") == "same":
        return Found(
            figures=f"{text} `fleet.source` is `same`: all clients connect from the address of this host.",
            change=(
                '`fleet.source = "bind"`, or `"proxy-protocol"`, gives clients addresses of their own. If '
                "the proxy in production stands behind a load balancer, this is what it sees without "
                "`real_ip_header`."
            ),
        )
    return Found(figures=text)


def _one_address_at_pods(evidence: Evidence) -> Found | None:
    run = evidence.run
    log, refused, ips = run.info.proxy_log, count(run.rows, "pod_shed"), source_ips(run)
    rules = rules_in_force(run, "pods", 0, _end_s(run))
    by_peer = any(rule.get("peer") for rule in rules)
    one_source = log is not None and log.addresses == 1
    if not rules or not (by_peer or one_source) or not refused or ips < 2:
        return None
    peer, forwarded = "the address of the peer, which is the proxy", "the one address that the proxy forwards"
    why = peer if by_peer else forwarded
    return Found(
        figures=(
            f"1 key at each pod, {units.count(evidence.summary.clients)} clients: the limit of the pods "
            f"counts by {why}, though the clients have {units.count(ips)} IPs. Pods refused "
            f"{units.count(refused)} connections."
        ),
        change=_FORWARDED if by_peer else "",
    )


_FORWARDED = (
    "The gateway: count by the last address in X-Forwarded-For, from the proxy alone "
    '(`source = "forwarded"`). The proxy: send that header in each `location`, also in one with a '
    "`proxy_set_header` of its own, which inherits none."
)


def _one_address_at_sidecars(evidence: Evidence) -> Found | None:
    run = evidence.run
    refused, ips = count(run.rows, "sidecar_refused"), source_ips(run)
    if run.info.scenario.get("mesh", {}).get("source") != "peer" or not refused or ips < 2:
        return None
    if not any(map(per_address, rules_in_force(run, "sidecars", 0, _end_s(run)))):
        return None
    return Found(
        figures=(
            f"1 key at each sidecar, {units.count(evidence.summary.clients)} clients: the limit counts by "
            f"the address of the proxy (`mesh.source` is `peer`), though the clients have "
            f"{units.count(ips)} IPs. Sidecars answered {units.count(refused)} requests themselves with "
            "429 or 503."
        ),
        proxy="envoy",
    )


def refused_first_attempts(evidence: Evidence) -> Found | None:
    """Clients that a limit per address refused at their first attempt after a disconnect."""
    run, stretch = evidence.run, storm_stretch(evidence.run)
    if stretch is None:
        return None
    if not any(map(per_address, _rules(run, *stretch))):
        return refused_by_own_nginx(run, *stretch)
    rows = [row for row in run.shared_ips if stretch[0] <= (row["t_s"] or 0.0) < stretch[1]]
    first, refused = count(rows, "first_attempts"), count(rows, "first_limited")
    if refused < max(FEWEST_REFUSED, REFUSED_SHARE * first):
        return None
    sizes = sorted({int(row["clients_per_ip"] or 1) for row in rows if row.get("first_limited")})
    shared = [size for size in sizes if size > 1]
    whose = f"; up to {units.count(shared[-1])} clients share an IP" if shared else ""
    return Found(
        figures=(
            f"The limit refused {units.count(refused)} of {units.count(first)} first attempts after a "
            f"disconnect ({units.percent(refused / first)}): these clients had lost their connection, and "
            f"done nothing else{whose}."
        ),
        change="" if any(map(per_address, rules_in_force(run, "proxy", *stretch))) else _AT_PODS,
    )


def never_in(evidence: Evidence) -> Found | None:
    """Clients that the limit alone keeps out, however long they try."""
    run = evidence.run
    return _too_small_a_cap(run) or _kept_out(run) or kept_out_by_own_nginx(run)


def _too_small_a_cap(run: Run) -> Found | None:
    """A cap on open connections of an address, below the number of clients behind it."""
    caps = [
        int(rule["connections"])
        for rule in rules_in_force(run, "proxy", 0, _end_s(run))
        if per_address(rule) and rule.get("connections") and not rule.get("window_s")
    ]
    size = int(max((row["clients_per_ip"] or 1.0 for row in run.shared_ips), default=1.0))
    if not caps or size <= min(caps):
        return None
    return Found(
        figures=(
            f"Up to {units.count(size)} clients share an IP, and the limit admits {units.count(min(caps))} "
            f"open connections of one IP: {units.count(size - min(caps))} of {units.count(size)} cannot be "
            "in at the same time as the others."
        )
    )


def _kept_out(run: Run) -> Found | None:
    """Clients that the limit refuses again and again, although its rate would have been enough for all."""
    stretch, unaided = aftermath(run), unaided_stretch(run)
    if stretch is None or unaided is None or stretch[1] - stretch[0] < 2 * WATCHED_S:
        return None
    from_s, to_s = stretch[1] - WATCHED_S, stretch[1]
    rules = [rule for rule in _rules(run, from_s, to_s) if per_address(rule)]
    pods = int(run.info.scenario.get("gateway", {}).get("pods") or 1)
    rates = [rate for rule in rules if (rate := _rate_per_s(rule, pods))]
    if not rates or pods_keep_out(run.between(from_s, to_s)):
        return None
    room = min(rates) * (to_s - stretch[0])
    for size in sorted({row["clients_per_ip"] or 1.0 for row in run.shared_ips}, reverse=True):
        rows = [
            row
            for row in run.shared_ips
            if row["clients_per_ip"] == size and from_s <= (row["t_s"] or 0.0) < to_s
        ]
        out = locked_out(rows)
        if out and room >= ROOM * size:
            clients = series.highest(series.column(rows, "clients"))
            attempts, refused = count(rows, "attempts"), count(rows, "limited")
            return Found(
                figures=(
                    f"{units.count(out)} of the {units.count(clients)} clients with "
                    f"{units.count(size)} on an IP were out at the end, and none came in during the last "
                    f"{WATCHED_S} s: {units.count(attempts)} attempts began, and the limit refused "
                    f"{units.count(refused)}. Its rate would have admitted {units.count(room)} "
                    f"connections per IP since the trigger."
                ),
                change=_change(rules),
            )
    return None


def _rate_per_s(rule: Mapping[str, Any], pods: int) -> float:
    """Connections per second that a rule admits of one address in the long run; 0 without such a bound.

    pods: each of them counts for itself, where it is they that count.
    """
    if rule.get("window_s"):
        return float(rule["connections"]) / float(rule["window_s"]) * (pods if "peer" in rule else 1)
    return float(rule.get("rate_per_s") or 0.0)


def _rules(run: Run, from_s: float, to_s: float) -> list[dict[str, Any]]:
    """What refused clients in [from_s, to_s), at the proxy and at the pods."""
    return [rule for place in ("proxy", "pods") for rule in rules_in_force(run, place, from_s, to_s)]


def _change(rules: Iterable[Mapping[str, Any]]) -> str:
    """What to change where clients can never get in; nothing where the proxy's own directive helps."""
    if any(map(_counts_all_requests, rules)):
        return _ALL_REQUESTS
    return _AT_PODS if all("peer" in rule for rule in rules) else ""


_AT_PODS = (
    "The gateway's own limiter: do not count refused attempts, allow as many connections in a window as "
    "clients share an address, or count by token."
)


def _counts_all_requests(rule: Mapping[str, Any]) -> bool:
    return rule.get("key") == "all-per-address"


_ALL_REQUESTS = (
    "Count new connections alone: a client that begins with polling makes five requests for one. nginx: "
    '`map "$request_method:$arg_sid" $key { "GET:" $binary_remote_addr; }` as the key of '
    "`limit_req_zone`; the limit `per-ip` does this."
)


def _end_s(run: Run) -> float:
    return max((row["t_s"] or 0.0 for row in run.rows), default=0.0) + 1

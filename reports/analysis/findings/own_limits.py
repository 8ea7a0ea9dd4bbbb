"""Findings about the limits in an nginx configuration of the user's own: by its error log and by shared IPs.

What such a limit counts by, and how much it admits, is in the user's file and not known here. So these rules
say what it did, and to whom; they are silent where a limit for all together would have done the same.
"""

from collections.abc import Iterable

from reports.analysis.findings.finding import Found
from reports.analysis.findings.kept_out import (
    FEWEST_REFUSED,
    REFUSED_SHARE,
    WATCHED_S,
    count,
    locked_out,
    pods_keep_out,
)
from reports.analysis.metrics import aftermath
from reports.rundir import series
from reports.rundir.proxy_log import ZoneRefusals
from reports.rundir.reader import Run
from reports.text import units

SHORTEST_WATCHED_S = 6
TELLS_APART = 2.0
"""A limit by address refuses clients that share one so many times as often as those with one of their own."""


def kept_out_by_own_nginx(run: Run) -> Found | None:
    """Clients of shared IPs that the limits of the file refused until the end, while none of them came in."""
    from_s, to_s = _watched(run)
    zones = [zone for zone in _zones(run) if zone.last_s >= from_s]
    if to_s - from_s < SHORTEST_WATCHED_S or not zones or pods_keep_out(run.between(from_s, to_s)):
        return None
    for size in sorted({row["clients_per_ip"] or 1.0 for row in run.shared_ips}, reverse=True):
        rows = [
            row
            for row in run.shared_ips
            if row["clients_per_ip"] == size and from_s <= (row["t_s"] or 0.0) < to_s
        ]
        if out := locked_out(rows):
            clients = series.highest(series.column(rows, "clients"))
            return Found(
                figures=(
                    f"{units.count(out)} of the {units.count(clients)} clients with {units.count(size)} on "
                    f"an IP were out at the end, and none came in during the last {to_s - from_s} s: "
                    f"{units.count(count(rows, 'attempts'))} attempts began, and "
                    f"{units.count(count(rows, 'limited'))} were refused. {said_by(zones)}"
                )
            )
    return None


def refused_by_own_nginx(run: Run, from_s: int, to_s: int) -> Found | None:
    """Clients of shared IPs that were refused at their first attempt after a disconnect, unlike others."""
    zones = _zones(run)
    rows = [row for row in run.shared_ips if from_s <= (row["t_s"] or 0.0) < to_s]
    shared = [row for row in rows if (row["clients_per_ip"] or 1.0) > 1]
    alone = [row for row in rows if (row["clients_per_ip"] or 1.0) <= 1]
    first, refused = count(shared, "first_attempts"), count(shared, "first_limited")
    if not zones or refused < max(FEWEST_REFUSED, REFUSED_SHARE * first):
        return None
    of_alone, refused_alone = count(alone, "first_attempts"), count(alone, "first_limited")
    if of_alone and refused / first < TELLS_APART * refused_alone / of_alone:
        return None
    others = (
        f", and {units.count(refused_alone)} of {units.count(of_alone)} by clients with an IP of their own"
        if of_alone
        else ""
    )
    return Found(
        figures=(
            f"{units.count(refused)} of {units.count(first)} first attempts after a disconnect by clients "
            f"that share an IP were refused ({units.percent(refused / first)}){others}. {said_by(zones)}"
        )
    )


def said_by(zones: Iterable[ZoneRefusals]) -> str:
    """What the error log has of these zones, in a sentence."""
    each = ", ".join(
        f"{zone} refused {units.count(zone.refused)} requests of {_addresses(zone.addresses)}"
        for zone in zones
    )
    return f"By nginx's error log, {each}."


def _addresses(number: int) -> str:
    return "1 address" if number == 1 else f"{units.count(number)} addresses"


def _zones(run: Run) -> tuple[ZoneRefusals, ...]:
    if not run.info.scenario.get("edge", {}).get("nginx_conf") or run.info.proxy_log is None:
        return ()
    return run.info.proxy_log.zones


def _watched(run: Run) -> tuple[int, int]:
    """The last seconds before the rescue or the end, at most half of what there is; of a ramp that failed,
    its last seconds. Empty where neither is recorded."""
    stretch = aftermath(run)
    if stretch is None and not run.info.phases and run.info.status == "failed" and run.rows:
        moments = [int(row["t_s"] or 0) for row in run.rows]
        stretch = (min(moments), max(moments) + 1)
    if stretch is None:
        return 0, 0
    from_s, to_s = stretch
    return to_s - min(WATCHED_S, (to_s - from_s) // 2), to_s

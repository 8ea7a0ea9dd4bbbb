"""What nginx says in its error log of requests that its own limits refused, by zone."""

import re
import time
from collections.abc import Iterable

from reports.rundir.proxy_log import ZoneRefusals

_REFUSED = re.compile(
    r"^(?P<date>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) .*?"
    r"limiting (?P<what>requests, excess: [\d.]+|connections) by zone \"(?P<zone>[^\"]+)\""
    r"(?:, client: (?P<client>[^, ]+))?"
)
"""A dry run has `, dry run,` in between, and a delayed request `delaying request`: nobody was refused."""


def second_of(date: str, wall_zero_s: float) -> int | None:
    """The second after `wall_zero_s` at which nginx wrote a line of its error log; None for one before it.

    date: as the log has it, in whole seconds of local time.
    """
    wall_s = time.mktime(time.strptime(date, "%Y/%m/%d %H:%M:%S"))
    return max(0, int(wall_s - wall_zero_s)) if wall_s + 1 > wall_zero_s else None


def zone_refusals(lines: Iterable[str], wall_zero_s: float) -> tuple[ZoneRefusals, ...]:
    """What each zone refused from a moment on, the busiest first.

    wall_zero_s: that moment, by the clock of the log. Empty as well where the file keeps these lines out of
    its log: `limit_req_log_level` below the level of `error_log`.
    """
    refused: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for line in lines:
        found = _REFUSED.match(line)
        if found is None:
            continue
        t_s = second_of(found["date"], wall_zero_s)
        if t_s is not None:
            directive = "limit_conn" if found["what"] == "connections" else "limit_req"
            refused.setdefault((directive, found["zone"]), []).append((t_s, found["client"] or ""))
    zones = [
        ZoneRefusals(
            directive=directive,
            zone=zone,
            refused=len(rows),
            addresses=len({client for _, client in rows} - {""}),
            last_s=max(t_s for t_s, _ in rows),
        )
        for (directive, zone), rows in refused.items()
    ]
    return tuple(sorted(zones, key=lambda each: (-each.refused, each.zone)))

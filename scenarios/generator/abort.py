"""Abort conditions: when a run has to stop for its target's sake."""

from collections.abc import Collection
from math import inf

from reports.text.units import milliseconds, percent
from scenarios.scenario.model import Abort
from scenarios.scenario.redact_text import shown_url
from scenarios.wire.interval import Interval

REMOTE_ERROR_SHARE = 0.9
REMOTE_FANOUT_P99_MS = 10_000.0
_UP = 0.99


def armed(abort: Abort, *, remote: bool) -> list[str]:
    """The abort conditions that are in force, each with its bound."""
    error_share, p99_ms = _bounds(abort, remote=remote)
    return [
        *([f"failed attempts ≥ {percent(error_share)}"] if error_share else []),
        *([f"fan-out p99 > {milliseconds(p99_ms)}"] if p99_ms else []),
        *([f"availability < {percent(abort.availability_below)}"] if abort.availability_below else []),
        *([f"{shown_url(abort.health_url)} unhealthy"] if abort.health_url else []),
    ]


def _bounds(abort: Abort, *, remote: bool) -> tuple[float | None, float | None]:
    """Error share and fan-out p99 in ms that end a run; a target elsewhere always has both."""
    return (
        abort.error_share or (REMOTE_ERROR_SHARE if remote else None),
        abort.fanout_p99_ms or (REMOTE_FANOUT_P99_MS if remote else None),
    )


class Guard:
    """Checks every second.

    remote: the target is not on this host's loopback. clients: size of the fleet. unserved: places of the
    groups that no gateway of today serves: their attempts fail whatever state the target is in.
    """

    def __init__(self, abort: Abort, *, remote: bool, clients: int, unserved: Collection[int] = ()) -> None:
        self._clients = clients
        self._unserved = unserved
        self._error_share, self._p99_ms = _bounds(abort, remote=remote)
        self._availability = abort.availability_below
        self._all_were_up = False
        self._health_url = shown_url(abort.health_url)
        self._for_s = abort.for_s
        self._seconds = {"errors": 0, "p99": 0, "availability": 0, "health": 0}

    def reason_to_stop(self, interval: Interval, unhealthy: str = "") -> str:
        """Why the run has to stop now, in a sentence; empty while it may continue.

        unhealthy: what was wrong with the last answer of the health URL, empty for a good one.
        """
        refused = sum(some.failed for group, some in interval.fleet_groups.items() if group in self._unserved)
        ended = sum(interval.outcomes.values()) - refused
        errors = (ended - interval.outcomes.get("joined", 0)) / ended if ended else None
        p99_ms = interval.fanout.percentile_ms(99)
        clients = interval.clients + interval.missing
        served = None if interval.useful is None or not clients else interval.useful / clients
        if served is not None and clients + interval.unserved >= self._clients and served > _UP:
            self._all_were_up = True
        if not self._all_were_up:  # Not during the ramp.
            served = None
        # None without data: such a second neither counts nor resets the count.
        breaches = {
            "errors": None if errors is None else errors >= (self._error_share or inf),
            "p99": None if p99_ms is None else p99_ms > (self._p99_ms or inf),
            "availability": None if served is None else served < (self._availability or 0.0),
            "health": bool(unhealthy),
        }
        for name, broken in breaches.items():
            if broken is not None:
                self._seconds[name] = self._seconds[name] + 1 if broken else 0
        what = {
            "errors": f"{percent(errors or 0)} of the attempts failed, "
            f"abort.error_share is {self._error_share}",
            "p99": f"fan-out p99 was {milliseconds(p99_ms or 0)}, abort.fanout_p99_ms is {self._p99_ms}",
            "availability": f"{percent(served or 0)} of the clients were served, "
            f"abort.availability_below is {self._availability}",
            "health": f"{self._health_url} {unhealthy}",
        }
        for name, seconds in self._seconds.items():
            if seconds >= self._for_s and breaches[name]:
                return f"{what[name]}, for {seconds} consecutive seconds"
        return ""

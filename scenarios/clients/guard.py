"""Abort conditions: when a run has to stop for its target's sake."""

from math import inf

from scenarios.clients.messages import Interval
from scenarios.model import Abort

REMOTE_ERROR_SHARE = 0.9
REMOTE_FANOUT_P99_MS = 10_000.0


class Guard:
    """Looks at every second; remote: the target is not on this machine's loopback."""

    def __init__(self, abort: Abort, *, remote: bool) -> None:
        self._error_share = abort.error_share or (REMOTE_ERROR_SHARE if remote else None)
        self._p99_ms = abort.fanout_p99_ms or (REMOTE_FANOUT_P99_MS if remote else None)
        self._health_url = abort.health_url
        self._for_s = abort.for_s
        self._seconds = {"errors": 0, "p99": 0, "health": 0}

    def reason_to_stop(self, interval: Interval, unhealthy: str = "") -> str:
        """Why the run has to stop now, in a sentence; empty while it may go on.

        unhealthy: what was wrong with the last answer of the health URL, empty for a good one.
        """
        ended = sum(interval.outcomes.values())
        errors = (ended - interval.outcomes.get("joined", 0)) / ended if ended else None
        p99_ms = interval.fanout.percentile_ms(99)
        # None where a second says nothing: it neither counts nor begins the count anew.
        breaches = {
            "errors": None if errors is None else errors >= (self._error_share or inf),
            "p99": None if p99_ms is None else p99_ms > (self._p99_ms or inf),
            "health": bool(unhealthy),
        }
        for name, broken in breaches.items():
            if broken is not None:
                self._seconds[name] = self._seconds[name] + 1 if broken else 0
        what = {
            "errors": f"{errors or 0:.0%} of the tries failed, abort.error_share is {self._error_share}",
            "p99": f"fan-out p99 was {p99_ms or 0:.0f} ms, abort.fanout_p99_ms is {self._p99_ms}",
            "health": f"{self._health_url} {unhealthy}",
        }
        for name, seconds in self._seconds.items():
            if seconds >= self._for_s and breaches[name]:
                return f"{what[name]}, for {seconds} s in a row"
        return ""

"""What nginx is doing, as Prometheus reads it from its host agent: CPU, and requests from the access log."""

from collections import Counter
from pathlib import Path

from scenarios.host.cpu_account import CpuUse
from scenarios.proxies.access_log import AccessLine, lines_of
from scenarios.proxies.nginx import access_line
from scenarios.wire.prometheus_text import metric

RESULTS = {
    "limited": "refused by a limit of the proxy",
    "shed": "turned away by a pod, with 429 or 503",
    "no_pod": "502 or 504: the proxy found no pod, or none that answered in time",
    "served": "everything else",
}
"""What became of a request; each is a value of the label `result`."""

_MOST_BYTES = 4 << 20
"""Read at once: the loop that reads also reports the CPU of each second. The rest is read next time."""


class RequestCounts:
    """Counts the lines of one access log after the other, each line once."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter(dict.fromkeys(RESULTS, 0))
        self._path: Path | None = None
        self._read = 0

    def take(self, path: Path) -> None:
        """Counts the whole lines that this log has got since it was last read; a missing log has none."""
        if path != self._path:
            self._path, self._read = path, 0
        try:
            with path.open("rb") as stream:
                stream.seek(self._read)
                found = stream.read(_MOST_BYTES)
        except OSError:
            return
        whole = found[: found.rfind(b"\n") + 1]
        self._read += len(whole)
        text = whole.decode("utf-8", errors="replace")
        self.totals.update(result_of(line) for line in lines_of(text, access_line))


def result_of(line: AccessLine) -> str:
    """One of `RESULTS`."""
    if line.limit_status == "REJECTED":
        return "limited"
    if line.status in {502, 504}:
        return "no_pod"
    return "shed" if line.status in {429, 503} else "served"


def proxy_text(use: CpuUse, requests: Counter[str]) -> str:
    """Everything in Prometheus' text format. use: of this agent and what it has started."""
    return "\n".join(
        [
            *metric("proxy_cpu_seconds_total", "counter", "CPU time of nginx.", [({}, use.cpu_ns / 1e9)]),
            *metric(
                "proxy_requests_total",
                "counter",
                "Requests that ended, by result; a WebSocket counts when it closes.",
                [({"result": result}, requests[result]) for result in RESULTS],
            ),
            "",
        ]
    )

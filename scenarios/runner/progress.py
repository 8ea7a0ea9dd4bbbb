"""The progress of a run, once per second, and the view that shows it."""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from reports.rundir.latency import Latency
from reports.rundir.series import SERVED_WELL
from reports.text.units import latency, milliseconds, percent


class Progress(Struct, frozen=True, kw_only=True):
    """The state of a run; sent once per second."""

    phase: str
    seconds_left: float
    at_most: bool = False
    """The run ends earlier if it has recovered by then."""
    clients: int
    connected: int = 0
    served: float | None = None
    """Share of the clients whose newest tick is less than 1 s old; None before the first tick."""
    attempts_per_s: int = 0
    refusals_per_s: int = 0
    effective_p99: Latency | None = None
    """Over all clients, connected or not; only a lower bound while clients wait for a tick."""
    fanout_p99_ms: float | None = None
    """Of the ticks that arrived."""
    pod_cpu: float | None = None
    pod_loop: float | None = None


class RunView(Protocol):
    """Shows one run after another."""

    def begin(self, title: str) -> None:
        """The next run begins."""
        ...

    def expect_more(self, runs: int) -> None:
        """Adds runs to those that were planned."""
        ...

    def repeat(self, reason: str) -> None:
        """The same run is repeated."""
        ...

    def show(self, progress: Progress) -> None:
        """Shows the state of the run."""
        ...


def served_share(row: Mapping[str, Any]) -> float | None:
    """The share of clients that are served in a second; None where that is not known."""
    useful, clients = row.get("useful"), row.get("clients")
    return useful / clients if useful is not None and clients else None


def effective_p99_so_far(row: Mapping[str, Any], known: Latency | None, period_ms: float) -> Latency | None:
    """The effective p99 of a second, as far as it is known while the run goes on.

    A tick counts once a client holds it, so while more than 1 % of the clients wait, the ticks that they wait
    for are missing in `known`. Then the age of the newest tick that these clients hold says how long they
    have waited already: for the tick after it, which was due one period later.
    """
    share, age_ms = served_share(row), row.get("staleness_p99_ms")
    if share is None or age_ms is None:
        return None
    if share >= SERVED_WELL:
        return known
    waited_ms = max(0.0, age_ms - period_ms)
    return Latency(max(waited_ms, known.ms if known else 0.0), at_least=True)


def plain_line(progress: Progress) -> str:
    """One line of numbers: phase, time left, clients served, attempts, refusals, latencies, CPU."""
    # What an external target does with its CPU nobody knows.
    pods = [
        f"  {name} {percent(share)}"
        for name, share in (("pod CPU", progress.pod_cpu), ("pod loop", progress.pod_loop))
        if share is not None
    ]
    left = f"{'at most ' if progress.at_most else ''}{progress.seconds_left:.0f} s left"
    return (
        f"  {progress.phase:<7} {left}"
        f"  served {percent(progress.served)}  connected {progress.connected}/{progress.clients}"
        f"  attempts {progress.attempts_per_s}/s  refused {progress.refusals_per_s}/s"
        f"  effective p99 {latency(progress.effective_p99)}"
        f"  fan-out p99 {milliseconds(progress.fanout_p99_ms)}"
        f"{''.join(pods)}"
    )

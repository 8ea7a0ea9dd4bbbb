"""The progress of a run, once per second, and the view that shows it."""

from typing import Protocol

from msgspec import Struct

from reports.text.units import milliseconds, percent


class Progress(Struct, frozen=True, kw_only=True):
    """The state of a run; sent once per second."""

    phase: str
    seconds_left: float
    clients: int
    connected: int = 0
    attempts_per_s: int = 0
    refusals_per_s: int = 0
    fanout_p99_ms: float | None = None
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


def plain_line(progress: Progress) -> str:
    """One line of numbers: phase, seconds left, connected, attempts/s, refusals/s, p99, CPU."""
    return (
        f"  {progress.phase:<7} {progress.seconds_left:>3.0f} s left"
        f"  connected {progress.connected}/{progress.clients}"
        f"  attempts {progress.attempts_per_s}/s  refused {progress.refusals_per_s}/s"
        f"  p99 {milliseconds(progress.fanout_p99_ms)}"
        f"  pod CPU {percent(progress.pod_cpu)}  loop {percent(progress.pod_loop)}"
    )

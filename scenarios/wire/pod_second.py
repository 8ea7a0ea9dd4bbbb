"""What is known about one pod in one second, of the stub's pods and of a user's own alike."""

from typing import Any

import msgspec
from msgspec import Struct

from gateway_stub.protocol import PodStatistics


class PodSecond(Struct, frozen=True, kw_only=True):
    """Counts and times of `span_ns` nanoseconds; None where the pod does not tell and nothing else can."""

    t_ns: int
    """End of the covered time."""
    span_ns: int
    cpu_ns: int
    """CPU time of the pod's process and all its descendants."""
    throttled_ns: int = 0
    """How long a CPU quota throttled the pod's container."""
    rss_bytes: int | None = None
    """Resident memory of the same processes, at the end."""
    occupied_ns: int | None = None
    """How long the event loop was not waiting for work."""
    lag_ms: float | None = None
    """Worst loop lag."""
    clients: int = 0
    """Joined clients; of a user's own pod, open connections unless its metrics tell."""
    handshakes: int | None = None
    joined: int | None = None
    gone_early: int | None = None
    short_sessions: int | None = None
    shed: int | None = None
    ticks_sent: int | None = None
    tick_late_ms: float | None = None
    """Worst time from due until a broadcast began."""


def of_stub(line: PodStatistics, rss_bytes: int | None = None) -> PodSecond:
    """What a pod of the stub has told about itself; rss_bytes: what the system says about it."""
    known = msgspec.structs.asdict(line)
    return PodSecond(**known, rss_bytes=rss_bytes)


_ADDED = (
    "span_ns",
    "cpu_ns",
    "throttled_ns",
    "occupied_ns",
    "handshakes",
    "joined",
    "gone_early",
    "short_sessions",
    "shed",
    "ticks_sent",
)
_WORST = ("lag_ms", "tick_late_ms")


def together(first: PodSecond, second: PodSecond) -> PodSecond:
    """Two lines of one pod that end in the same second: counts are added, of worst times the worse stays."""

    def both(name: str) -> list[Any]:
        return [value for line in (first, second) if (value := getattr(line, name)) is not None]

    added = {name: sum(known) if (known := both(name)) else None for name in _ADDED}
    worst = {name: max(both(name), default=None) for name in _WORST}
    return msgspec.structs.replace(second, **added, **worst)

"""Seconds of a load generator, as it reports them."""

from typing import Any

from msgspec.structs import replace

from scenarios.wire.interval import Interval, Samples

MS = 1_000_000


def interval(second: int, **changes: Any) -> Interval:
    """Ten clients that are connected, and receive nothing."""
    empty = Interval(
        second=second,
        clients=10,
        connected=10,
        useful=10.0,
        attempts=0,
        attempts_per_slot=(0,) * 10,
        outcomes={},
        disconnects={},
        ticks=0,
        missed=0,
        fanout=Samples.of([]),
        effective={},
        censored={},
        attempt_durations={},
        loop_lag=Samples.of([1 * MS] * 100),
        retry_late=Samples.of([]),
    )
    return replace(empty, **changes)

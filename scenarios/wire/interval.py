"""One second of a generator: counts, histograms, and how attempts and sessions ended."""

from typing import Any, Literal

import numpy as np
from msgspec import Struct

from reports.rundir.schema import ClockOffset, FeedFit
from scenarios.clients.protocol.ticks import Reference
from scenarios.wire.tick_counts import TickCounts


def outcome_of_status(status: int) -> str:
    """How an attempt ended that was answered with this HTTP status."""
    if status in {429, 503}:
        return "limited"
    return "refused" if status in {502, 504} else "rejected"


DISCONNECTS = {
    "dropped": "the server, or the edge, ended the session in an orderly way",
    "reset": "the connection broke, or this machine could not open the next one",
    "stale": "the client's own watchdog saw no tick for too long",
    "ping_timeout": "the server's ping was overdue",
    "broken": "the server broke the protocol",
    "refused": "a polling request of the session was refused",
    "cut": "the scenario cut the client's connection",
}
"""How a joined session can end."""


class Samples(Struct, frozen=True):
    """Distinct values and how often each was seen: two int64 arrays as bytes, in microseconds."""

    values_us: bytes = b""
    counts: bytes = b""

    @classmethod
    def of(cls, nanoseconds: Any, counts: Any = None) -> "Samples":
        """Counts an array of nanoseconds at the resolution of a three-digit HdrHistogram.

        A histogram begins at 0: whoever may have less has to count that. counts: how often each was seen.
        """
        microseconds = np.maximum(np.asarray(nanoseconds, dtype=np.int64) // 1000, 0)
        # 2,048 sub-buckets: below that a value is kept as it is, above it loses its lowest bits.
        shift = np.maximum(np.frexp(microseconds.astype(np.float64))[1] - 11, 0)
        rounded = (microseconds >> shift) << shift
        if counts is None:
            values, counts = np.unique(rounded, return_counts=True)
        else:
            values, places = np.unique(rounded, return_inverse=True)
            counts = np.bincount(places, counts)
        return cls(values.tobytes(), counts.astype(np.int64).tobytes())

    def arrays(self) -> tuple["np.ndarray[Any, np.dtype[np.int64]]", "np.ndarray[Any, np.dtype[np.int64]]"]:
        """(values in µs, counts), both of shape (distinct,)."""
        return np.frombuffer(self.values_us, np.int64), np.frombuffer(self.counts, np.int64)

    def percentile_ms(self, percentile: float) -> float | None:
        """The smallest value that so many per cent do not exceed; None without any value."""
        values, counts = self.arrays()
        if not len(values):
            return None
        place = int(np.searchsorted(np.cumsum(counts), percentile / 100 * counts.sum()))
        return float(values[min(place, len(values) - 1)]) / 1000


class SomeClients(Struct, frozen=True, kw_only=True):
    """Some of the clients in one second: those that share their source address with equally many, or those
    of one group of the fleet."""

    clients: int
    connected: int
    useful: float | None
    attempts: int
    limited: int
    failed: int = 0
    """Attempts that ended without a join, in whatever way."""
    first_attempts: int = 0
    """Attempts that were the first of a client since it lost its session."""
    first_limited: int = 0
    """Of these, answered with 429 or 503."""
    gave_up: int = 0
    """Clients that stopped for good."""


class GroupTimes(Struct, frozen=True, kw_only=True):
    """Latencies and ages of the clients of a group of the fleet, as an interval has those of all clients."""

    effective: dict[int, Samples] = {}
    """By the second in which the tick was due."""
    censored: dict[int, Samples] = {}
    """Lower bounds, likewise."""
    staleness: Samples = Samples()


class WorkerChange(Struct, frozen=True):
    """Something happened to a worker while a test was running."""

    name: str
    change: Literal["lost", "joined"]
    """`joined`: it will have clients from the next test on."""
    clients: int = 0
    """Clients concerned."""


class ClockStep(Struct, frozen=True):
    """The wall clock of a process was set; what the kernel stamped just then is off by that."""

    process: str
    by_ns: int


class Interval(Struct, frozen=True, kw_only=True, tag=True):
    """What the clients of one generator process saw in one second."""

    second: int
    """Since the epoch."""
    clients: int
    """Clients that have been started, but for those that no gateway of today serves."""
    unserved: int = 0
    """Clients that have been started and ask for a protocol that no gateway of today has."""
    connected: int
    """Joined at the end of the second."""
    useful: float | None
    """Mean number of clients that were joined with a newest tick under 1 s old, on a 100 ms grid; None
    for a part of a second without a point of the grid, and where one of several processes passed it over."""
    attempts: int
    attempts_per_slot: tuple[int, ...]
    """Attempts in each 100 ms."""
    first_attempt_ns: int | None = None
    """Monotonic time of the first attempt of the second."""
    last_join_ns: int | None = None
    """Monotonic time of the last join of the second."""
    held_back: int = 0
    """Attempts that the cap on attempts made wait."""
    outcomes: dict[str, int]
    """Ended attempts by outcome."""
    disconnects: dict[str, int]
    """Ended sessions by reason."""
    session_ages: Samples = Samples()
    """How long sessions had been joined that ended, but for those that the client or the scenario ended."""
    unopened: int = 0
    """Connections that joined clients needed and this machine had no ports, descriptors or memory for."""
    client_error: str = ""
    """What a reconnect policy raised inside a client, so far; whoever follows it cannot be relied on."""
    gave_up_by_reason: dict[str, int] = {}
    """Clients that stopped for good, because their policy allowed no further attempt, by what it was about:
    one of `GAVE_UP`."""
    shared_ips: dict[int, SomeClients] = {}
    """By how many clients share a source address."""
    fleet_groups: dict[int, SomeClients] = {}
    """By the place of their group in the fleet; empty for a fleet without groups."""
    ticks: int
    missed: int
    """Ticks that clients learned in this second that they will never get."""
    recovery: dict[str, int] = {}
    """Of connection state recovery, by the columns `RECOVERY`; empty where no client asked for it."""
    tls: dict[str, int] = {}
    """TLS handshakes, by the columns `TLS`; empty where there were none."""
    skipped: dict[int, int] = {}
    """Missed ticks by the second in which they were due."""
    group_ticks: dict[int, dict[int, TickCounts]] = {}
    """What became of ticks by how many clients share a source address, then by the second of the due time."""
    fleet_group_ticks: dict[int, dict[int, TickCounts]] = {}
    """The same by the place of the group in the fleet."""
    fleet_group_times: dict[int, GroupTimes] = {}
    """Likewise."""
    unnumbered: bool = False
    """Ticks without a number came: what clients miss of these is not known."""
    early: int = 0
    """Ticks that were received before they were due: a latency below zero, which counts as 0 in `fanout`."""
    earliest_ns: int = 0
    """How long before, at the most: by so much at least, the publisher's clock is ahead."""
    fanout: Samples
    fanout_by_stamp: Samples = Samples()
    """The same from the stamps, where due times come from a fitted schedule."""
    stamped: int = 0
    """Ticks that were due by their stamps there."""
    effective: dict[int, Samples]
    """By the second in which the tick was due."""
    censored: dict[int, Samples]
    """Lower bounds, for ticks that some client still does not hold; by the second of the due time."""
    attempt_durations: dict[str, Samples]
    """By outcome."""
    loop_lag: Samples
    latest_lag_ms: float | None = None
    """99th percentile of the loop lag of the process that was latest, where that of `loop_lag` is smaller:
    among the probes of many processes, those of one that stood still are hardly seen."""
    retry_late: Samples
    """How late attempts began: actual minus intended time, by the policy's delay and the round trips."""
    staleness: Samples = Samples()
    """Age of the newest tick of every client, joined or not, at every point of the 100 ms grid."""
    stale_clients: float | None = None
    """Mean number of clients, joined or not, whose newest tick was 1 s old or older; None like `useful`."""
    reference: Reference | None = None
    """What latencies count from; None while no tick has been seen."""
    fits: tuple[FeedFit, ...] = ()
    """The schedules fitted so far, where due times come from them or each pod numbers its own ticks."""
    cpu_ns: int = 0
    """CPU time of the process, or processes, in this second."""
    busiest_cpu_ns: int = 0
    """That of the process which used most: each has a core of its own to saturate."""
    rss_bytes: int = 0
    empty_rss_bytes: int = 0
    """The same before there was any client."""
    processes: int = 1
    missing: int = 0
    """Clients of processes that died."""
    worker_changes: tuple[WorkerChange, ...] = ()
    """What became known in this second."""
    clocks: tuple[ClockOffset, ...] = ()
    """Where processes do not share one clock: how each sees the gateway's."""
    clock_steps: tuple[ClockStep, ...] = ()
    """Wall clocks that have been set in this second."""

    @property
    def gave_up(self) -> int:
        """Clients that stopped for good."""
        return sum(self.gave_up_by_reason.values())

    @property
    def lag_p99_ms(self) -> float | None:
        """99th percentile of the loop lag, of the process that was latest; None without any probe."""
        lag_ms = self.loop_lag.percentile_ms(99)
        return lag_ms if self.latest_lag_ms is None else self.latest_lag_ms

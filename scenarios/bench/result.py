"""What a bench finds out, as it is printed and written as JSON."""

from typing import Any

from msgspec import Struct

from scenarios.clients.protocol.ticks import Reference


class Reception(Struct, frozen=True, kw_only=True):
    """Ticks to a fleet in steady state."""

    clients: int
    ticks_per_s: float
    ticks_per_cpu_s: float
    """Of the median second."""
    cpu: float
    """CPU-seconds per second."""
    reference: Reference | None
    """What latencies count from."""
    p50_ms: float
    p99_ms: float


class Connecting(Struct, frozen=True, kw_only=True):
    """Many clients that join at once, and come back after they were dropped at once."""

    clients: int
    processes: int
    join_s: float
    connects_per_cpu_s: float
    kb_per_client: float
    storms: tuple["Storm", ...]


class Storm(Struct, frozen=True, kw_only=True):
    """What became of the retries when all clients were dropped."""

    policy: str
    retries: int
    late_p99_ms: float
    core_peak: float
    """Busy share of the generator's busiest core in its busiest fifth of a second, whoever used it."""
    saturated: bool


class Accuracy(Struct, frozen=True, kw_only=True):
    """Reported percentiles against delays that are known."""

    ticks_per_s: float
    cpu: float
    known_ms: dict[str, float]
    reported_ms: dict[str, float]


class Stock(Struct, frozen=True, kw_only=True):
    """Locust's own `SocketIOUser`."""

    clients: int
    ticks_per_cpu_s: float
    connects_per_cpu_s: float


class BenchResult(Struct, frozen=True, kw_only=True):
    """Everything that was measured; parts that were not asked for are None."""

    machine: dict[str, Any]
    versions: dict[str, str]
    reception: Reception
    connecting: Connecting | None = None
    accuracy: Accuracy | None = None
    stock: Stock | None = None

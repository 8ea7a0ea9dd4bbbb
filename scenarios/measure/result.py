"""What was measured of a gateway, as a file of costs and as JSON."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from scenarios.measure.accept_queue import Accepts
from scenarios.measure.estimate import CpuCosts, Estimate, differ
from scenarios.simulator.costs import MeasuredGateway


class Memory(Struct, frozen=True, kw_only=True):
    """Resident memory of a pod."""

    at_rest_bytes: int
    """Before the first client."""
    per_client_bytes: Estimate | None
    """None where too few clients joined to tell."""


class AcceptQueue(Struct, frozen=True, kw_only=True):
    """What a pod does with connections that wait."""

    backlog: int | None
    """Connections that the kernel queues; None where it could not be told."""
    accepts: Accepts | None


class Measured(Struct, frozen=True, kw_only=True):
    """Everything that was measured."""

    gateway: str
    """Its command, without secrets; or `built-in stub`."""
    clients: int
    cycles: int
    discarded: int
    """Cycles during which other processes used the cores."""
    feed_hz: float
    """Ticks per second and client."""
    cpu: CpuCosts
    idle_with_clients: Estimate | None
    """CPU-seconds per second with all clients and no ticks; None where the feed takes no orders."""
    memory: Memory
    accept_queue: AcceptQueue
    machine: dict[str, Any]
    versions: dict[str, str]

    @property
    def clients_cost_idle_cpu(self) -> bool:
        """Whether clients without ticks use CPU that can be told apart from that of no clients."""
        with_clients, idle = self.idle_with_clients, self.cpu.idle
        return with_clients is not None and idle is not None and differ(with_clients, idle)


class Line(Struct, frozen=True, kw_only=True):
    """One number of a file of costs."""

    key: str
    estimate: Estimate
    what: str


def lines(found: Measured) -> tuple[Line, ...]:
    """The numbers that have an interval, in the units of the file."""
    cpu, per_client = found.cpu, found.memory.per_client_bytes
    known: Mapping[str, tuple[Estimate | None, float, str]] = {
        "handshake_cpu_ms": (cpu.handshake_s, 1e3, "CPU of a client's handshake, from connect to join"),
        "tick_cpu_us": (cpu.tick_s, 1e6, "CPU of one tick to one client"),
        "close_cpu_ms": (cpu.close_s, 1e3, "CPU of a client that leaves"),
        "idle_cpu": (cpu.idle, 1.0, "CPU-seconds per second without clients"),
        "idle_with_clients_cpu": (
            found.idle_with_clients if found.clients_cost_idle_cpu else None,
            1.0,
            f"the same with {found.clients} clients and no ticks",
        ),
        "memory_per_client_kb": (per_client, 1e-3, "resident memory that a client adds"),
    }
    return tuple(
        Line(key=key, estimate=estimate.times(factor), what=what)
        for key, (estimate, factor, what) in known.items()
        if estimate is not None
    )


def costs_file(found: Measured) -> MeasuredGateway:
    """The content of the file. The handshake's cost is above 0; see `driver.measure`."""
    rounded = {line.key: _rounded(line.estimate.value) for line in lines(found)}
    return MeasuredGateway(
        **{"tick_cpu_us": 0.0, **rounded},
        memory_at_rest_mb=_rounded(found.memory.at_rest_bytes / 1e6),
        backlog=found.accept_queue.backlog,
        accepts=found.accept_queue.accepts,
        interval_95={
            line.key: (_rounded(line.estimate.low), _rounded(line.estimate.high)) for line in lines(found)
        },
    )


def costs_toml(found: Measured, *, version: str, date: str) -> str:
    """The file as TOML, with a comment on each number."""
    content, known = costs_file(found), {line.key: line for line in lines(found)}
    head = [
        f"# Costs of one pod of: {found.gateway}",
        f"# Measured by reconnect-storm {version} on {date}, on {found.machine.get('cpu_model', 'unknown')}.",
        f"# {found.cycles} cycles of {found.clients} clients; comments give the 95 % interval.",
        "# `reconnect-storm simulate` and `tune` read this file with --costs.",
        "",
    ]
    rows = [
        (f"{key} = {getattr(content, key):g}", f"{line.what}; {interval_text(line.estimate)}")
        for key, line in known.items()
    ]
    if "tick_cpu_us" not in known:
        rows.append(("tick_cpu_us = 0", "not measured: no tick was delivered"))
    rows.append(
        (f"memory_at_rest_mb = {content.memory_at_rest_mb:g}", "resident memory before the first client")
    )
    if content.backlog is not None:
        rows.append((f"backlog = {content.backlog}", "connections that the kernel queues for a busy pod"))
    if content.accepts is not None:
        rows.append(
            (f'accepts = "{content.accepts}"', "how the pod takes waiting connections from that queue")
        )
    width = max(len(setting) for setting, _ in rows)
    body = [f"{setting:<{width}}  # {comment}" for setting, comment in rows]
    table = [f"{key} = [{low:g}, {high:g}]" for key, (low, high) in content.interval_95.items()]
    return "\n".join([*head, *body, "", "[interval_95]", *table, ""])


def interval_text(estimate: Estimate) -> str:
    """The interval in words; one that begins at 0 says that the cost may be nothing."""
    if not estimate.above_zero:
        return f"not told apart from 0: 0 to {estimate.high:.3g}"
    return f"{estimate.low:.3g} to {estimate.high:.3g}"


def _rounded(number: float) -> float:
    return float(f"{number:.4g}")

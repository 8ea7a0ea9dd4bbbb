"""The costs of a gateway as a table for the terminal."""

from rich.table import Table

from scenarios.measure.estimate import Estimate
from scenarios.measure.result import Measured

_UNKNOWN = "not measured"


def measured_table(found: Measured) -> Table:
    """A row per cost, with its 95 % interval."""
    table = Table(
        "cost of one pod",
        "value",
        "95 % interval",
        box=None,
        pad_edge=False,
        title=f"{found.gateway}: {found.cycles} cycles of {found.clients} clients,"
        f" {found.feed_hz:.3g} ticks per second",
        title_justify="left",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    cpu, memory, queue = found.cpu, found.memory, found.accept_queue

    def row(what: str, estimate: Estimate | None, factor: float, unit: str) -> None:
        if estimate is None:
            table.add_row(what, _UNKNOWN, "")
            return
        shown = estimate.times(factor)
        low = f"{shown.low:.3g}" if shown.above_zero else "0"
        table.add_row(what, f"{shown.value:.3g} {unit}", f"{low} to {shown.high:.3g} {unit}")

    row("CPU per handshake, connect to join", cpu.handshake_s, 1e3, "ms")
    row("CPU per delivered tick", cpu.tick_s, 1e6, "µs")
    row("CPU per close", cpu.close_s, 1e3, "ms")
    row("idle CPU without clients", cpu.idle, 100, "%")
    if found.idle_with_clients is not None:
        same = "" if found.clients_cost_idle_cpu else ", no difference"
        row(f"idle CPU with {found.clients} clients{same}", found.idle_with_clients, 100, "%")
    row("memory per client", memory.per_client_bytes, 1e-3, "KB")
    table.add_row("memory at rest", f"{memory.at_rest_bytes / 1e6:.3g} MB", "")
    table.add_row("backlog", _UNKNOWN if queue.backlog is None else f"{queue.backlog} connections", "")
    table.add_row("accepts", queue.accepts or _UNKNOWN, "")
    return table


def notes(found: Measured) -> tuple[str, ...]:
    """What a reader should know about these costs."""
    cpu = found.cpu
    weak = {
        "CPU per handshake": cpu.handshake_s,
        "CPU per delivered tick": cpu.tick_s,
        "CPU per close": cpu.close_s,
        "idle CPU": cpu.idle,
    }
    said = [
        f"{name} is not told apart from 0; more --cycles narrow the interval"
        for name, estimate in weak.items()
        if estimate is not None and not estimate.above_zero
    ]
    if cpu.tick_s is None:
        said.append("no tick was delivered: check feed.event, or the gateway's feed")
    return tuple(said)

"""The figures of a bench, ours beside those of Locust's own user."""

from rich.table import Table

from reports.text.units import percent
from scenarios.bench.result import BenchResult

_NOTHING = "–"


def bench_table(result: BenchResult) -> Table:
    """A row a figure."""
    table = Table("", "reconnect-storm", "SocketIOUser", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    reception, stock, connecting = result.reception, result.stock, result.connecting
    what = "fan-out spread" if reception.reference == "first receipt" else "fan-out"
    table.add_row(
        "clients, receiving ticks", f"{reception.clients:,}", f"{stock.clients:,}" if stock else _NOTHING
    )
    table.add_row(
        "ticks received per CPU-second",
        f"{reception.ticks_per_cpu_s:,.0f}",
        f"{stock.ticks_per_cpu_s:,.0f}" if stock else _NOTHING,
    )
    table.add_row("ticks received per second", f"{reception.ticks_per_s:,.0f}", _NOTHING)
    table.add_row("CPU", percent(reception.cpu), _NOTHING)
    table.add_row(f"{what} p50 / p99", f"{reception.p50_ms:.1f} / {reception.p99_ms:.1f} ms", _NOTHING)
    if connecting:
        table.add_section()
        connects = f"{stock.connects_per_cpu_s:,.0f}" if stock else _NOTHING
        table.add_row("joined connects per CPU-second", f"{connecting.connects_per_cpu_s:,.0f}", connects)
        table.add_row(
            f"time until {connecting.clients:,} clients have joined", f"{connecting.join_s:.1f} s", _NOTHING
        )
        table.add_row("memory per client", f"{connecting.kb_per_client:.1f} KB", _NOTHING)
        for storm in connecting.storms:
            table.add_row(f"lateness, p99: {storm.policy}", f"{storm.late_p99_ms:.1f} ms", _NOTHING)
            state = "saturated" if storm.saturated else f"up to {percent(storm.core_peak)}"
            table.add_row("  the generator's core meanwhile", state, _NOTHING)
    if result.accuracy:
        table.add_section()
        accuracy = result.accuracy
        table.add_row(
            "known delays at", f"{accuracy.ticks_per_s:,.0f} ticks/s, CPU {percent(accuracy.cpu)}", ""
        )
        for name, known in accuracy.known_ms.items():
            reported = accuracy.reported_ms[name]
            table.add_row(f"{name}: known {known:.2f} ms, reported", f"{reported:.2f} ms", _NOTHING)
    return table

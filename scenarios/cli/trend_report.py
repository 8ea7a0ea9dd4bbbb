"""The report on the history of a gate: its change points, and the chart with them.

The plotting library is imported inside a function: it takes longer to load than the rest of the program.
"""

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from reports.gate.history import GateFileError, TrendEntry, read_trend
from reports.gate.measures import Gauge
from reports.gate.terminal import text_table
from reports.rundir.files import replacing
from reports.trend.changes import Change, changes, trend_gauges, worse_since
from reports.trend.text import change_table
from scenarios.cli.terminal import console
from scenarios.exit_status import BROKEN, GOOD
from scenarios.gate.request import trend_plot


def draw(path: Path, entries: Sequence[TrendEntry], gauges: Sequence[Gauge]) -> list[Change]:
    """Draws the entries of the last one's scenario into `path`; returns their change points. Raises OSError.

    A gate draws only the measures that it has decided on.
    """
    from reports.figures.timeline import svg  # noqa: PLC0415
    from reports.figures.trend import trend_alt_text, trend_figure  # noqa: PLC0415

    alike = [entry for entry in entries if entry.scenario == entries[-1].scenario]
    found = list(changes(alike, gauges))
    with replacing(path) as stream:
        stream.write(svg(trend_figure(alike, gauges, found), trend_alt_text(alike, found)))
    return found


def report_trend(path: Path, since: str, out: Path | None, *, as_json: bool) -> int:
    """Prints the change points of a trend and draws its chart; returns the exit status.

    Raises GateFileError, OSError.
    """
    entries = read_trend(path)
    if not entries:
        raise GateFileError(f"{path}: no gate in it: expected a file written by `gate --trend`")
    gauges = trend_gauges(entries)
    found = changes(entries, gauges)
    try:
        worse = worse_since(found, entries, since)
    except GateFileError as error:
        raise GateFileError(f"--since: {error}") from None
    if out:
        out.mkdir(parents=True, exist_ok=True)
    chart = trend_plot((out or path.parent) / path.name)
    draw(chart, entries, gauges)
    status = BROKEN if worse else GOOD
    if as_json:
        document = {"file": str(path), "gates": len(entries), "since": since or None, "exit_status": status}
        document |= {"changes": msgspec.to_builtins(found), "chart": str(chart)}
        click.echo(msgspec.json.format(msgspec.json.encode(document)).decode())
        return status
    console.print(_summary(len(entries), found, worse, since), highlight=False, markup=False)
    if found:
        console.print()
        console.print(text_table(change_table(found)))
    console.print(f"\nchart: {chart}", highlight=False, markup=False, soft_wrap=True)
    return status


def _summary(gates: int, found: Sequence[Change], worse: Sequence[Change], since: str) -> str:
    plural = "s" if gates != 1 else ""
    if not found:
        return f"No change point in {gates} gate{plural}."
    points = f"{len(found)} change point{'s' if len(found) > 1 else ''} in {gates} gate{plural}"
    return f"{points}, {len(worse)} for the worse{f' since {since}' if since else ''}."

"""The main table, as rows of text for every medium, and for the terminal."""

from collections.abc import Sequence

from msgspec import Struct
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from reports.analysis.judgement import judgement_of
from reports.compare.arm import ArmResult
from reports.compare.comparable import by_arm, orders, studied
from reports.compare.comparison import Comparison, compare
from reports.compare.control import control_lines, under_control
from reports.compare.finding_text import finding_lines
from reports.compare.headline import order_sentence
from reports.compare.map_text import map_headings, map_sentences, outcome_text
from reports.compare.measures import (
    AT_REST,
    BY_STAMP,
    DELIVERY,
    EXPERIENCE,
    MEASURES,
    SESSION_RECOVERY,
    SIDECARS,
    Measure,
)
from reports.compare.statistics import share_interval
from reports.compare.storm_map import StormMap, storm_map, value_text
from reports.page.actions import ROW_HEADINGS, action_rows
from reports.page.contrasts import against_lines
from reports.page.notes import EXTERNAL
from reports.page.shared_ips import fleet_group_table, shared_ip_table
from reports.page.stability import stability_lines
from reports.rundir.reader import Run
from reports.text import units
from reports.text.tables import TextTable

STYLES = {"RECOVERED": "green", "STEADY": "green", "INVALID": "magenta"}
"""Only an accent: the verdict is always written out."""
BAD_STYLE = "red"


class Cell(Struct, frozen=True):
    """One value, and its interval or extremes over runs where there are several."""

    text: str
    span: str = ""


class GridRow(Struct, frozen=True):
    """One measure over all arms."""

    group: str
    heading: str
    cells: tuple[Cell, ...]


def main_grid(comparison: Comparison) -> list[GridRow]:
    """The main table, a row a measure and a cell an arm; the verdict comes last.

    Without the rows of which no arm has a value.
    """
    by_stamp = _grid(comparison, BY_STAMP)
    rows = _grid(comparison, MEASURES)
    last = max(place for place, measure in enumerate(MEASURES) if measure.key.startswith("fanout_"))
    rows[last + 1 : last + 1] = by_stamp
    metastable = tuple(map(_metastable, comparison.arms))
    verdicts = tuple(Cell(arm.verdict, _tally(arm)) for arm in comparison.arms)
    rows += [GridRow("", "metastable runs", metastable), GridRow("", "verdict", verdicts)]
    return [row for row in rows if any(map(_is_known, row.cells))]


def experience_grid(comparison: Comparison) -> list[GridRow]:
    """Client impact, without the rows in which nothing happened in any arm; that nothing was lost where
    sessions were recovered is a result."""
    return [*_where_something_happened(_grid(comparison, EXPERIENCE)), *recovery_grid(comparison)]


def delivery_grid(comparison: Comparison) -> list[GridRow]:
    """What became of the ticks, and when the clients were back; nothing where no arm has had a storm."""
    return [row for row in _grid(comparison, DELIVERY) if any(map(_is_known, row.cells))]


def recovery_grid(comparison: Comparison) -> list[GridRow]:
    """What connection state recovery did; nothing where no client asked for it."""
    return [row for row in _grid(comparison, SESSION_RECOVERY) if any(map(_is_known, row.cells))]


def sidecar_grid(comparison: Comparison) -> list[GridRow]:
    """What sidecars took and did, and what a steady state costs with and without them; nothing where no arm
    has any."""
    rows = _where_something_happened(_grid(comparison, SIDECARS))
    return [*_where_something_happened(_grid(comparison, AT_REST)), *rows] if rows else []


def terminal_report(runs: Sequence[Run], width: int) -> RenderableType:
    """Headline, stability, table and validity issues, for a terminal `width` columns wide.

    Raises ComparisonError. A map of load against trigger takes the place of all but the issues: it has too
    many arms for a table.
    """
    comparison = compare(runs)
    found = storm_map(runs)
    runs = under_control(runs, comparison.controls)
    stability = {name: group[0].info.stability for name, group in by_arm(runs).items()}
    if found:
        return Group(*_map_parts(found, comparison, width), *_findings(runs), *_issues(runs))
    parts: list[RenderableType] = [Text(units.unbroken(comparison.headline), style="bold")]
    parts += [Text(f"• {units.unbroken(text)}") for text in comparison.effects]
    parts += [Text(units.unbroken(sentence)) for sentence in against_lines(comparison)]
    parts += [Text(units.unbroken(comparison.believe), style="italic")]
    parts += [Text(units.unbroken(line)) for line in control_lines(comparison.controls)]
    parts += [Text(line) for line in (order_sentence(orders(runs)),) if line]
    parts += [Text(EXTERNAL)] if comparison.external else []
    parts += [*_reference_parts(comparison), Text(), *_action_parts(runs)]
    estimate = [Text(units.unbroken(line), style="dim") for line in stability_lines(stability)]
    parts += [*estimate, Text()] if estimate else []
    parts += [terminal_table(comparison, main_grid(comparison), width)]
    if delivered := delivery_grid(comparison):
        parts += [Text(), terminal_table(comparison, delivered, width)]
    if recovered := recovery_grid(comparison):
        parts += [Text(), terminal_table(comparison, recovered, width)]
    arms = by_arm(runs)
    parts += _client_parts(fleet_group_table(arms), width)
    parts += [*_client_parts(shared_ip_table(arms), width), *_findings(runs), *_issues(runs)]
    return Group(*parts)


def terminal_table(comparison: Comparison, rows: Sequence[GridRow], width: int) -> RenderableType:
    """Arms as rows where that fits into `width` columns; otherwise measures as rows, in as many tables as
    the arms need. `rows`: the measures."""
    every = range(len(comparison.arms))
    for gap in (2, 1):
        table = _arms_as_rows(comparison, rows, gap)
        if _width(table) <= width:
            return table
    for number in range(len(every), 0, -1):
        parts = [every[start : start + number] for start in range(0, len(every), number)]
        tables = [_measures_as_rows(comparison, rows, part) for part in parts]
        if number == 1 or max(map(_width, tables)) <= width:
            break
    spaced = [part for table in tables for part in (Text(), table)]
    return Group(*spaced[1:])


def _is_known(cell: Cell) -> bool:
    return cell.text != units.NOTHING


def _where_something_happened(rows: Sequence[GridRow]) -> list[GridRow]:
    return [row for row in rows if any(cell.text not in {"0", units.NOTHING} for cell in row.cells)]


def _grid(comparison: Comparison, measures: Sequence[Measure]) -> list[GridRow]:
    return [
        GridRow(
            measure.group_for(comparison.names),
            measure.heading_for(comparison.names),
            tuple(_cell(measure, arm) for arm in comparison.arms),
        )
        for measure in measures
    ]


def _cell(measure: Measure, arm: ArmResult) -> Cell:
    found = arm.ranges.get(measure.key)
    if found is None:
        return Cell(units.NOTHING)
    beyond = "unknown" if arm.at_least_s is None else f"≥ {units.seconds(arm.at_least_s)}"
    text = beyond if found.median is None else measure.write(found.median)
    low = beyond if found.interval_low is None else measure.write(found.interval_low)
    high = beyond if found.interval_high is None else measure.write(found.interval_high)
    span = units.span(low, high)
    if found.interval_open and span:
        span = f"{low} to ≥ {high}"
    return Cell(f"{'≥ ' if found.at_least else ''}{text}", span)


def _metastable(arm: ArmResult) -> Cell:
    if not arm.valid or arm.verdict == "STEADY":
        return Cell(units.NOTHING)
    hits = arm.verdicts.count("METASTABLE")
    low, high = share_interval(hits, arm.valid)
    return Cell(f"{hits} of {arm.valid}", f"{low * 100:.0f} to {high * 100:.0f} %")


def _tally(arm: ArmResult) -> str:
    if arm.runs == 1:
        return ""
    return f"{arm.verdicts.count(arm.verdict)} of {arm.runs} runs"


def _arms_as_rows(comparison: Comparison, rows: Sequence[GridRow], gap: int) -> Table:
    table = _empty_table(gap)
    table.add_column("arm", no_wrap=True)
    for row in rows:
        heading = f"{row.group} {row.heading}".strip().replace(" ", "\n")
        table.add_column(heading, justify="right", no_wrap=True)
    for index, arm in enumerate(comparison.arms):
        table.add_row(Text(arm.name), *(_rich(row.cells[index]) for row in rows))
    return table


def _measures_as_rows(comparison: Comparison, rows: Sequence[GridRow], part: Sequence[int]) -> Table:
    table = _empty_table(2)
    table.add_column("")
    for index in part:
        table.add_column(Text(comparison.arms[index].name), justify="right")
    previous = ""
    for row in rows:
        heading = f"{row.group}, {row.heading}" if row.group else row.heading
        if row.group != previous:
            table.add_section()
        previous = row.group
        table.add_row(heading, *(_rich(row.cells[index]) for index in part))
    return table


def _width(table: Table) -> int:
    console = Console(width=10_000)
    return Measurement.get(console, console.options, table).maximum


def _empty_table(gap: int) -> Table:
    return Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")


def _rich(cell: Cell) -> Text:
    text = Text(cell.text.replace(" ", "\u00a0"))
    if cell.text in STYLES or cell.text.isupper():
        text.stylize(STYLES.get(cell.text, BAD_STYLE))
    if cell.span:
        text.append("\n" + cell.span.replace(" ", "\u00a0"), style="dim")
    return text


def _map_parts(found: StormMap, comparison: Comparison, width: int) -> list[RenderableType]:
    """The map in sentences, and as a table where that fits."""
    parts: list[RenderableType] = [
        Text(units.unbroken(sentence), style="bold") for sentence in map_sentences(found)
    ]
    parts.append(Text(units.unbroken(comparison.believe), style="italic"))
    parts += [Text(units.unbroken(line)) for line in control_lines(comparison.controls)]
    parts += _reference_parts(comparison)
    table = _empty_table(2)
    for heading in map_headings(found):
        table.add_column(Text(heading.replace(" = ", "\n= ")), no_wrap=True)
    for point, cells in zip(found.loads, found.cells, strict=True):
        texts = (value_text(point.value), *map(outcome_text, cells), point.region)
        table.add_row(*map(Text, texts))
    return [*parts, Text(), table] if _width(table) <= width else parts


def _reference_parts(comparison: Comparison) -> list[RenderableType]:
    return [Text(f"Latencies count from: {comparison.reference}.")] if comparison.reference else []


def _action_parts(runs: Sequence[Run]) -> list[RenderableType]:
    """Actions and effects of a single run; nothing of several runs."""
    alone = studied(runs)
    rows = action_rows(alone[0]) if len(alone) == 1 else []
    if not rows:
        return []
    table = _empty_table(2)
    for heading in ROW_HEADINGS:
        table.add_column(heading)
    for row in rows:
        table.add_row(*map(Text, row))
    return [table, Text()]


def _client_parts(found: TextTable | None, width: int) -> list[RenderableType]:
    """Parts of the clients, in as many tables as the columns need; each has arm and part."""
    if found is None:
        return []
    parts: list[RenderableType] = []
    last, place = len(found.headings), 2
    while place < last:
        for end in range(last, place, -1):
            table = _text_table(found, [0, 1, *range(place, end)])
            if _width(table) <= width:
                break
        parts += [Text(), table]
        place = end
    return parts


def _text_table(found: TextTable, places: Sequence[int]) -> Table:
    """These columns of a table."""
    table = _empty_table(2)
    for place in places:
        is_number = place and found.headings[place] not in found.words
        justify: JustifyMethod = "right" if is_number else "left"
        table.add_column(found.headings[place].replace(" ", "\n"), justify=justify, no_wrap=True)
    for row in found.rows:
        table.add_row(*(Text(row[place]) for place in places))
    return table


def _findings(runs: Sequence[Run]) -> list[Text]:
    lines = finding_lines(by_arm(runs))
    return [Text(), *(Text(units.unbroken(line)) for line in lines)] if lines else []


def _issues(runs: Sequence[Run]) -> list[Text]:
    """What makes runs invalid, a line a run; then what is worth a note, a line for all runs with the same."""
    lines = []
    notes: dict[str, list[Run]] = {}
    for run in runs:
        validity = judgement_of(run).validity
        lines += [
            Text(f"INVALID  {run.info.arm}, round {run.info.round}: {problem}")
            for problem in validity.problems
        ]
        for warning in validity.warnings:
            notes.setdefault(warning, []).append(run)
    for warning, noted in notes.items():
        whose = "all runs" if len(noted) == len(runs) > 1 else _names_of(noted)
        lines.append(Text(f"note  {whose}: {warning}", style="dim"))
    return lines


def _names_of(runs: Sequence[Run]) -> str:
    """`naive + none, rounds 1 and 3; incident + none, round 2`."""
    rounds: dict[str, list[str]] = {}
    for run in runs:
        rounds.setdefault(run.info.arm, []).append(str(run.info.round))
    parts = []
    for arm, (*others, last) in rounds.items():
        parts.append(f"{arm}, rounds {', '.join(others)} and {last}" if others else f"{arm}, round {last}")
    return "; ".join(parts)

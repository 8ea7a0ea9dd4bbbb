"""A decision on one screen, the reason first."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.gate.decision import Decision
from reports.gate.text import lines, tables, title
from reports.text import units
from reports.text.tables import TextTable

_STYLES = {
    "pass": "bold green",
    "regression": "bold red",
    "inconclusive": "bold yellow",
    "invalid": "bold magenta",
    "failed": "bold red",
}
"""Only an accent: the outcome is always written out."""


def terminal_decision(decision: Decision) -> RenderableType:
    """The whole decision."""
    parts: list[RenderableType] = [Text(units.unbroken(title(decision)), style=_STYLES[decision.outcome])]
    for table in tables(decision):
        parts += [Text(""), text_table(table)]
    parts += [Text(""), *(Text(units.unbroken(line)) for line in lines(decision))]
    return Group(*parts)


def text_table(table: TextTable, title: str | None = None) -> Table:
    """A table with its words to the left and its numbers to the right."""
    drawn = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for heading in table.headings:
        drawn.add_column(heading, justify="left" if heading in table.words else "right")
    for row in table.rows:
        drawn.add_row(*(Text(units.unbroken(cell)) for cell in row))
    return drawn

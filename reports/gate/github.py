"""A decision where GitHub Actions shows it: annotations, and the summary of a step."""

from collections.abc import Sequence

from reports.gate.decision import Decision, Outcome
from reports.gate.text import TITLES, lines, tables, title
from reports.text.tables import TextTable
from reports.text.templating import escape_markdown

_COMMANDS: dict[Outcome, str] = {
    "pass": "notice",
    "regression": "error",
    "inconclusive": "warning",
    "invalid": "error",
    "failed": "error",
}
MOST_ANNOTATIONS = 10
"""GitHub shows no more of a kind for one step."""


def annotations(decision: Decision, scenario: str) -> list[str]:
    """A line for the outcome, and one for each measure and SLO that is worse, violated or inconclusive."""
    found = [
        _annotation(_COMMANDS[decision.outcome], f"{TITLES[decision.outcome]} {scenario}", decision.reason)
    ]
    for finding in decision.findings:
        if finding.accepted:
            name = f"{finding.name}: {finding.answer}, accepted"
            found.append(_annotation("warning", name, f"{finding.why}: {finding.accepted}"))
        elif finding.answer in {"worse", "inconclusive"}:
            command = "error" if finding.answer == "worse" else "warning"
            found.append(_annotation(command, f"{finding.name}: {finding.answer}", finding.why))
    for slo in decision.slos:
        if slo.answer != "met":
            command = "error" if slo.answer == "violated" else "warning"
            found.append(_annotation(command, f"SLO {slo.answer}", slo.why))
    return found[:MOST_ANNOTATIONS]


def step_summary(decision: Decision, scenario: str) -> str:
    """The decision as Markdown, with every value escaped."""
    parts = [f"### {markdown_text(scenario)}: {markdown_text(title(decision))}"]
    parts += [f"**{markdown_text(table.label)}**\n\n{markdown_table(table)}" for table in tables(decision)]
    parts.append("\n".join(f"- {markdown_text(line)}" for line in lines(decision)))
    return "\n\n".join(parts) + "\n"


def _annotation(command: str, name: str, message: str) -> str:
    return f"::{command} title={_property(name)}::{_message(message)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def markdown_table(table: TextTable) -> str:
    """A table with every value escaped."""
    marks = ["---" if heading in table.words else "---:" for heading in table.headings]
    headings = tuple(map(markdown_text, table.headings))
    return "\n".join(_line(row) for row in (headings, marks, *_escaped(table)))


def _escaped(table: TextTable) -> list[tuple[str, ...]]:
    return [tuple(map(markdown_text, row)) for row in table.rows]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_text(value: str) -> str:
    """Text in one line in which nothing is Markdown or HTML."""
    return str(escape_markdown(value))

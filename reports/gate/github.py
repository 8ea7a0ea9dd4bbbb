"""A decision where GitHub and GitLab show it: annotations, the summary of a step, a comment on the change."""

from collections.abc import Sequence
from math import inf

import msgspec

from reports.compare.measures import BY_KEY
from reports.gate.decision import Decision, Outcome, Side
from reports.gate.text import TITLES, accepted_lines, lines, tables, title, worst_first
from reports.text.mermaid import Line, line_chart
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
LONGEST = 60_000
"""GitHub takes comments of up to 65,536 characters."""
_GREY, _ORANGE = "#8a8a8a", "#d9480f"
"""Legible on white and on black."""


def annotations(decision: Decision, scenario: str) -> list[str]:
    """A line for the outcome, and one for each measure and SLO that is worse, violated or inconclusive."""
    found = [
        annotation(_COMMANDS[decision.outcome], f"{TITLES[decision.outcome]} {scenario}", decision.reason)
    ]
    for finding in decision.findings:
        if finding.accepted:
            name = f"{finding.name}: {finding.answer}, accepted"
            found.append(annotation("warning", name, f"{finding.why}: {finding.accepted}"))
        elif finding.answer in {"worse", "inconclusive"}:
            command = "error" if finding.answer == "worse" else "warning"
            found.append(annotation(command, f"{finding.name}: {finding.answer}", finding.why))
    for slo in decision.slos:
        if slo.answer != "met":
            command = "error" if slo.answer == "violated" else "warning"
            found.append(annotation(command, f"SLO {slo.answer}", slo.why))
    return found[:MOST_ANNOTATIONS]


def step_summary(decision: Decision, scenario: str) -> str:
    """The decision as Markdown, with every value escaped."""
    parts = [f"### {_cell(scenario)}: {_cell(title(decision))}"]
    parts += [f"**{_cell(table.label)}**\n\n{_markdown(table)}" for table in tables(decision)]
    parts.append("\n".join(f"- {_cell(line)}" for line in lines(decision)))
    return "\n\n".join(parts) + "\n"


def comment(decision: Decision, scenario: str, where: str = "") -> str:
    """The Markdown of the comment, with every value escaped. where: address of the job, if it has one."""
    log = [f"[Log of this job]({where})"] if where else []
    top = [
        f"### {_cell(scenario)}: {TITLES[decision.outcome]}",
        _cell(decision.reason),
        *(f"- {_cell(line)}" for line in accepted_lines(decision)),
    ]
    told = [_markdown(table) for table in _what_changed(decision)]
    whole = _joined([*top, *told, *picture(decision), _folded(decision), *log])
    return whole if len(whole) <= LONGEST else _joined([part[: LONGEST // 4] for part in (*top[:2], *log)])


def picture(decision: Decision) -> list[str]:
    """The measure that is worst, run by run: a chart for Markdown, or none where no measure can be drawn."""
    sides = (decision.baseline, decision.candidate)
    for finding in worst_first(decision):
        if finding.key not in BY_KEY:
            continue
        unit, scale = BY_KEY[finding.key].unit
        lines = [
            Line(colour, [scale * value for value in _values(side, finding.key)])
            for colour, side in zip((_GREY, _ORANGE), sides, strict=True)
        ]
        axis = finding.name if unit in {"", "count", "ratio"} else f"{finding.name}, {unit}"
        drawn = line_chart(f"{finding.name}: baseline grey, candidate orange", "run", axis, lines)
        if drawn:
            return [drawn]
    return []


def _values(side: Side | None, key: str) -> list[float]:
    """A measure in the valid runs of a side, infinite where it never came."""
    found = [run.values[key].number for run in side.measured if key in run.values] if side else []
    return [inf if number is None else number for number in found]


def _what_changed(decision: Decision) -> list[TextTable]:
    """The measures and SLOs that a reader has to look at."""
    changed = tuple(finding for finding in decision.findings if finding.answer != "not worse")
    missed = tuple(slo for slo in decision.slos if slo.answer != "met")
    shown = msgspec.structs.replace(decision, findings=changed, slos=missed)
    return tables(shown)


def _folded(decision: Decision) -> str:
    parts = [f"**{_cell(table.label)}**\n\n{_markdown(table)}" for table in tables(decision)]
    parts.append("\n".join(f"- {_cell(line)}" for line in lines(decision)))
    return _joined(["<details><summary>All measures, runs and notes</summary>", *parts, "</details>"])


def _joined(parts: list[str]) -> str:
    return "\n\n".join(parts) + "\n"


def annotation(command: str, name: str, message: str, *, file: str = "", line: int = 0) -> str:
    """A workflow command that GitHub shows at a line of a file, or with the job where there is no file."""
    where = f"file={_property(file)},line={line}," if file else ""
    return f"::{command} {where}title={_property(name)}::{_message(message)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _markdown(table: TextTable) -> str:
    """A table with every value escaped."""
    marks = ["---" if heading in table.words else "---:" for heading in table.headings]
    headings = tuple(map(_cell, table.headings))
    return "\n".join(_line(row) for row in (headings, marks, *_escaped(table)))


def _escaped(table: TextTable) -> list[tuple[str, ...]]:
    return [tuple(map(_cell, row)) for row in table.rows]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: str) -> str:
    """Text in one line in which nothing is Markdown or HTML."""
    return str(escape_markdown(value))

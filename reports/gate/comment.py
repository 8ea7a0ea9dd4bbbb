"""A decision as a comment on the change that it is about: the reason first, everything else folded away."""

import msgspec

from reports.gate.decision import Decision
from reports.gate.github import markdown_table, markdown_text
from reports.gate.text import TITLES, accepted_lines, lines, tables
from reports.text.tables import TextTable

LONGEST = 60_000
"""GitHub takes comments of up to 65,536 characters."""


def comment(decision: Decision, scenario: str, where: str = "") -> str:
    """The Markdown of the comment, with every value escaped. where: address of the job, if it has one."""
    log = [f"[Log of this job]({where})"] if where else []
    top = [
        f"### {markdown_text(scenario)}: {TITLES[decision.outcome]}",
        markdown_text(decision.reason),
        *(f"- {markdown_text(line)}" for line in accepted_lines(decision)),
    ]
    told = [markdown_table(table) for table in _what_changed(decision)]
    whole = _joined([*top, *told, _folded(decision), *log])
    return whole if len(whole) <= LONGEST else _joined([part[: LONGEST // 4] for part in (*top[:2], *log)])


def _what_changed(decision: Decision) -> list[TextTable]:
    """The measures and SLOs that a reader has to look at."""
    changed = tuple(finding for finding in decision.findings if finding.answer != "not worse")
    missed = tuple(slo for slo in decision.slos if slo.answer != "met")
    shown = msgspec.structs.replace(decision, findings=changed, slos=missed)
    return tables(shown)


def _folded(decision: Decision) -> str:
    parts = [f"**{markdown_text(table.label)}**\n\n{markdown_table(table)}" for table in tables(decision)]
    parts.append("\n".join(f"- {markdown_text(line)}" for line in lines(decision)))
    return _joined(["<details><summary>All measures, runs and notes</summary>", *parts, "</details>"])


def _joined(parts: list[str]) -> str:
    return "\n\n".join(parts) + "\n"

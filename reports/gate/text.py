"""A decision as rows and sentences, for any medium."""

from reports.gate.decision import Decision, Side
from reports.gate.finding import Finding
from reports.text import units
from reports.text.tables import TextTable

TITLES = {
    "pass": "PASS",
    "regression": "REGRESSION",
    "inconclusive": "INCONCLUSIVE",
    "invalid": "INVALID",
    "failed": "FAILED",
}

_ORDER = ("worse", "inconclusive", "better", "not worse")


def title(decision: Decision) -> str:
    """The outcome and the reason for it."""
    return f"{TITLES[decision.outcome]}: {decision.reason}"


def worst_first(decision: Decision) -> list[Finding]:
    """Its findings, in the order in which a reader needs them."""
    return sorted(decision.findings, key=lambda finding: _ORDER.index(finding.answer))


def findings_table(decision: Decision) -> TextTable:
    """Every gauge, what is worse first."""
    return TextTable(
        label="Candidate against baseline",
        headings=("measure", "baseline", "candidate", "ratio", "minimum effect", "p", "result"),
        rows=tuple(
            (
                f"{row.name} ({row.better} is better)" if row.key != "verdict" else row.name,
                row.baseline.text,
                row.candidate.text,
                units.ratio(row.ratio, row.ratio_low, row.ratio_high, row.coverage, never=row.ratio_never)
                or units.NOTHING,
                row.least,
                units.p_value(row.p).removeprefix("p ") or units.NOTHING,
                f"{row.answer} (accepted)" if row.accepted else row.answer,
            )
            for row in worst_first(decision)
        ),
        words=frozenset({"measure", "minimum effect", "result"}),
    )


def slo_table(decision: Decision) -> TextTable:
    """Every SLO."""
    return TextTable(
        label="SLOs",
        headings=("SLO", "measured", "runs", "violated in", "undecided in", "result"),
        rows=tuple(
            (
                slo.rule,
                ", ".join(dict.fromkeys(slo.found)),
                str(slo.runs + slo.undecided),
                str(slo.violated),
                str(slo.undecided),
                slo.answer,
            )
            for slo in decision.slos
        ),
        words=frozenset({"SLO", "measured", "result"}),
    )


def tables(decision: Decision) -> list[TextTable]:
    """Those that have rows."""
    return [table for table in (findings_table(decision), slo_table(decision)) if table.rows]


def lines(decision: Decision) -> list[str]:
    """What was accepted, then the runs, corrections and notes behind a decision."""
    sentences = accepted_lines(decision)
    sentences += [
        _side_line(what, side)
        for what, side in (("Baseline", decision.baseline), ("Candidate", decision.candidate))
        if side is not None
    ]
    if decision.findings and decision.looks > 1:
        sentences.append(
            f"p is adjusted for {len(decision.findings)} measures (Holm) and for sequential testing: interim "
            f"analysis {max(0, decision.look) + 1} of {decision.looks}."
        )
    shown = {one.coverage for one in decision.findings if one.coverage is not None}
    if shown:
        sentences.append(
            "In brackets: the exact interval of the ratio, and the least probability that it contains the "
            "true ratio."
        )
    return [*sentences, *decision.notes]


def accepted_lines(decision: Decision) -> list[str]:
    """A sentence for each measure that may be worse because somebody has accepted it."""
    return [
        f"Accepted: {finding.why}: {finding.accepted}" for finding in decision.findings if finding.accepted
    ]


def _side_line(what: str, side: Side) -> str:
    verdicts = [run.verdict for run in side.measured]
    counted = ", ".join(f"{verdicts.count(name)} {name}" for name in dict.fromkeys(verdicts))
    text = f"{what}: {side.name}{_commit(side)}, {len(side.measured)} valid runs of {side.runs}"
    text += f" ({counted})" if counted else ""
    lost = [
        f"{number} {how}"
        for number, how in ((side.counted.failed, "failed"), (side.disturbed, "invalidated by the host"))
        if number
    ]
    text += f"; {', '.join(lost)}" if lost else ""
    return f"{text}: {'; '.join(side.problems)}" if side.problems else text


def _commit(side: Side) -> str:
    if side.commit is None:
        return ""
    of = "working tree of " if side.working_tree else ""
    return f" ({of}{side.commit.short}, {side.commit.date[:10]})"

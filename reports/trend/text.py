"""Change points as rows and sentences."""

from collections.abc import Sequence

from reports.text import units
from reports.text.tables import TextTable
from reports.trend.changes import Change

MOST_IN_A_NOTE = 3


def change_table(found: Sequence[Change]) -> TextTable:
    """A row for each change point."""
    several = len({(change.scenario, change.machine) for change in found}) > 1
    return TextTable(
        label="Change points",
        headings=("since commit", "date", "measure", "from", "to", "ratio", "p", "result")
        + (("scenario", "machine") if several else ()),
        rows=tuple(
            (
                change.commit.id[:10],
                change.commit.date[:10],
                f"{change.name} ({change.better} is better)" if change.key != "verdict" else change.name,
                f"{change.before_text} in {change.gates_before} gates",
                f"{change.after_text} in {change.gates_after} gates",
                _ratio(change) or units.NOTHING,
                units.p_value(change.p).removeprefix("p "),
                "worse" if change.worse else "better",
            )
            + ((change.scenario, change.machine) if several else ())
            for change in found
        ),
        words=frozenset({"since commit", "date", "measure", "result", "scenario", "machine"}),
    )


def sentence(change: Change) -> str:
    """`pod loop, during went from 51 % to 58 % at 0123456789 (2026-11-02): 1.13× (…), p < 0.001`."""
    figures = ", ".join(filter(None, (_ratio(change), units.p_value(change.p))))
    return (
        f"{change.name} went from {change.before_text} to {change.after_text} at {change.commit.id[:10]} "
        f"({change.commit.date[:10]}): {figures}"
    )


def history_note(found: Sequence[Change], gates: int, file: str) -> str:
    """What a gate says of its history; `found`: the change points for the worse. Nothing without any."""
    if not found:
        return ""
    newest = sorted(found, key=lambda change: -change.index)
    told = "; ".join(map(sentence, newest[:MOST_IN_A_NOTE]))
    more = f"; and {len(newest) - MOST_IN_A_NOTE} more" if len(newest) > MOST_IN_A_NOTE else ""
    return (
        f"History of {gates} gates, change points for the worse: {told}{more}. They do not affect this "
        f"result; see `reconnect-storm report --trend {file}`."
    )


def _ratio(change: Change) -> str:
    return units.ratio(change.ratio, change.ratio_low, change.ratio_high, change.coverage)

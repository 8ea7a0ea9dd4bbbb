"""Connection state recovery has rows of its own, where clients asked for it, and only there."""

from reports.analysis.delivery import SessionRecovery
from reports.compare.comparison import compare
from reports.page.table import experience_grid, recovery_grid
from tests.support.judged_runs import run

ON = SessionRecovery(asked=20, recovered=20, replayed=157, duplicated=0, delivered=900, lost=0)


def test_a_table_has_the_counts_of_arms_whose_clients_asked_also_where_they_are_0() -> None:
    comparison = compare(
        [run("naive + none", "RECOVERED", 5, sessions=ON), run("naive + per-ip", "RECOVERED", 5)]
    )
    rows = {row.heading: [cell.text for cell in row.cells] for row in recovery_grid(comparison)}
    assert rows == {
        "sessions that asked": ["20", "–"],
        "sessions recovered": ["20", "–"],
        "ticks delivered": ["900", "–"],
        "ticks replayed": ["157", "–"],
        "ticks duplicated": ["0", "–"],
        "ticks never received": ["0", "–"],
    }
    assert [row for row in experience_grid(comparison) if row.group == "session recovery"] == recovery_grid(
        comparison
    )


def test_other_runs_have_no_such_table() -> None:
    assert recovery_grid(compare([run("naive + none", "RECOVERED", 5)])) == []

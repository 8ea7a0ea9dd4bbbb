"""What the tick columns of shared_ips.csv have to agree with."""

from reports.analysis.delivery import ticks_due
from reports.rundir.reader import Run

TICK_COLUMNS = ("ticks_in_time", "ticks_late", "ticks_never", "ticks_skipped")


def assert_groups_add_up(run: Run) -> None:
    """In every second, the ticks of all groups are those of all clients."""
    seconds = {second for tag in ("effective", "censored") for second in run.histograms[tag]}
    assert {row["t_s"] for row in run.shared_ips if row["ticks_in_time"] is not None} == seconds
    for second in seconds:
        rows = [row for row in run.shared_ips if row["t_s"] == second]
        sums = tuple(sum(int(row[name] or 0) for row in rows) for name in TICK_COLUMNS)
        whole = ticks_due(run, second, second + 1)
        assert whole is not None
        assert sums[:3] == (whole.in_time, whole.late, whole.never)
        known = [row["skipped"] for row in run.rows if row["t_s"] == second]
        assert known in ([], [sums[3]])

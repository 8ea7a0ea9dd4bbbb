"""What the sidecars of a run took, and what they did about failures; all of them together.

CPU is in CPU-seconds per second, memory in megabytes of what is resident, which has the program's own pages
in it once for each sidecar.
"""

from collections.abc import Sequence

from msgspec import Struct

from reports.rundir import series
from reports.rundir.reader import Run
from reports.rundir.schema import Phase
from reports.rundir.series import Row

PER_CLIENTS = 1_000


class SidecarSummary(Struct, frozen=True, kw_only=True):
    """None where nothing was recorded."""

    sidecars: int
    """As many as there ever were."""
    cpu_before: float | None
    """Of one sidecar, mean."""
    cpu_during: float | None
    cpu_peak: float | None
    """Of the busiest one in its busiest second."""
    rss_mb: float | None
    """Of one sidecar before the trigger, mean."""
    rss_peak_mb: float | None
    """Of the largest one."""
    cpu_before_per_1000: float | None
    """Of all sidecars together, for every 1,000 clients."""
    rss_mb_per_1000: float | None
    """Memory of all sidecars together before the trigger, for every 1,000 clients."""
    retries: int = 0
    """This and the following: from the trigger to the end of `after`; without a trigger, over all seconds."""
    retry_successes: int = 0
    retries_denied: int = 0
    connect_failures: int = 0
    timed_out: int = 0
    connection_overflow: int = 0
    pending_overflow: int = 0
    ejections: int = 0
    limited: int = 0


COUNTS = SidecarSummary.__struct_fields__[-9:]
"""The fields that are counts, and columns of sidecars.csv as well."""


def sidecar_summary(run: Run, stretch: tuple[int, int] | None) -> SidecarSummary | None:
    """The sidecars of a run; None where it has none. stretch: the seconds over which counts are taken."""
    if not run.sidecars:
        return None
    before, during = (_rows_of(run, run.phase(name)) for name in ("before", "during"))
    counted = [row for row in run.sidecars if stretch is None or _within(row, stretch)]
    watched = [row for row in run.sidecars if (row["t_s"] or 0.0) >= 0]
    clients = series.highest(series.column(run.rows, "clients")) or 0.0
    thousands = clients / PER_CLIENTS
    return SidecarSummary(
        sidecars=len({row["pod"] for row in run.sidecars}),
        cpu_before=series.mean(series.column(before, "cpu")),
        cpu_during=series.mean(series.column(during, "cpu")),
        cpu_peak=series.highest(series.column(watched, "cpu")),
        rss_mb=series.mean(series.column(before, "rss_mb")),
        rss_peak_mb=series.highest(series.column(watched, "rss_mb")),
        cpu_before_per_1000=_together(before, "cpu", thousands),
        rss_mb_per_1000=_together(before, "rss_mb", thousands),
        **{name: round(series.total(series.column(counted, name))) for name in COUNTS},
    )


def _rows_of(run: Run, phase: Phase | None) -> list[Row]:
    return [row for row in run.sidecars if phase and _within(row, (phase.from_s, phase.to_s))]


def _within(row: Row, stretch: tuple[int, int]) -> bool:
    t_s = row["t_s"]
    return t_s is not None and stretch[0] <= t_s < stretch[1]


def _together(rows: Sequence[Row], name: str, thousands: float) -> float | None:
    """All sidecars of a second, mean over the seconds, for every 1,000 clients."""
    seconds = len({row["t_s"] for row in rows})
    return series.ratio(series.total(series.column(rows, name)), seconds * thousands)

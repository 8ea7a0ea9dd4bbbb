"""Whether the service was steady before the trigger, and in a run without one."""

from collections.abc import Iterator, Sequence

from reports.analysis.actions import early_reloads_hint
from reports.analysis.metrics import Summary
from reports.analysis.shared_ips import attempts_of_unserved
from reports.rundir import series
from reports.rundir.reader import Run
from reports.rundir.series import Row
from reports.text.units import count, expected, percent

LOST_SHARE = 0.0001
"""The share of clients that may disconnect or reconnect before the trigger; at least one client."""
BASELINE_POD_LOOP = 0.7


def unsteady(run: Run, summary: Summary, rows: Sequence[Row]) -> Iterator[str]:
    """Why the seconds before the trigger are not steady; none where they are.

    rows: those seconds.
    """
    shares = series.shares(series.column(rows, "useful"), series.column(rows, "clients"))
    low = shares[shares < series.SERVED_WELL]
    if len(low):
        yield (
            "the baseline is not steady: clients served in its worst second: "
            f"{expected('≥', percent, series.SERVED_WELL, low.min())}"
        )
    # Processes agree on where a second ends to some tens of milliseconds: what the trigger did first may have
    # been counted in the second before it.
    calm = rows if run.info.trigger_s is None else rows[:-1]
    hint = early_reloads_hint(run)
    for what, figures in lost_while_calm(run, calm, summary.clients):
        yield f"the baseline is not steady: {what} before the trigger: {figures}{hint}"
    loop = summary.before.pod_loop if summary.before else None
    if loop is not None and loop > BASELINE_POD_LOOP:
        yield (
            "the baseline is overloaded: utilisation of the pods' event loops: "
            f"{expected('≤', percent, BASELINE_POD_LOOP, loop)}"
        )


def lost_while_calm(run: Run, calm: Sequence[Row], clients: int) -> Iterator[tuple[str, str]]:
    """Disconnects and attempts in the first seconds of a run, where they are too many: (what, figures)."""
    allowed = max(1, int(LOST_SHARE * clients))
    for name, what, others in (
        ("disconnects", "disconnects", 0.0),
        ("attempts", "connection attempts", attempts_of_unserved(run, 0, len(calm))),
    ):
        number = sum(series.present(calm, name)) - others
        if number > allowed:
            yield what, f"expected ≤ {allowed} with {count(clients)} clients, got {number:.0f}"

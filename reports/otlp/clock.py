"""When the seconds of a run were, in nanoseconds since 1970."""

from datetime import datetime

from reports.rundir.reader import Run
from reports.rundir.schema import RecordError

SECOND_NS = 1_000_000_000


def zero_ns(run: Run) -> int:
    """When its steady state began. In an older run, which does not say, its first row begins with the run.

    Raises RecordError where it does not say when it was.
    """
    exact = run.info.steady_utc
    try:
        moment = datetime.fromisoformat(exact or run.info.started_utc)
    except ValueError:
        raise RecordError(
            f"{run.directory}: invalid started_utc {run.info.started_utc!r}: expected a time in ISO 8601"
        ) from None
    first_s = 0.0 if exact or not run.rows else min(0.0, run.rows[0]["t_s"] or 0.0)
    return round((moment.timestamp() - first_s) * 1e6) * 1000


def at_ns(zero_at_ns: int, t_s: float) -> int:
    """A moment of the run. zero_at_ns: when its steady state began."""
    return zero_at_ns + round(t_s * SECOND_NS)

"""Service-level objectives and hypotheses: a metric and its bound."""

from reports.rundir.slo_metrics import PHASE_METRICS, STORM_METRICS, Bound
from scenarios.fields import invalid


class Objective(Bound, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bound on a metric that exists in its phase.

    A value that was never reached, such as a recovery, violates it.
    """

    def __post_init__(self) -> None:
        expected = STORM_METRICS if self.phase == "storm" else PHASE_METRICS
        if self.metric not in expected:
            names = ", ".join(expected)
            raise ValueError(invalid("metric", self.metric, f'one of {names} with phase "{self.phase}"'))


class Hypothesis(Objective, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a rehearsal expects, in words and as a bound."""

    statement: str
    """What is expected, in a sentence."""

"""Service-level objectives and hypotheses: a measured number and the bound that it has to keep."""

from typing import Literal

from msgspec import Struct

from reports.rundir.slo_metrics import PHASE_METRICS, STORM_METRICS, Operator


class Objective(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bound that has to be kept. What was never reached, such as a recovery, keeps no bound."""

    metric: str
    phase: Literal["before", "during", "after", "storm"] = "storm"
    operator: Operator
    bound: float

    def __post_init__(self) -> None:
        allowed = STORM_METRICS if self.phase == "storm" else PHASE_METRICS
        if self.metric not in allowed:
            raise ValueError(
                f'metric: found "{self.metric}", allowed with phase "{self.phase}": {", ".join(allowed)}'
            )


class Hypothesis(Objective, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a rehearsal sets out to show, in words and as a bound."""

    statement: str

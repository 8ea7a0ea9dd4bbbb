"""Service-level objectives and hypotheses: a measured number and the bound that it has to keep."""

from typing import Literal

from msgspec import Struct

PhaseMetric = Literal[
    "availability",
    "effective_p99_ms",
    "fanout_p50_ms",
    "fanout_p99_ms",
    "staleness_p99_ms",
    "attempts_per_s",
    "attempts_peak_per_s",
    "limited",
    "pod_cpu",
    "pod_loop",
    "nginx_cpu",
]
"""Measured in each phase for itself. CPU and loop utilisation are shares of one core and of time."""

StormMetric = Literal[
    "availability",
    "staleness_p99_ms",
    "stale_client_s",
    "missed",
    "amplification",
    "attempts_peak_per_s",
    "limited",
    "gave_up",
    "wasted_work",
    "time_to_recover_s",
]
"""Measured from the trigger to the end of `after`; the time to recover, also later."""

Operator = Literal["<", "<=", ">", ">="]

_OF_PHASES = PhaseMetric.__args__  # type: ignore[attr-defined]
_OF_THE_STORM = StormMetric.__args__  # type: ignore[attr-defined]


class Objective(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bound that has to be kept. What was never reached, such as a recovery, keeps no bound."""

    metric: str
    phase: Literal["before", "during", "after", "storm"] = "storm"
    operator: Operator
    bound: float

    def __post_init__(self) -> None:
        allowed = _OF_THE_STORM if self.phase == "storm" else _OF_PHASES
        if self.metric not in allowed:
            raise ValueError(
                f'metric: found "{self.metric}", allowed with phase "{self.phase}": {", ".join(allowed)}'
            )


class Hypothesis(Objective, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a rehearsal sets out to show, in words and as a bound."""

    statement: str

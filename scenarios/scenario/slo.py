"""Service-level objectives and hypotheses: a metric and its bound."""

from typing import Literal

from msgspec import Struct

from scenarios.fields import invalid

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
"""Measured in each phase separately. CPU and loop utilisation are shares of one core and of time."""

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
"""Measured from the trigger to the end of `after`; the time to recover may be longer."""

Operator = Literal["<", "<=", ">", ">="]

_OF_PHASES = PhaseMetric.__args__  # type: ignore[attr-defined]
_OF_THE_STORM = StormMetric.__args__  # type: ignore[attr-defined]


class Objective(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bound on a metric. A value that was never reached, such as a recovery, violates it."""

    metric: str
    phase: Literal["before", "during", "after", "storm"] = "storm"
    operator: Operator
    bound: float

    def __post_init__(self) -> None:
        expected = _OF_THE_STORM if self.phase == "storm" else _OF_PHASES
        if self.metric not in expected:
            names = ", ".join(expected)
            raise ValueError(invalid("metric", self.metric, f'one of {names} with phase "{self.phase}"'))


class Hypothesis(Objective, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a rehearsal expects, in words and as a bound."""

    statement: str

"""SLOs and hypotheses against what a run measured: met, violated, or undecided."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from reports.analysis.delivery import back_after, share_of
from reports.analysis.metrics import PhaseSummary, Storm, Summary
from reports.analysis.shared_ips import ticks_by_ip
from reports.rundir.latency import Latency
from reports.rundir.reader import Run
from reports.rundir.schema import RecordError
from reports.rundir.slo_metrics import (
    BACK,
    COMPARISONS,
    NEVER_RETURNED,
    SLO_METRICS,
    TICKS,
    TICKS_BY_IP,
    TIME_TO_RECOVER,
    Bound,
)
from reports.text.slo import limit_text, rule_text, write_against

EFFECTIVE_P99 = "effective_p99_ms"

SLO_RESULTS: dict[bool | None, str] = {True: "met", False: "violated", None: "undecided"}


class StatedBound(Bound, frozen=True, kw_only=True):
    """The bound of a hypothesis, with its words."""

    statement: str = ""


_Bound = TypeVar("_Bound", bound=Bound)


class SloResult(Struct, frozen=True, kw_only=True):
    """A bound, what was measured, and whether that meets it."""

    bound: Bound
    found: float | None
    """None where nothing was measured, or where it was never reached."""
    at_least: bool = False
    """Only a lower bound of it is known."""
    met: bool | None
    """None where that is not known."""

    @property
    def rule(self) -> str:
        """`availability ≥ 90 %, from the trigger on`."""
        return rule_text(self.bound)

    @property
    def limit(self) -> str:
        """`≥ 90 %`."""
        return limit_text(self.bound)

    @property
    def found_text(self) -> str:
        """`28 %`, `≥ 75 s`, `not recovered within 75 s`, or that it is not known."""
        if self.found is None:
            return "not recovered" if self.met is False else "not known"
        text = write_against(self.bound, self.found)
        if not self.at_least:
            return text
        unrecovered = self.bound.metric == TIME_TO_RECOVER
        return f"not recovered within {text}" if unrecovered else f"≥ {text}"

    @property
    def answer(self) -> str:
        """`met`, `violated` or `undecided`."""
        return SLO_RESULTS[self.met]


def satisfies(value: float, bound: Bound) -> bool:
    """Whether a value meets a bound."""
    return COMPARISONS[bound.operator](value, bound.bound)


def objectives_of(run: Run) -> tuple[Bound, ...]:
    """The objectives in a run's scenario; none in one that was written before there were any. Raises
    RecordError."""
    return tuple(
        _bound(run, f"slo[{number}]", table, Bound)
        for number, table in enumerate(run.info.scenario.get("slo") or ())
    )


def hypothesis_of(run: Run) -> StatedBound | None:
    """The hypothesis in a run's scenario. Raises RecordError."""
    table = run.info.scenario.get("hypothesis")
    return None if table is None else _bound(run, "hypothesis", table, StatedBound)


def evaluate(bound: Bound, summary: Summary) -> SloResult:
    """What was measured, and whether the bound was met.

    A recovery that never came meets no bound. Where only a lower bound of a value is known, the answer is
    known only if it is the same for every value above.
    """
    if bound.metric == TIME_TO_RECOVER:
        return _recovery(bound, summary)
    value = _measured(bound, summary)
    if value is None:
        return SloResult(bound=bound, found=None, met=None)
    met = satisfies(value.ms, bound)
    upwards = bound.operator in {">", ">="}
    known = not value.at_least or met == upwards
    return SloResult(bound=bound, found=value.ms, at_least=value.at_least, met=met if known else None)


def _recovery(bound: Bound, summary: Summary) -> SloResult:
    recovery = summary.recovery
    if recovery.time_to_recover_s is not None:
        value = float(recovery.time_to_recover_s)
        return SloResult(bound=bound, found=value, met=satisfies(value, bound))
    if summary.storm is None:
        return SloResult(bound=bound, found=None, met=None)
    least_s = None if recovery.at_least_s is None else float(recovery.at_least_s)
    return SloResult(bound=bound, found=least_s, at_least=least_s is not None, met=False)


def _measured(bound: Bound, summary: Summary) -> Latency | None:
    """The value, in the metric's own unit; None without one."""
    stretch: PhaseSummary | Storm | None = getattr(summary, bound.phase)
    value: Latency | float | None = None
    if bound.metric in TICKS:
        value = share_of(summary.storm.ticks if summary.storm else None, TICKS[bound.metric])
    elif bound.metric in TICKS_BY_IP:
        value = share_of(ticks_by_ip(summary.shared_ips, shared=TICKS_BY_IP[bound.metric]), "in_time")
    elif bound.metric in BACK:
        value = back_after(summary.back, BACK[bound.metric])
    elif bound.metric == NEVER_RETURNED:
        value = summary.back.never_returned if summary.back else None
    elif bound.metric in SLO_METRICS:
        name = "effective_p99" if bound.metric == EFFECTIVE_P99 else bound.metric
        value = getattr(stretch, name, None)
    return value if isinstance(value, Latency) or value is None else Latency(float(value))


def _bound(run: Run, key: str, table: Mapping[str, Any], kind: type[_Bound]) -> _Bound:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise RecordError(f"{run.directory / 'run.json'}: scenario.{key}: {error}") from None

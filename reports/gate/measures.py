"""The measures of a gate, and the numbers of one run that it needs: few enough to keep for dozens of runs."""

from collections.abc import Callable, Iterable
from math import inf

from msgspec import Struct

from reports.analysis.judgement import Judgement
from reports.analysis.verdict import RANKED, VerdictName
from reports.compare.measures import AVAILABILITY, BY_KEY, TIME_TO_RECOVER, Effect
from reports.rundir.latency import Latency

VERDICT = "verdict"
FAILED = "failed"
"""The runs that are INVALID, or never came about: a gauge of a side as a whole, beside those of its valid
runs."""

_STUCK: VerdictName = "METASTABLE"
"""Stands for `OUTAGE`, too: both mean no recovery, and only a rescue distinguishes them."""

DEFAULT_KEYS = (
    AVAILABILITY,
    "effective_p99_after",
    TIME_TO_RECOVER,
    "attempts_peak",
    "attempts",
    "disconnects",
    "pod_loop",
)
"""One for each way in which a storm gets worse. All others would cost power: each further measure makes the
correction stricter."""

ALLOWED_KEYS = tuple(key for key, measure in BY_KEY.items() if measure.effect.better != "neither")
"""Measures of which more is better or worse."""


class Value(Struct, frozen=True, array_like=True):
    """One measure of one run."""

    number: float | None
    """None: a recovery that did not come."""
    at_least: bool = False
    """Only a lower bound is known."""


class Measured(Struct, frozen=True):
    """The numbers of one run that a gate needs."""

    verdict: VerdictName
    """`INVALID` for a run that failed for its own reasons, and then there are no values."""
    values: dict[str, Value]
    """By the keys of measures, without those that were not measured."""


class Gauge(Struct, frozen=True, kw_only=True):
    """One thing that may have got worse."""

    key: str
    name: str
    effect: Effect
    least: str
    """The minimum effect, as text."""
    write: Callable[[float | None], str]
    any_shift: bool = False
    """Any change that a test can tell matters, whatever the medians say."""


def gauges(keys: Iterable[str] = DEFAULT_KEYS) -> tuple[Gauge, ...]:
    """The verdict, which no gate leaves out, and the measures with these keys. Raises KeyError."""
    measures = [BY_KEY[key] for key in dict.fromkeys(keys)]
    return (
        Gauge(
            key=VERDICT,
            name="verdict",
            effect=Effect("lower", floor=0.5),
            least="any",
            write=_verdict_name,
            any_shift=True,
        ),
        *(
            Gauge(
                key=measure.key,
                name=measure.name,
                effect=measure.effect,
                least=measure.least,
                write=measure.write,
            )
            for measure in measures
        ),
    )


def measured(judgement: Judgement, keys: Iterable[str] = ALLOWED_KEYS) -> Measured:
    """The numbers of one run."""
    summary = judgement.summary
    values = {}
    for key in keys:
        value = BY_KEY[key].of(summary)
        if isinstance(value, Latency):
            values[key] = Value(value.ms, value.at_least)
        elif value is not None:
            values[key] = Value(float(value))
        elif key == TIME_TO_RECOVER and summary.storm:
            values[key] = Value(None)
    return Measured(judgement.verdict.name, values)


def reading(gauge: Gauge, run: Measured) -> tuple[float, bool] | None:
    """The gauge's number in a run, infinite where it never came, and whether it is only a lower bound;
    None where it was not measured."""
    if gauge.key == VERDICT:
        name = _STUCK if run.verdict == "OUTAGE" else run.verdict
        return float(RANKED.index(name)), False
    value = run.values.get(gauge.key)
    if value is None:
        return None
    return (inf if value.number is None else value.number), value.at_least


def _verdict_name(rank: float | None) -> str:
    # The median of an even number of verdicts may lie between two of them: then it is the worse one.
    name = RANKED[0 if rank is None else int(rank + 0.5)]
    return "METASTABLE or OUTAGE" if name == _STUCK else name

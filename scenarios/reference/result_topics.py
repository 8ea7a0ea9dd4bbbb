"""Topics on what a report says: verdicts, measures, metrics of SLOs, reasons for INVALID, findings."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator

from reports.analysis import validity, verdict
from reports.analysis.findings.registry import FINDINGS, PROXIES
from reports.compare.measures import BY_KEY, Measure
from reports.page.stability import NUMBERS
from reports.rundir.slo_metrics import SLO_METRICS, SloMetric, Unit
from reports.text.meanings import meaning_of
from scenarios.reference.topic import Topic

PAGE = "reading-a-report.md"
INVALID = "INVALID"
SHARE_SERVED = 0.99
BOUNDS: dict[Unit, float] = {
    "share": 0.05,
    "milliseconds": 150,
    "seconds": 30,
    "per second": 100,
    "count": 10,
    "times": 2,
}
"""Bounds of the examples, where less is better."""
BETTER = {"lower": "less", "higher": "more", "neither": ""}


def result_topics() -> Iterator[Topic]:
    """All topics on results."""
    reasons = [*_reasons()]
    yield from _verdicts(reasons)
    yield from _measures()
    yield from _metrics()
    yield from _numbers()
    yield from _findings()
    yield from reasons


def reads(function: Callable[..., object]) -> tuple[str, ...]:
    """The sentences that a rule yields, with `…` for what it measured."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    yields = [node.value for node in ast.walk(tree) if isinstance(node, ast.Yield)]
    return tuple(text for value in yields if value is not None and (text := _literal(value)).strip("… "))


def _literal(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(_literal, parts))
    return "…"


def _verdicts(reasons: list[Topic]) -> Iterator[Topic]:
    for name, meaning in verdict.MEANINGS.items():
        invalid = name == INVALID
        yield Topic(
            name=name,
            kind="verdict",
            group="verdicts",
            says=f"The service {meaning}.",
            facts={reason.name: reason.says for reason in reasons if invalid and reason.group == "reasons"},
            more=f"{PAGE}#verdicts",
        )


def _measures() -> Iterator[Topic]:
    for key, measure in BY_KEY.items():
        yield Topic(
            name=key,
            kind="measure",
            group="measures",
            says=f"{_capital(measure.name)}{_meaning(key)}.",
            facts=_facts(measure),
            more=f"{PAGE}#measures",
        )


def _facts(measure: Measure) -> dict[str, str]:
    better = BETTER[measure.effect.better]
    return {"better": better, "minimum effect": measure.least} if better else {}


def _metrics() -> Iterator[Topic]:
    for key, metric in SLO_METRICS.items():
        phases = [*(["before, during, after"] if metric.phase else []), *(["storm"] if metric.storm else [])]
        yield Topic(
            name=key,
            kind="metric of an SLO",
            group="metrics of SLOs",
            says=f"{_capital(metric.name)}{_meaning(key)}.",
            facts={"unit": metric.unit, "phase": ", ".join(phases)},
            example=_slo(key, metric),
            more="rehearsals.md#hypothesis-and-slos",
        )


def _numbers() -> Iterator[Topic]:
    for number in NUMBERS:
        yield Topic(
            name=number.symbol,
            kind="number of the stability estimate",
            group="stability numbers",
            says=number.meaning,
            more=f"{PAGE}#will-there-be-a-storm",
        )


def _slo(key: str, metric: SloMetric) -> str:
    higher = key in BY_KEY and BY_KEY[key].effect.better == "higher"
    lines = [
        "[[slo]]",
        f'metric = "{key}"',
        f'phase = "{"storm" if metric.storm else "during"}"',
        f'operator = "{">=" if higher else "<="}"',
        f"bound = {SHARE_SERVED if higher else BOUNDS[metric.unit]}",
    ]
    return "\n".join(lines)


def _reasons() -> Iterator[Topic]:
    for group, kind, rules in (
        ("reasons", "reason why a run is INVALID", validity.PROBLEMS),
        ("warnings", "warning on a run", validity.WARNINGS),
    ):
        for rule in rules:
            if rule.__doc__:
                yield Topic(
                    name=rule.__name__.strip("_"),
                    kind=kind,
                    group=group,
                    says=rule.__doc__,
                    reads=reads(rule),
                    more=f"{PAGE}#invalid-runs",
                )


def _findings() -> Iterator[Topic]:
    for name, kind in FINDINGS.items():
        yield Topic(
            name=name,
            kind="finding",
            group="findings",
            says=f"{kind.title}. {kind.meaning}",
            facts={PROXIES[proxy]: change for proxy, change in kind.change.items()},
            more=f"report-findings.md#{name}",
        )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _meaning(key: str) -> str:
    meaning = meaning_of(key)
    return f": {meaning}" if meaning else ""

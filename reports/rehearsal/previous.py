"""The latest rehearsal of a scenario compared with previous ones, the older ones first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from reports.analysis.slo import SLO_RESULTS, SloResult
from reports.analysis.verdict import RANKED
from reports.compare.comparable import is_switch, setting, settings
from reports.compare.measures import BY_KEY, Effect, Measure
from reports.rehearsal.blocks import Block, Chapter, Picture, Points, Table, Words
from reports.rehearsal.facts import Facts
from reports.rehearsal.outcome import HYPOTHESIS_RESULTS, time_to_recover
from reports.rundir.latency import Latency
from reports.rundir.toml import label
from reports.text import units
from reports.text.tables import TextTable

HEADING = "Compared with previous rehearsals"
FIGURE = "compared"
AGAINST = "latest against previous"

MEASURES = (
    "time_to_recover_s",
    "availability",
    "effective_p99_during",
    "effective_p99_after",
    "attempts_peak",
    "amplification",
    "limited",
    "disconnects",
    "gave_up",
    "pod_spread",
    "wasted_work",
)
"""Keys of the measures that are set side by side."""


STALE = Measure(
    "stale_client_s",
    "",
    "client-seconds of stale data",
    lambda summary: summary.storm.stale_client_s if summary.storm else None,
    units.count,
    Effect("lower", 0.1, 10.0),
)
"""Ticks missed are not among them: a client that is disconnected at the end has not counted its own yet."""


def previous_chapter(found: Sequence[Facts], alt: str) -> Chapter:
    """The chapter on several rehearsals, of which the last is the latest."""
    blocks: tuple[Block, ...] = (
        Points(changes(found)),
        Picture(FIGURE, alt, "One line per rehearsal, named by its date, with its verdict."),
        Table(_table(found)),
        Words(
            "Better, worse: the difference reaches the minimum effect that comparisons of arms use. With one "
            "run each it may be chance; only repeats of both can tell.",
            quiet=True,
        ),
    )
    return Chapter(HEADING, blocks)


def label_of(found: Facts, others: Sequence[Facts]) -> str:
    """What a rehearsal is called beside others: its date, or its moment where two are of one day."""
    day = found.run.info.started_utc[:10]
    moment = found.run.info.started_utc[:19].replace("T", " ")
    name = day if [other.run.info.started_utc[:10] for other in others].count(day) == 1 else moment
    twins = [other for other in others if other.run.info.started_utc == found.run.info.started_utc]
    return name if len(twins) == 1 else f"{name} ({found.run.directory.name})"


def changes(found: Sequence[Facts]) -> tuple[str, ...]:
    """How the latest rehearsal compares with the one before it, a sentence each; empty for a single one."""
    return tuple(_changes(found)) if len(found) > 1 else ()


def _changes(found: Sequence[Facts]) -> Iterator[str]:
    before, latest = found[-2], found[-1]
    was, became = before.judgement.verdict.name, latest.judgement.verdict.name
    yield f"Verdict: {was}, then {became}: {_ranked(was, became)}."
    if before.hypothesis and latest.hypothesis:
        yield f"Hypothesis: {_then_now(HYPOTHESIS_RESULTS, before.hypothesis, latest.hypothesis)}."
    for rule, now in {slo.rule: slo for slo in latest.objectives}.items():
        then = next((slo for slo in before.objectives if slo.rule == rule), None)
        if then is not None and (then.met, now.met) != (True, True):
            yield f"SLO {rule}: {_then_now(SLO_RESULTS, then, now)}."
    old, new = set(before.surprises), set(latest.surprises)
    if old - new:
        yield f"No longer seen: {', '.join(sorted(old - new))}."
    if new - old:
        yield f"New surprises: {', '.join(sorted(new - old))}."
    doubtful = [label_of(one, found) for one in found if not one.judgement.validity.valid]
    if doubtful:
        yield f"Not reliable: {', '.join(doubtful)}."
    changed = differences(before, latest)
    if changed:
        yield f"Other differences, possible causes: {'; '.join(changed)}."
    else:
        yield "Scenario, seed, machine and versions are the same."


def differences(before: Facts, latest: Facts) -> list[str]:
    """What is not the same in two rehearsals but for their results: `edge.limit none → per-ip`."""
    ours, theirs = before.run.info, latest.run.info
    parts: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any]], ...] = (
        ("", settings(before.run), settings(latest.run)),
        ("", {"seed": ours.seed}, {"seed": theirs.seed}),
        ("machine: ", ours.machine, theirs.machine),
        ("version of ", ours.versions, theirs.versions),
    )
    return [
        f"{setting(before.run, key)} → {setting(latest.run, key)}"
        if is_switch(key)
        else f"{what}{key} {_label(old.get(key))} → {_label(new.get(key))}"
        for what, old, new in parts
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def _label(value: Any) -> str:
    return label(value) if isinstance(value, Mapping) else units.setting(value)


def _then_now(results: Mapping[bool | None, str], then: SloResult, now: SloResult) -> str:
    return f"{results[then.met]} before ({then.found_text}), {results[now.met]} now ({now.found_text})"


def _ranked(was: str, became: str) -> str:
    if "INVALID" in {was, became}:
        return "not comparable"
    names = [str(name) for name in RANKED]
    steps = names.index(became) - names.index(was)
    return "no change" if not steps else "better" if steps < 0 else "worse"


def _table(found: Sequence[Facts]) -> TextTable:
    measures = [*(BY_KEY[key] for key in MEASURES), STALE]
    rows = [
        ("verdict", *(one.judgement.verdict.name for one in found), ""),
        *_answers("hypothesis", found, lambda one: one.hypothesis),
        *(_row(measure, found) for measure in measures),
        (
            "first alert after",
            *(units.seconds(one.alerts[0].t_s if one.alerts else None) for one in found),
            "",
        ),
        ("surprises", *(str(len(one.surprises)) for one in found), ""),
    ]
    return TextTable(
        label="Rehearsals side by side",
        headings=("measure", *(label_of(one, found) for one in found), AGAINST),
        rows=tuple(rows),
        words=frozenset({AGAINST}),
    )


def _answers(
    name: str, found: Sequence[Facts], of: Callable[[Facts], SloResult | None]
) -> Iterator[tuple[str, ...]]:
    results = [of(rehearsal) for rehearsal in found]
    if any(results):
        texts = (HYPOTHESIS_RESULTS[result.met] if result else units.NOTHING for result in results)
        yield (name, *texts, "")


def _row(measure: Measure, found: Sequence[Facts]) -> tuple[str, ...]:
    texts = [_text(measure, one) for one in found]
    return (measure.name, *texts, _against(measure, found[-2], found[-1]))


def _text(measure: Measure, one: Facts) -> str:
    if measure.key == "time_to_recover_s":
        return time_to_recover(one)
    value = measure.of(one.judgement.summary)
    if value is None or isinstance(value, float | int):
        return measure.write(value)
    return units.latency(value)


def _against(measure: Measure, before: Facts, latest: Facts) -> str:
    """Whether the difference reaches the minimum effect, and which way; empty where that is unknown."""
    was, became = (measure.of(one.judgement.summary) for one in (before, latest))
    numbers = [value.ms if isinstance(value, Latency) else value for value in (was, became)]
    if measure.key == "time_to_recover_s" and numbers.count(None) == 1:
        return "worse" if became is None else "better"
    if None in numbers or measure.effect.better == "neither":
        return ""
    a, b = (float(number or 0) for number in numbers)
    if not measure.effect.matters(a, b):
        return "below minimum effect"
    return "better" if (b < a) == (measure.effect.better == "lower") else "worse"

"""The effect of each mitigation: what the service did from one to the next.

A mitigation that works may take a while: pods first work off what they have queued, and delays have to grow.
So each is judged by the last seconds before the next one, not by the seconds right after it. What follows a
mitigation need not be its effect; only a comparison of runs with and without it can tell.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from reports.analysis.actions import FiredEvent, fired_events
from reports.analysis.metrics import Summary, unaided_stretch
from reports.compare.event_text import spoken_words
from reports.rundir import series
from reports.rundir.reader import Run
from reports.text import units

TOGETHER_S = 3.0
"""Mitigations that begin within as long of each other cannot be told apart."""
LOOKED_AT_S = 5
MATTERS = 0.10
"""Of all clients."""

Effect = Literal["recovered", "better", "no change", "worse", "unaffected", "unknown"]


class Fix(Struct, frozen=True, kw_only=True):
    """Mitigations that went in together, and what was seen until the next ones. Seconds from the trigger."""

    what: tuple[str, ...]
    began_s: float
    until_s: int
    """When the next ones began, or the unaided part of the run was over."""
    availability_before: float | None
    """In the five seconds before."""
    availability_after: float | None
    """In the last five seconds before `until_s`."""
    attempts_before: float | None
    """Per second."""
    attempts_after: float | None
    effect: Effect
    recovered: bool
    """The recovery of the run, as its verdict has it, began in this time."""

    @property
    def name(self) -> str:
        """`pushing the policy incident and setting the limit per-ip`."""
        return " and ".join(self.what)


def fixes(run: Run, summary: Summary) -> tuple[Fix, ...]:
    """The mitigations of a run between its trigger and the rescue or the end, in order."""
    stretch = unaided_stretch(run)
    if stretch is None:
        return ()
    trigger_s, end_s = stretch
    groups = _together(
        [
            event
            for event in fired_events(run.events)
            if event.kind == "mitigation" and trigger_s <= event.began_s < end_s
        ]
    )
    ends = [int(group[0].began_s) for group in groups[1:]] + [end_s]
    recovered_s = _recovered_s(summary)
    return tuple(
        _fix(run, group, trigger_s, until_s, recovered_s)
        for group, until_s in zip(groups, ends, strict=False)
    )


def fix_sentences(found: Sequence[Fix], summary: Summary) -> tuple[str, ...]:
    """What followed each mitigation, and whether that can be credited to it."""
    sentences = [_sentence(fix, summary) for fix in found]
    credited = next((fix for fix in reversed(found) if fix.effect == "recovered"), None)
    if credited is not None and len(credited.what) > 1:
        sentences.append(
            f"{units.capitalised(credited.name)} were applied together: this run cannot say which of them "
            "worked. Compare runs with each of them alone."
        )
    helped = any(fix.recovered or fix.effect == "unaffected" for fix in found)
    if found and credited is None and not helped:
        sentences.append("No mitigation was followed by a recovery.")
    return tuple(sentences)


def _together(events: Sequence[FiredEvent]) -> list[list[FiredEvent]]:
    groups: list[list[FiredEvent]] = []
    for event in events:
        if groups and event.began_s - groups[-1][0].began_s <= TOGETHER_S:
            groups[-1].append(event)
        else:
            groups.append([event])
    return groups


def _recovered_s(summary: Summary) -> int | None:
    """In seconds of steady state."""
    found = summary.recovery
    if found.time_to_recover_s is None or found.counted_from_s is None:
        return None
    return found.counted_from_s + found.time_to_recover_s


def _fix(run: Run, group: Sequence[FiredEvent], trigger_s: int, until_s: int, recovered_s: int | None) -> Fix:
    began_s = int(group[0].began_s)
    before = run.between(max(trigger_s, began_s - LOOKED_AT_S), began_s)
    after = run.between(max(began_s + 1, until_s - LOOKED_AT_S), until_s)
    served_before, served_after = series.availability(before), series.availability(after)
    recovered = recovered_s is not None and began_s <= recovered_s < until_s
    return Fix(
        what=tuple(spoken_words(event.name, event.details) for event in group),
        began_s=round(group[0].began_s - trigger_s, 1),
        until_s=until_s - trigger_s,
        availability_before=served_before,
        availability_after=served_after,
        attempts_before=series.mean(series.column(before, "attempts")),
        attempts_after=series.mean(series.column(after, "attempts")),
        effect=_effect(served_before, served_after),
        recovered=recovered,
    )


def _effect(before: float | None, after: float | None) -> Effect:
    if before is None or after is None:
        return "unknown"
    if before >= series.SERVED:
        return "unaffected" if after >= series.SERVED else "worse"
    if after >= series.SERVED:
        return "recovered"
    if after - before >= MATTERS:
        return "better"
    return "worse" if before - after >= MATTERS else "no change"


_WORDS: dict[Effect, str] = {
    "recovered": f"≥ {units.percent(series.SERVED)} of the clients were served again after it",
    "better": "availability rose after it, but the service did not recover",
    "no change": "no measurable effect on the clients",
    "worse": "availability fell after it",
    "unaffected": "the service was already healthy",
    "unknown": "not recorded for long enough to tell",
}


def _followed(fix: Fix) -> str:
    """`recovered` looks at a few seconds alone; a recovery lasts, and needs more clients to be served."""
    if fix.effect == "recovered" and fix.recovered:
        return "the service recovered after it"
    return _WORDS[fix.effect]


def _sentence(fix: Fix, summary: Summary) -> str:
    served = (
        f"availability {units.percent(fix.availability_before)} before, "
        f"{units.percent(fix.availability_after)} by {units.seconds(fix.until_s)}"
    )
    attempts = (
        f"attempts {units.per_second(fix.attempts_before)}, then {units.per_second(fix.attempts_after)}"
    )
    text = (
        f"{units.capitalised(fix.name)}, at {units.seconds(round(fix.began_s))}: {_followed(fix)} "
        f"({served}; {attempts})."
    )
    return f"{text} {saturated}" if (saturated := _new_pods(fix, summary)) else text


def _new_pods(fix: Fix, summary: Summary) -> str:
    """What became of the pods that joined while it was the latest."""
    new = [
        pod
        for pod in summary.pods
        if pod.joined_after_s is not None and fix.began_s <= pod.joined_after_s < fix.until_s
    ]
    times = sorted(pod.saturated_after_s for pod in new if pod.saturated_after_s is not None)
    if not times:
        return ""
    after = units.span(units.seconds(times[0]), units.seconds(times[-1])) or units.seconds(times[0])
    pods = f"{len(new)} pod{'' if len(new) == 1 else 's'}"
    return f"It added {pods}, {len(times)} of them saturated {after} after joining."

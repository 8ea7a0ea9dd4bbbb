"""The events that fired in a run, and the state of the service before and after each.

An effect is measured over five whole seconds, before an event and some time after its end. Other events may
fall into the same seconds: it is what followed an event, and need not be what the event did.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any

from msgspec import Struct

from reports.rundir import latency, series
from reports.rundir.latency import Latency
from reports.rundir.reader import Run

EFFECT_S = 5
SETTLE_S = 5
"""Seconds from an event's end until its effect is measured."""
WATCHED_S = 10
"""How long before a mitigation the service is measured."""

_OF_EVERY_EVENT = ("t_s", "event", "kind", "phase", "late_s")


class FiredEvent(Struct, frozen=True):
    """One event, once; times are seconds of steady state."""

    name: str
    kind: str
    """`fault`, `mitigation` or `condition`."""
    began_s: float
    ended_s: float | None
    """None where the run ended first."""
    details: dict[str, Any]


class Effect(Struct, frozen=True, kw_only=True):
    """Five seconds of a run. None where nothing was recorded."""

    effective_p99: Latency | None
    availability: float | None
    pod_cpu: float | None
    pod_loop: float | None
    attempts_per_s: float | None


class Action(Struct, frozen=True, kw_only=True):
    """One event that fired, with its effect."""

    t_s: float
    """From the trigger; in a run without one, from the start of the steady state."""
    name: str
    kind: str
    details: dict[str, Any]
    lasted_s: float | None
    before: Effect | None
    """The five seconds before it; None where they were not recorded."""
    after: Effect | None
    """The five seconds that begin five seconds after its end; None where the run, or its unaided part, was
    over before."""


class LastMitigation(Struct, frozen=True, kw_only=True):
    """The last mitigation that began between the trigger and a recovery."""

    name: str
    after_s: int
    """From its end to the start of the recovery; 0 where it was still under way."""
    served_before: float | None
    """Availability in the seconds before it, of which none lies before the trigger; None without any."""
    watched_s: int
    """How many seconds these were."""


def fired_events(events: Iterable[Mapping[str, Any]]) -> list[FiredEvent]:
    """The events in the lines of events.jsonl, in the order in which they began.

    An end belongs to the first open event of that name whose details it repeats: events may overlap.
    """
    fired: list[FiredEvent] = []
    for line in events:
        details = {key: value for key, value in line.items() if key not in _OF_EVERY_EVENT}
        if line.get("phase") == "begin":
            fired.append(FiredEvent(line["event"], line["kind"], line["t_s"], None, details))
        elif line.get("phase") == "end":
            index = next((index for index, event in enumerate(fired) if _ends(event, line)), None)
            if index is not None:
                begun = fired[index]
                fired[index] = FiredEvent(begun.name, begun.kind, begun.began_s, line["t_s"], details)
    return fired


def latest_strike(run: Run) -> tuple[str, float]:
    """(name, seconds) of the strike of the script, or the rescue, that began the longest after its time.

    Older runs do not tell, and what an operator chose has no scheduled time.
    """
    late = [(float(line["late_s"]), str(line["event"])) for line in run.events if "late_s" in line]
    late_s, name = max(late, default=(0.0, ""))
    return name, late_s


def workers_killed_s(run: Run) -> tuple[int, ...]:
    """Seconds in which a worker of nginx was killed although no event of the run did that."""
    log = run.info.proxy_log
    # nginx writes down whole seconds, and what it finds out a moment later.
    own = {
        second
        for event in fired_events(run.events)
        if event.details.get("dropped_by") == "nginx"
        for second in range(int(event.began_s) - 1, int(event.ended_s or event.began_s) + 2)
    }
    return tuple(t_s for t_s in (log.workers_killed_s if log else ()) if t_s not in own)


def _ends(event: FiredEvent, line: Mapping[str, Any]) -> bool:
    same = all(key in line and line[key] == value for key, value in event.details.items())
    return event.ended_s is None and event.name == line["event"] and same


def trigger_name(run: Run) -> str:
    """The first fault that fired, or the scheduled one where none was recorded; empty without one."""
    fired = (event.name for event in fired_events(run.events) if event.kind == "fault")
    planned = run.info.scenario.get("event", ())
    enabled = [event for event in planned if event.get("enabled", True)]
    due = (str(event["do"]) for event in enabled if int(event["at_s"]) == run.info.trigger_s)
    return next(fired, next(due, ""))


def first_fault_end_s(run: Run) -> float:
    """When the first fault that fired had ended; infinite where the run ended first, or none is recorded."""
    ends = (event.ended_s for event in fired_events(run.events) if event.kind == "fault")
    ended_s = next(ends, None)
    return inf if ended_s is None else ended_s


def early_reloads_hint(run: Run) -> str:
    """The key that lets reloads be the trigger, where some came before it; empty without them."""
    for place, event in enumerate(run.info.scenario.get("event", ())):
        early = run.info.trigger_s is None or event.get("at_s", 0) < run.info.trigger_s
        if early and event.get("do") == "nginx_reload" and event.get("enabled", True):
            return f"; if reloads cut them, event[{place}] needs is_fault = true"
    return ""


def actions(run: Run, until_s: int) -> tuple[Action, ...]:
    """Every event of a run that began before `until_s`, which is where its unaided part ends."""
    return tuple(
        _action(run, event, until_s) for event in fired_events(run.events) if event.began_s < until_s
    )


def _action(run: Run, event: FiredEvent, until_s: int) -> Action:
    after = None
    if event.ended_s is not None:
        from_s = round(event.ended_s) + SETTLE_S
        after = _effect(run, from_s, until_s)
    return Action(
        t_s=round(event.began_s - (run.info.trigger_s or 0), 2),
        name=event.name,
        kind=event.kind,
        details=event.details,
        lasted_s=None if event.ended_s is None else round(event.ended_s - event.began_s, 2),
        before=_effect(run, int(event.began_s) - EFFECT_S, until_s),
        after=after,
    )


def _effect(run: Run, from_s: int, until_s: int) -> Effect | None:
    to_s = from_s + EFFECT_S
    rows = run.between(from_s, to_s)
    if len(rows) < EFFECT_S or to_s > until_s:
        return None
    return Effect(
        effective_p99=latency.effective(run, from_s, to_s, 99),
        availability=series.availability(rows),
        pod_cpu=series.mean(series.column(rows, "pod_cpu")),
        pod_loop=series.mean(series.column(rows, "pod_loop")),
        attempts_per_s=series.mean(series.column(rows, "attempts")),
    )


def last_mitigation(run: Run, trigger_s: int, recovered_s: int) -> LastMitigation | None:
    """The last one that began in [trigger_s, recovered_s]; None without one. Seconds of steady state."""
    mitigations: Sequence[FiredEvent] = [
        event
        for event in fired_events(run.events)
        if event.kind == "mitigation" and trigger_s <= event.began_s <= recovered_s
    ]
    if not mitigations:
        return None
    last = mitigations[-1]
    began_s = int(last.began_s)
    from_s = max(trigger_s, began_s - WATCHED_S)
    ended_s = recovered_s if last.ended_s is None else round(last.ended_s)
    return LastMitigation(
        name=last.name,
        after_s=max(0, recovered_s - ended_s),
        served_before=series.availability(run.between(from_s, began_s)),
        watched_s=began_s - from_s,
    )

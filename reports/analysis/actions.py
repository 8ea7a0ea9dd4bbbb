"""What was done in a run, and what could be seen of it: every strike of every event.

An effect is looked at over five whole seconds, before a strike and some time after its end. Other strikes may
fall into the same seconds: it is what was seen after a strike, and need not be what the strike did.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from reports.rundir import latency, series
from reports.rundir.latency import Latency
from reports.rundir.reader import Run

EFFECT_S = 5
SETTLE_S = 5
"""Seconds from a strike's end until its effect is looked at."""
WATCHED_S = 10
"""How long before a mitigation it is asked whether the service was down."""

_OF_EVERY_EVENT = ("t_s", "event", "kind", "phase")


class Strike(Struct, frozen=True):
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
    """One strike, with what was seen before and after it."""

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


def strikes(events: Iterable[Mapping[str, Any]]) -> list[Strike]:
    """The strikes in the lines of events.jsonl, in the order in which they began.

    An end belongs to the first open strike of that name whose details it repeats: strikes may overlap.
    """
    found: list[Strike] = []
    for line in events:
        details = {key: value for key, value in line.items() if key not in _OF_EVERY_EVENT}
        if line.get("phase") == "begin":
            found.append(Strike(line["event"], line["kind"], line["t_s"], None, details))
        elif line.get("phase") == "end":
            place = next((place for place, strike in enumerate(found) if _ends(strike, line)), None)
            if place is not None:
                begun = found[place]
                found[place] = Strike(begun.name, begun.kind, begun.began_s, line["t_s"], details)
    return found


def _ends(strike: Strike, line: Mapping[str, Any]) -> bool:
    same = all(key in line and line[key] == value for key, value in strike.details.items())
    return strike.ended_s is None and strike.name == line["event"] and same


def trigger_name(run: Run) -> str:
    """The first fault that struck, or was to strike where no strike was recorded; empty without one."""
    struck = (strike.name for strike in strikes(run.events) if strike.kind == "fault")
    planned = run.info.scenario.get("event", ())
    due = (str(event["do"]) for event in planned if int(event["at_s"]) == run.info.trigger_s)
    return next(struck, next(due, ""))


def actions(run: Run, until_s: int) -> tuple[Action, ...]:
    """Every strike of a run that began before `until_s`, which is where its unaided part ends."""
    return tuple(_action(run, strike, until_s) for strike in strikes(run.events) if strike.began_s < until_s)


def _action(run: Run, strike: Strike, until_s: int) -> Action:
    after = None
    if strike.ended_s is not None:
        from_s = round(strike.ended_s) + SETTLE_S
        after = _effect(run, from_s, until_s)
    return Action(
        t_s=round(strike.began_s - (run.info.trigger_s or 0), 2),
        name=strike.name,
        kind=strike.kind,
        details=strike.details,
        lasted_s=None if strike.ended_s is None else round(strike.ended_s - strike.began_s, 2),
        before=_effect(run, int(strike.began_s) - EFFECT_S, until_s),
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
    found: Sequence[Strike] = [
        strike
        for strike in strikes(run.events)
        if strike.kind == "mitigation" and trigger_s <= strike.began_s <= recovered_s
    ]
    if not found:
        return None
    last = found[-1]
    began_s = int(last.began_s)
    from_s = max(trigger_s, began_s - WATCHED_S)
    ended_s = recovered_s if last.ended_s is None else round(last.ended_s)
    return LastMitigation(
        name=last.name,
        after_s=max(0, recovered_s - ended_s),
        served_before=series.availability(run.between(from_s, began_s)),
        watched_s=began_s - from_s,
    )

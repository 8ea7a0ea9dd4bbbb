"""The page of the built-in scenarios."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from reports.text.slo import rule_text
from scenarios.events.event import Event
from scenarios.reference.docstrings import described
from scenarios.reference.parameters import parameters, written
from scenarios.runner.plan import plans
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import catalog, load
from scenarios.scenario.model import Scenario
from scenarios.scenario.stability import stability
from tools.pages.rendering import rendered

START_S = 8
"""What a run takes before its steady state, roughly."""


class Moment(Struct, frozen=True):
    """One line of a timeline."""

    at: str
    what: str


class Numbers(Struct, frozen=True):
    """The stability numbers of arms that have the same ones."""

    arms: list[str]
    utilisation: str
    s1: str
    s1_settled_from: str
    """The attempt, counted from 1, from which S1 stays at 1 or below."""
    s2: str


class Entry(Struct, frozen=True):
    """One scenario on the page."""

    name: str
    summary: str
    arms: list[str]
    compares: str
    """A sentence about what differs between the arms; empty where nothing does."""
    timeline: list[Moment]
    objectives: list[str]
    """The hypothesis and the objectives."""
    numbers: list[Numbers]
    runs: int
    controls: int
    minutes: str


def entries() -> list[Entry]:
    """All scenarios of the catalogue, by name."""
    return [_entry(name, load(name)) for name in catalog()]


def page() -> str:
    """The page in Markdown."""
    return rendered("scenarios.md.j2", scenarios=entries(), start_s=START_S)


def timeline(every: dict[str, Scenario]) -> list[Moment]:
    """What happens in the arms of a comparison, in order of time."""
    events = [[arm.event[place] for arm in every.values()] for place in range(_most_events(every))]
    moments = [_moment(kinds, [*every]) for kinds in events]
    order = sorted(range(len(events)), key=lambda place: events[place][0].at_s)
    scenario = next(iter(every.values()))
    phases = scenario.phases
    result = [moments[place] for place in order]
    if scenario.trigger_s is not None:
        trigger = scenario.trigger_s
        during = f"“during” ends, {phases.during_s} s after the trigger"
        result.append(Moment(_at(trigger + phases.during_s), during))
        if phases.rescue_at_s:
            rescue = (
                "where fewer than 90 % of the clients are served, all clients get the rescue policy "
                f"({_named(phases.rescue_policy)}), and the run ends {phases.rescue_s} s later"
            )
            result.append(Moment(_at(phases.rescue_at_s), rescue))
    early = f", or earlier after {phases.recovery_window_s} consecutive seconds of recovered service"
    end = f"the end{early if scenario.trigger_s is not None else ''}"
    result.append(Moment(_at(phases.duration_s), end))
    return result


def compares(scenario: Scenario) -> str:
    """A sentence about the keys that a matrix crosses and their values, or about the named arms."""
    if scenario.arms:
        return f"Arms: {', '.join(f'“{name}”' for name in scenario.arms)}."
    crossed = [
        f"`{key}` ({', '.join(f'`{written(value)}`' for value in values)})"
        for key, values in scenario.matrix.items()
    ]
    return f"Varies {' and '.join(crossed)}." if crossed else ""


def objectives(scenario: Scenario) -> list[str]:
    """The hypothesis and the objectives, each with its bound."""
    hypothesis = scenario.hypothesis
    found = (
        [f"the hypothesis “{hypothesis.statement.rstrip('.')}”: {rule_text(hypothesis)}"]
        if hypothesis
        else []
    )
    return [*found, *map(rule_text, scenario.slo)]


def _entry(name: str, scenario: Scenario) -> Entry:
    every = arms(scenario)
    todo = plans(scenario, repeats=1, directory=Path("runs"))
    seconds = sum(START_S + plan.scenario.phases.duration_s for plan in todo)
    return Entry(
        name=name,
        summary=" ".join(scenario.summary.split()),
        arms=[*every],
        compares=compares(scenario),
        timeline=timeline(every),
        objectives=objectives(scenario),
        numbers=_numbers(every),
        runs=len(every),
        controls=sum(plan.control for plan in todo),
        minutes=f"{math.ceil(seconds / 60)} min",
    )


def _most_events(every: dict[str, Scenario]) -> int:
    return len(next(iter(every.values())).event)  # arms differ in the events' keys, not in their number


def _moment(event_of_arms: Sequence[Event], names: list[str]) -> Moment:
    struck = [(name, event) for name, event in zip(names, event_of_arms, strict=True) if event.enabled]
    kinds = [event for _, event in struck] or event_of_arms
    event = kinds[0]
    sentence = described(type(event)).sentence
    what = f"`{event.name}`{_settings(kinds)}: {sentence[0].lower()}{sentence[1:].rstrip('.')}"
    if event.times > 1:
        every = event.every_s
        gap = " to ".join(f"{each:g}" for each in (every if isinstance(every, tuple) else [every]) if each)
        what += f"; {event.times} times, {gap} s apart"
    if len(struck) < len(names):
        what += f" (only in: {', '.join(name for name, _ in struck) or 'no arm'})"
    return Moment(_at(event.at_s), what)


def _settings(kinds: Sequence[Event]) -> str:
    """Parameters that differ from the default in some arm."""
    parts = []
    for parameter in parameters(type(kinds[0]), without=Event.__struct_fields__):
        values = [getattr(event, parameter.name) for event in kinds]
        different = list(dict.fromkeys(map(written, values)))
        if different != [written(parameter.default)]:
            parts.append(f"{parameter.name} = {' or '.join(different)}")
    return f" with `{', '.join(parts)}`" if parts else ""


def _numbers(every: dict[str, Scenario]) -> list[Numbers]:
    found: dict[tuple[str, ...], list[str]] = {}
    for name, arm in every.items():
        of_arm = stability(arm)
        calm = of_arm.calm_from_attempt  # counted from 0
        row = (
            f"{of_arm.utilisation:.2f}",
            figure(of_arm.s1[0]) if of_arm.s1 else "–",
            "never" if calm is None else str(calm + 1),
            figure(of_arm.s2) if arm.fleet.stale_after_s else "no watchdog",
        )
        found.setdefault(row, []).append(name)
    return [Numbers(names, *row) for row, names in found.items()]


def _named(spec: Any) -> str:
    return f"`{written(spec)}`" if isinstance(spec, dict) else f"`{spec}`"


def figure(value: float) -> str:
    """A stability number, as a table shows it."""
    return "∞" if math.isinf(value) else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _at(seconds: float) -> str:
    return f"{seconds:g} s"

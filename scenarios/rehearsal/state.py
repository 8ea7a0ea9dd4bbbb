"""The state of a rehearsal's dashboard: seconds, events, checks, SLOs, and scheduled events."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from reports.rundir.schema import PreCheck, Tag
from reports.rundir.series import SERVED
from reports.text.slo import rule_text, write, write_against
from reports.text.units import percent
from scenarios.events.event import Event
from scenarios.rehearsal.decisions import Option
from scenarios.rehearsal.live_slo import State, measured, recovery_state, state
from scenarios.rehearsal.live_verdict import Forming, forming
from scenarios.rehearsal.prechecks import precheck_of
from scenarios.runner.operator import Row
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import shown_fields
from scenarios.scenario.slo import Hypothesis, Objective
from scenarios.scenario.timeline import strikes

Words = Callable[[str, Mapping[str, Any]], str]
"""An event in a few words, from its name and details."""

_COMMON = ("do", "kind", "phase", "late_s", *Event.__struct_fields__)


class Happening(Struct, frozen=True):
    """An entry of the timeline."""

    t_s: float
    what: str
    kind: str
    """`fault`, `mitigation`, `condition`, `decision`, `rescue`, `end`, or empty."""
    phase: str = ""
    """`begin` or `end` of an event that takes time."""


class SloState(Struct, frozen=True):
    """An objective, or the hypothesis, and its state so far."""

    text: str
    state: State
    found: str


class DashboardState:
    """Collects what the screen shows. words: the text of an event."""

    def __init__(self, scenario: Scenario, words: Words) -> None:
        self.scenario = scenario
        self.rows: list[Row] = []
        self.happened: list[Happening] = []
        self.prechecks: tuple[PreCheck, ...] = ()
        self.options: tuple[Option, ...] = ()
        """The options that the operator is asked to choose from; empty while there is no question."""
        self.trigger_end_s: int | None = None
        self.rescued_at_s: int | None = None
        self._words = words

    @property
    def now_s(self) -> int:
        """The current second."""
        return int(self.rows[-1]["t_s"]) + 2 if self.rows else 0

    def add_event(self, t_s: float, name: str, details: Mapping[str, Any]) -> Happening:
        """Adds an event, with details as in events.jsonl."""
        told_of = {key: value for key, value in details.items() if key not in _COMMON}
        phase = str(details.get("phase", ""))
        if name == "rescue":
            self.rescued_at_s = int(t_s)
        kind = "rescue" if name == "rescue" else str(details.get("kind", ""))
        happening = Happening(t_s, self._words(name, told_of), kind, phase)
        self.happened.append(happening)
        return happening

    def add_decision(self, t_s: float, chosen: str) -> Happening:
        """Adds a choice of the operator."""
        happening = Happening(t_s, chosen, "decision")
        self.happened.append(happening)
        return happening

    def coming(self) -> list[Happening]:
        """Scheduled events, in order of time."""
        # In a rescue no event begins.
        due = strikes(self.scenario) if self.rescued_at_s is None else []
        found = [self._planned(strike.at_s, strike.event) for strike in due]
        phases = self.scenario.phases
        if phases.rescue_at_s:
            found.append(
                Happening(phases.rescue_at_s, f"rescue, if less than {percent(SERVED)} served", "rescue")
            )
        found.append(Happening(phases.duration_s, "end of the run, at the latest", "end"))
        return [each for each in found if each.t_s >= self.now_s]

    def forming(self) -> Forming:
        """The live verdict."""
        if self.rescued_at_s is not None:
            share = self.shares_served()[-1] or 0.0
            sentence = f"not recovered; {percent(share)} served since the rescue policy was pushed"
            return Forming(word="rescue", sentence=sentence)
        trigger = self.scenario.trigger_s
        return forming(
            self.rows,
            trigger_s=None if trigger is None else int(trigger),
            trigger_end_s=self.trigger_end_s,
            window_s=self.scenario.phases.recovery_window_s,
        )

    def slos(self) -> list[SloState]:
        """The hypothesis and the objectives, each with its state so far."""
        hypothesis = self.scenario.hypothesis
        every: list[Objective] = [*([hypothesis] if hypothesis else []), *self.scenario.slo]
        return [self._slo(objective) for objective in every]

    def series(self, column: str) -> list[float | None]:
        """One column, for every second."""
        return [row.get(column) for row in self.rows]

    def shares_served(self) -> list[float | None]:
        """Share of the clients that are served, for every second."""
        return [
            row["useful"] / row["clients"] if row.get("clients") and "useful" in row else None
            for row in self.rows
        ]

    @property
    def _unaided_until_s(self) -> int:
        """Start of the rescue, or end of the last second: seconds of a rescue do not count."""
        return self.now_s - 1 if self.rescued_at_s is None else self.rescued_at_s

    def _planned(self, at_s: float, event: Event) -> Happening:
        said = shown_fields(event)
        details = {key: value for key, value in said.items() if key not in _COMMON and value is not None}
        return Happening(at_s, self._words(event.name, details), event.kind)

    def _slo(self, objective: Objective) -> SloState:
        name = "hypothesis: " if isinstance(objective, Hypothesis) else ""
        metric = objective.metric
        text = name + rule_text(objective)
        if metric == "time_to_recover_s":
            after, waited = self._recovery()
            found = write_against(objective, after) if after is not None else ""
            if waited is not None:
                found = f"{write(metric, waited)} so far"
            return SloState(text, recovery_state(objective, after, waited), found)
        check = self._checked(objective)
        if check is not None:
            return SloState(text, "met" if check.passed else "violated", check.found)
        rows = self._rows_of(objective.phase)
        value = measured(metric, rows, _only_at_the_end)
        found = "" if value is None else write_against(objective, value)
        return SloState(text, state(objective, value), found)

    def _checked(self, objective: Objective) -> PreCheck | None:
        """The check of the same bound before the first fault; unlike this state, it includes latencies."""
        name, wanted = precheck_of(objective)
        return next((check for check in self.prechecks if (check.name, check.wanted) == (name, wanted)), None)

    def _recovery(self) -> tuple[float | None, float | None]:
        """(time to recover, time waited for it), in seconds from the trigger's end; None while undecided."""
        if self.trigger_end_s is None:
            return None, None
        since = self.forming().well_since_s
        if since is None:
            return None, self._unaided_until_s - self.trigger_end_s
        held = self.now_s - 1 - since >= self.scenario.phases.recovery_window_s
        after = since - self.trigger_end_s
        # A stretch that is not long enough yet may still turn out to be the recovery.
        return (after, None) if held else (None, after)

    def _rows_of(self, phase: str) -> Sequence[Row]:
        trigger = self.scenario.trigger_s
        if trigger is None:
            return self.rows
        begin = int(trigger)
        calm = begin + self.scenario.phases.during_s
        from_s, to_s = {
            "before": (0, begin),
            "during": (begin, calm),
            "after": (calm, self._unaided_until_s),
            "storm": (begin, self._unaided_until_s),
        }[phase]
        return [row for row in self.rows if from_s <= row["t_s"] < to_s]


def _only_at_the_end(_tag: Tag, _percent: float) -> float | None:
    """Adding up histograms every second would cost the core that the generator works on."""
    return None

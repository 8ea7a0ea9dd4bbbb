"""The operator of a rehearsal: runs the pre-checks, follows the run, runs the chosen mitigations."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from reports.rundir.schema import Decision, PreCheck, Rehearsal
from scenarios.events.event import Event
from scenarios.rehearsal.decisions import (
    AGAIN_S,
    MOST_EXTRA_S,
    Option,
    asked_until_s,
    at,
    decision_points,
    extra_s,
    options,
    patience_s,
)
from scenarios.rehearsal.state import DashboardState
from scenarios.rehearsal.view import RehearsalView
from scenarios.runner.operator import Row, RunControl
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import shown_fields

_TOO_LATE_S = 1.0
"""No question is asked in the last seconds before the rescue, or the end."""
_WELL = ("recovered", "unaffected")
_LATE_S = 12
"""Seconds by which a slow worker may be late with its part of a second and still reach the dashboard."""


class Choices(Protocol):
    """The source of choices."""

    async def choose(self, offered: Sequence[Option]) -> Option | None:
        """One of the offered options; None if there will be no more choices."""
        ...


class ByKey:
    """Choices by single keys; other keys, and keys pressed before the question, are ignored."""

    def __init__(self, keys: "asyncio.Queue[str]") -> None:
        self._keys = keys

    async def choose(self, offered: Sequence[Option]) -> Option:
        """Waits for the key of an offered option."""
        while not self._keys.empty():
            self._keys.get_nowait()
        by_key = {option.key: option for option in offered}
        while (option := by_key.get(await self._keys.get())) is None:
            pass
        return option


class ByList:
    """Choices given in advance, by name, in order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)

    async def choose(self, offered: Sequence[Option]) -> Option | None:
        """The next choice."""
        by_name = {option.name: option for option in offered}
        return by_name[self._names.pop(0)] if self._names else None


class Rehearsing:
    """Operates one rehearsal.

    script: with its mitigations, which become decision points if there are choices. check(run_control): the
    checks before the first fault. force: continue if one fails.
    """

    def __init__(
        self,
        script: Scenario,
        dashboard: DashboardState,
        view: RehearsalView,
        *,
        check: Callable[[RunControl], tuple[PreCheck, ...]],
        choices: Choices | None = None,
        force: bool = False,
    ) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.begun = False
        """Whether the steady state has been reached."""
        self.played = dashboard.scenario
        """The scenario as it was played; its phases move when the run is extended."""
        self.chosen: list[Event] = []
        self._script = script
        self._dashboard = dashboard
        self._view = view
        self._check = check
        self._choices = choices
        self._force = force
        self._decisions: list[Decision] = []
        self._extra_s = 0
        self._one_at_a_time = asyncio.Lock()

    @property
    def rehearsal(self) -> Rehearsal:
        """The record for run.json."""
        return Rehearsal(
            interactive=self._choices is not None,
            prechecks=self._dashboard.prechecks,
            decisions=tuple(self._decisions),
            aborted=self.ended.result() if self.ended.done() else "",
        )

    def end(self, reason: str) -> None:
        """Ends the run, unless it is ending already."""
        if not self.ended.done():
            self.ended.set_result(reason)

    def on_second(self, t_s: int, row: Row, run_control: RunControl) -> None:
        """Updates and shows the dashboard, with rows of earlier seconds that came late."""
        came_late = {late["t_s"]: late for late in run_control.rows(max(0, t_s - _LATE_S), t_s)}
        rows = self._dashboard.rows
        rows[-_LATE_S:] = [came_late.get(known["t_s"], known) for known in rows[-_LATE_S:]]
        rows.append(row)
        self._dashboard.trigger_end_s = run_control.trigger_end_s
        self._view.second(t_s)

    def on_event(self, t_s: float, name: str, details: Mapping[str, Any]) -> None:
        """Shows the event."""
        self.begun = self.begun or name == "steady"
        self._view.happened(self._dashboard.add_event(t_s, name, details))

    def clears(self, run_control: RunControl) -> bool:
        """Runs the checks; the first failed one is the reason to end the run."""
        self._dashboard.prechecks = self._check(run_control)
        self._view.checked(self._dashboard.prechecks)
        failed = [check for check in self._dashboard.prechecks if not check.passed]
        if not failed or self._force:
            return True
        first = failed[0]
        self.end(f"pre-check failed: {first.name}: expected {first.wanted}, got {first.found}")
        return False

    async def operate(self, run_control: RunControl) -> None:
        """Asks at every decision point, and runs the chosen mitigation while the storm continues."""
        if self._choices is None:
            return
        points = decision_points(self._script)
        next_s = points[0]
        async with asyncio.TaskGroup() as strikes:
            while next_s < asked_until_s(run_control.scenario) - _TOO_LATE_S:
                await run_control.until(next_s)
                if self._dashboard.forming().word not in _WELL:
                    asked_s = run_control.now_s()
                    offered = options(self._script, run_control.pods)
                    option = await self._ask(self._choices, offered, run_control)
                    if option is None:
                        return
                    event = self._decide(option, asked_s, run_control)
                    if event is not None:
                        strikes.create_task(self._strike(event, run_control))
                now_s = run_control.now_s()
                next_s = min([point for point in points if point > now_s] + [now_s + AGAIN_S])

    async def _ask(
        self, choices: Choices, offered: tuple[Option, ...], run_control: RunControl
    ) -> Option | None:
        """The choice; None if there was none in time."""
        asked_s = run_control.now_s()
        self._view.asked(offered)
        try:
            async with asyncio.timeout(asked_until_s(run_control.scenario) - _TOO_LATE_S - asked_s):
                return await choices.choose(offered)
        except TimeoutError:
            self._decisions.append(
                Decision(t_s=round(run_control.now_s(), 1), asked_s=round(asked_s, 1), chosen="no answer")
            )
            return None
        finally:
            self._view.asked(())

    def _decide(self, option: Option, asked_s: float, run_control: RunControl) -> Event | None:
        """Records the choice, extends the run so that it can work, and returns its event."""
        now_s = round(run_control.now_s(), 1)
        event = at(option.event, now_s) if option.event else None
        told = shown_fields(event) if event else None
        self._decisions.append(
            Decision(t_s=now_s, asked_s=round(asked_s, 1), chosen=option.words, event=told)
        )
        extra = 0
        if event is not None:
            self.chosen.append(event)
            extra = extra_s(run_control.scenario, now_s, patience_s(self._script))
            extra = min(extra, MOST_EXTRA_S - self._extra_s)
            self._extra_s += extra
        run_control.extend(extra)
        self.played = self._dashboard.scenario = run_control.scenario
        self._view.happened(self._dashboard.add_decision(now_s, option.words))
        return event

    async def _strike(self, event: Event, run_control: RunControl) -> None:
        if event.any_target:
            await run_control.strike(event)
            return
        # Pods and nginx take one change at a time.
        async with self._one_at_a_time:
            await run_control.strike(event)

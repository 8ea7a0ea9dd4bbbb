"""The operator of a rehearsal: checks before anything breaks, follows the run, carries out what is chosen."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

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
from scenarios.rehearsal.state import Board
from scenarios.rehearsal.view import RehearsalView
from scenarios.runner.operator import Desk, Row
from scenarios.scenario.model import Scenario

_TOO_LATE_S = 1.0
"""Nobody is asked any more so shortly before the rescue, or the end."""
_BACK = ("recovered", "unharmed")
_LATE_S = 12
"""By so much may a slow worker be late with its part of a second, and still be on the board."""


class Choices(Protocol):
    """Where choices come from."""

    async def choose(self, offered: Sequence[Option]) -> Option | None:
        """One of what is offered; None where there is nobody who will choose any more."""
        ...


class ByKey:
    """Choices by single keys; others are ignored, as is what was pressed before the question."""

    def __init__(self, keys: "asyncio.Queue[str]") -> None:
        self._keys = keys

    async def choose(self, offered: Sequence[Option]) -> Option:
        """Waits until one of their keys is pressed."""
        while not self._keys.empty():
            self._keys.get_nowait()
        by_key = {option.key: option for option in offered}
        while (option := by_key.get(await self._keys.get())) is None:
            pass
        return option


class ByList:
    """Choices that were made beforehand, by name, in turn."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)

    async def choose(self, offered: Sequence[Option]) -> Option | None:
        """The next one."""
        by_name = {option.name: option for option in offered}
        return by_name[self._names.pop(0)] if self._names else None


class Rehearsing:
    """Operates one rehearsal.

    script: with its mitigations, which become decision points where there are choices to be had. check(desk):
    what has to hold before the first fault. force: go on where it does not.
    """

    def __init__(
        self,
        script: Scenario,
        board: Board,
        view: RehearsalView,
        *,
        check: Callable[[Desk], tuple[PreCheck, ...]],
        choices: Choices | None = None,
        force: bool = False,
    ) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.begun = False
        """Whether the steady state has been reached."""
        self.played = board.scenario
        """The scenario as it was played; its phases move when the run is extended."""
        self.chosen: list[Event] = []
        self._script = script
        self._board = board
        self._view = view
        self._check = check
        self._choices = choices
        self._force = force
        self._decisions: list[Decision] = []
        self._extra_s = 0
        self._one_at_a_time = asyncio.Lock()

    @property
    def rehearsal(self) -> Rehearsal:
        """What run.json is to say."""
        return Rehearsal(
            interactive=self._choices is not None,
            prechecks=self._board.prechecks,
            decisions=tuple(self._decisions),
            aborted=self.ended.result() if self.ended.done() else "",
        )

    def end(self, reason: str) -> None:
        """Makes the run end, unless it is ending already."""
        if not self.ended.done():
            self.ended.set_result(reason)

    def on_second(self, t_s: int, row: Row, desk: Desk) -> None:
        """Keeps the board and shows it, with what has come of the seconds before."""
        came_late = {late["t_s"]: late for late in desk.rows(max(0, t_s - _LATE_S), t_s)}
        rows = self._board.rows
        rows[-_LATE_S:] = [came_late.get(known["t_s"], known) for known in rows[-_LATE_S:]]
        rows.append(row)
        self._board.trigger_end_s = desk.trigger_end_s
        self._view.second(t_s)

    def on_event(self, t_s: float, name: str, details: Mapping[str, Any]) -> None:
        """Calls it out."""
        self.begun = True
        self._view.happened(self._board.add_event(t_s, name, details))

    def clears(self, desk: Desk) -> bool:
        """Checks; the first check that failed is the reason to end."""
        self._board.prechecks = self._check(desk)
        self._view.checked(self._board.prechecks)
        failed = [check for check in self._board.prechecks if not check.passed]
        if not failed or self._force:
            return True
        first = failed[0]
        self.end(f"pre-check failed: {first.name}: found {first.found}, wanted {first.wanted}")
        return False

    async def operate(self, desk: Desk) -> None:
        """Asks at every decision point, and carries out what is chosen while the storm goes on."""
        if self._choices is None:
            return
        points = decision_points(self._script)
        next_s = points[0]
        async with asyncio.TaskGroup() as strikes:
            while next_s < asked_until_s(desk.scenario) - _TOO_LATE_S:
                await desk.until(next_s)
                if self._board.forming().word not in _BACK:
                    asked_s = desk.now_s()
                    offered = options(self._script, desk.pods)
                    option = await self._ask(self._choices, offered, desk)
                    if option is None:
                        return
                    event = self._decide(option, asked_s, desk)
                    if event is not None:
                        strikes.create_task(self._strike(event, desk))
                now_s = desk.now_s()
                next_s = min([point for point in points if point > now_s] + [now_s + AGAIN_S])

    async def _ask(self, choices: Choices, offered: tuple[Option, ...], desk: Desk) -> Option | None:
        """What was chosen; None where nobody chose in time."""
        asked_s = desk.now_s()
        self._view.asked(offered)
        try:
            async with asyncio.timeout(asked_until_s(desk.scenario) - _TOO_LATE_S - asked_s):
                return await choices.choose(offered)
        except TimeoutError:
            self._decisions.append(
                Decision(t_s=round(desk.now_s(), 1), asked_s=round(asked_s, 1), chosen="no answer")
            )
            return None
        finally:
            self._view.asked(())

    def _decide(self, option: Option, asked_s: float, desk: Desk) -> Event | None:
        """Writes the choice down, gives it time to work, and returns what is to be done."""
        now_s = round(desk.now_s(), 1)
        event = at(option.event, now_s) if option.event else None
        told = msgspec.to_builtins(event) if event else None
        self._decisions.append(
            Decision(t_s=now_s, asked_s=round(asked_s, 1), chosen=option.words, event=told)
        )
        extra = 0
        if event is not None:
            self.chosen.append(event)
            extra = extra_s(desk.scenario, now_s, patience_s(self._script))
            extra = min(extra, MOST_EXTRA_S - self._extra_s)
            self._extra_s += extra
        desk.extend(extra)
        self.played = self._board.scenario = desk.scenario
        self._view.happened(self._board.add_decision(now_s, option.words))
        return event

    async def _strike(self, event: Event, desk: Desk) -> None:
        if event.any_target:
            await desk.strike(event)
            return
        # Pods and nginx take one change at a time.
        async with self._one_at_a_time:
            await desk.strike(event)

"""Carries out a scenario's events when their time has come."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from typing import Any

from scenarios.events.event import Event
from scenarios.events.stack import Stack
from scenarios.host.process import StackError
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import secrets_of, shown_fields
from scenarios.scenario.redact_text import hide
from scenarios.scenario.timeline import strikes

_AT_ONCE_S = 0.5
"""A strike that takes no longer than this is over in the second in which it began."""
_NO_SCHEDULE: Mapping[str, float] = {}


class Timeline:
    """The strikes of one run.

    until(t_s): returns at that second of steady state. now_s(): the second that it is. note(name, **details):
    writes what happened.
    """

    def __init__(
        self,
        scenario: Scenario,
        stack: Stack,
        *,
        until: Callable[[float], Awaitable[None]],
        now_s: Callable[[], float],
        note: Callable[..., Any],
    ) -> None:
        self._scenario = scenario
        self._strikes = strikes(scenario)
        self._stack = stack
        self._until = until
        self._now_s = now_s
        self._note = note
        self.trigger_end_s: int | None = None
        """The second in which the last fault so far was over; None before the first one was."""
        self._to_come = len(self._strikes)
        self._faults_under_way = 0
        # Where a schedule is fitted to the ticks of the calm phase, and that has not ended yet.
        self._fitting = scenario.feed.due == "schedule"

    @property
    def calm(self) -> bool:
        """Whether every strike of the script has begun, and every fault is over."""
        return not self._to_come and not self._faults_under_way

    async def play(self) -> None:
        """Begins every strike at its time; they may overlap. Returns when the last one is over."""
        async with asyncio.TaskGroup() as tasks:
            for strike in self._strikes:
                await self._until(strike.at_s)
                # Before the strike waits for anything itself: who is late by now was kept from running.
                tasks.create_task(self._begin(strike.event, late_by(self._now_s(), strike.at_s)))

    async def carry_out(self, event: Event, timing: Mapping[str, float] = _NO_SCHEDULE) -> None:
        """Carries out an event now, and writes when it began and ended.

        timing: what to write of its beginning besides the time.
        """
        self._faults_under_way += event.kind == "fault"
        try:
            await self._carry_out(event, timing)
        finally:
            self._faults_under_way -= event.kind == "fault"

    async def _begin(self, event: Event, late_s: float) -> None:
        self._to_come -= 1
        await self.carry_out(event, {"late_s": late_s})

    async def _carry_out(self, event: Event, timing: Mapping[str, float]) -> None:
        if self._fitting:
            self._fitting = False
            await self._stack.generator.end_calm()
        began_s = self._now_s()
        what = {key: value for key, value in shown_fields(event).items() if key not in _COMMON}
        self._note(event.name, kind=event.kind, phase="begin", **timing, **what)
        try:
            details = await event.strike(self._stack)
        except StackError as error:
            problem = hide(str(error), secrets_of(self._scenario))
            self._note(event.name, kind=event.kind, phase="end", **what, problem=problem)
            raise
        ended_s = self._now_s()
        if event.kind == "fault":
            end_s = int(began_s) if ended_s - began_s < _AT_ONCE_S else ceil(ended_s)
            self.trigger_end_s = max(end_s, self.trigger_end_s or 0)
        self._note(event.name, kind=event.kind, phase="end", **{**what, **details})


def late_by(now_s: float, at_s: float) -> float:
    """How much later than planned something begins, as events.jsonl has it."""
    return round(max(0.0, now_s - at_s), 3)


_COMMON = ("do", *Event.__struct_fields__)

"""Who may sit at a run's desk: sees what happens, acts on the running stack, and can end the run.

A run without an operator follows its script to the end. All times are seconds of steady state.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from reports.rundir.schema import Rehearsal, Tag
from scenarios.events.event import Event
from scenarios.scenario.model import Scenario

Row = Mapping[str, Any]
"""One second as series.csv has it, as far as it is known; always with `t_s`."""


class Desk(Protocol):
    """What can be seen of a run and done to it while it goes on."""

    @property
    def scenario(self) -> Scenario:
        """What is played; its phases move when the run is extended."""
        ...

    @property
    def pods(self) -> int | None:
        """How many pods are there to stay; None where the gateway is somebody else's."""
        ...

    @property
    def trigger_end_s(self) -> int | None:
        """The second in which the last fault so far was over; None before the first one was."""
        ...

    def now_s(self) -> float:
        """The time."""
        ...

    async def until(self, t_s: float) -> None:
        """Returns at that time, or at once where it has passed."""
        ...

    def rows(self, from_s: int, to_s: int) -> list[Row]:
        """The seconds of [from_s, to_s) of which something is known."""
        ...

    def percentile_ms(self, tag: Tag, percent: float, from_s: int, to_s: int) -> float | None:
        """A percentile of what is known by now about [from_s, to_s); None where nothing is."""
        ...

    async def strike(self, event: Event) -> None:
        """Carries an event out as the script would, and returns when it is over."""
        ...

    def extend(self, by_s: int) -> None:
        """Moves the rescue and the end of the run."""
        ...


class Operator(Protocol):
    """Follows one run, and works at its desk."""

    ended: "asyncio.Future[str]"
    """Resolved with the reason when the run has to end before its time."""

    def end(self, reason: str) -> None:
        """Makes it end, unless it is ending already."""
        ...

    @property
    def rehearsal(self) -> Rehearsal:
        """What run.json is to say about it, as far as it is known."""
        ...

    def on_second(self, t_s: int, row: Row, desk: Desk) -> None:
        """A second is over."""
        ...

    def on_event(self, t_s: float, name: str, details: Mapping[str, Any]) -> None:
        """Something has happened; `details` as events.jsonl has them."""
        ...

    def clears(self, desk: Desk) -> bool:
        """Whether the first fault may strike; asked just before it. Where it says no, it
        has ended the run."""
        ...

    async def operate(self, desk: Desk) -> None:
        """Does what there is to be done, from the first fault on."""
        ...


CHECK_BEFORE_S = 0.3
"""How long before the first fault the operator is asked whether it may strike."""

"""The operator of a run, and its controls: sees each second, acts on the running stack, can end the run.

A run without an operator follows its script to the end. All times are seconds of steady state.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from reports.rundir.schema import Rehearsal, Tag
from scenarios.events.event import Event
from scenarios.scenario.model import Scenario

Row = Mapping[str, Any]
"""One second as in series.csv, as far as it is known; always with `t_s`."""


class RunControl(Protocol):
    """Read and control access to a run in progress."""

    @property
    def scenario(self) -> Scenario:
        """The scenario being run; its phases move when the run is extended."""
        ...

    @property
    def pods(self) -> int | None:
        """Number of pods that are not being removed; None for an external target."""
        ...

    @property
    def trigger_end_s(self) -> int | None:
        """The second in which the last fault so far was over; None before the first one was."""
        ...

    def now_s(self) -> float:
        """The current time."""
        ...

    async def until(self, t_s: float) -> None:
        """Returns at that time, or at once if it has passed."""
        ...

    def rows(self, from_s: int, to_s: int) -> list[Row]:
        """The known seconds of [from_s, to_s)."""
        ...

    def percentile_ms(self, tag: Tag, percent: float, from_s: int, to_s: int) -> float | None:
        """A percentile of the known values of [from_s, to_s); None without any."""
        ...

    async def strike(self, event: Event) -> None:
        """Runs an event as the script would, and returns when it has ended."""
        ...

    def extend(self, by_s: int) -> None:
        """Moves the rescue and the end of the run."""
        ...


class Operator(Protocol):
    """Follows one run, and acts through its `RunControl`."""

    ended: "asyncio.Future[str]"
    """Resolved with the reason when the run has to end early."""

    def end(self, reason: str) -> None:
        """Ends the run, unless it is ending already."""
        ...

    @property
    def rehearsal(self) -> Rehearsal:
        """The record for run.json, as far as it is known."""
        ...

    def on_second(self, t_s: int, row: Row, run_control: RunControl) -> None:
        """A second has ended."""
        ...

    def on_event(self, t_s: float, name: str, details: Mapping[str, Any]) -> None:
        """An event has happened; `details` as in events.jsonl."""
        ...

    def clears(self, run_control: RunControl) -> bool:
        """Whether the first fault may fire; asked just before it. If not, the operator has ended the run."""
        ...

    async def operate(self, run_control: RunControl) -> None:
        """Operates the run from the first fault on."""
        ...


CHECK_BEFORE_S = 0.3
"""Time before the first fault at which the operator is asked whether it may fire."""

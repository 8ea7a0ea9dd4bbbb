"""The course of a run from the start of its steady state to its end: the script, the rescue, the operator.

    before ─► trigger ─► during ─► after ─► [rescue or tail]

All times are seconds of steady state.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from reports.analysis.recovery import baseline_of, recovery
from reports.rundir.schema import Tag
from reports.rundir.series import SERVED, SERVED_WELL
from scenarios.events.event import Event
from scenarios.events.stack import Stack
from scenarios.runner.collector import Collector
from scenarios.runner.operator import CHECK_BEFORE_S, Operator, Row
from scenarios.runner.timeline import Timeline, late_by
from scenarios.scenario.model import Scenario
from scenarios.scenario.phases import may_end_early, phases_of


class Course:
    """Plays one run's script; an operator finds in it the run_control.

    until(t_s): returns at that time. now_s(): the time. note(name, **details): writes what happened.
    """

    def __init__(
        self,
        scenario: Scenario,
        stack: Stack,
        collector: Collector,
        operator: Operator | None,
        *,
        until: Callable[[float], Awaitable[None]],
        now_s: Callable[[], float],
        note: Callable[..., Any],
    ) -> None:
        self.scenario = scenario
        self.end_s = scenario.phases.duration_s
        self._stack = stack
        self._collector = collector
        self._info = collector.writer.info
        self._operator = operator
        self._until = until
        self._now_s = now_s
        self._note = note
        self._cleared = asyncio.Event()
        self._unaided = asyncio.Event()
        """Set once it is known that the run needs no rescue."""
        self._timeline = Timeline(scenario, stack, until=self._until_due, now_s=now_s, note=note)

    async def play(self) -> None:
        """Plays it to its end, to the end that the operator makes, or until a strike fails."""
        # When it has recovered is told by its phases, too.
        self.set_phases()
        ending = asyncio.create_task(self._play_to_the_end())
        tasks: set[asyncio.Future[Any]] = {asyncio.create_task(self._timeline.play()), ending}
        ends: set[asyncio.Future[Any]] = {ending}
        if self._operator:
            tasks.add(asyncio.create_task(self._operate(self._operator)))
            ends.add(self._operator.ended)
        try:
            # A strike that fails ends the run; one that never ends does not prolong it.
            waiting = tasks | ends
            while not any(end.done() for end in ends):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._info.trigger_end_s = self._timeline.trigger_end_s
        if ending.cancelled():
            self.end_s = max(1, int(self._now_s()))
        self.set_phases(end_s=self.end_s)

    def set_phases(self, end_s: int | None = None) -> None:
        """Writes how the run is cut, and what its operator has to say, as far as it is known."""
        self._info.trigger_s, self._info.phases = phases_of(
            self.scenario,
            first_s=-self._collector.zero,
            end_s=end_s,
            rescued=self._info.rescued_at_s is not None,
        )
        if self._operator:
            self._info.rehearsal = self._operator.rehearsal
        self._collector.writer.save()

    @property
    def latest_end_s(self) -> int:
        """The second in which the run ends at the latest."""
        if self._info.rescued_at_s is None:
            return self.scenario.phases.duration_s
        return self.end_s

    @property
    def may_end_early(self) -> bool:
        """Whether a recovery would still end the run before that."""
        return may_end_early(self.scenario) and self._info.rescued_at_s is None

    # -- for the operator ---------------------------------------------------------------------------

    @property
    def pods(self) -> int | None:
        """How many pods are there to stay."""
        return len(self._stack.gateway.running) if self._stack.gateway else None

    @property
    def trigger_end_s(self) -> int | None:
        """The second in which the last fault so far was over."""
        return self._timeline.trigger_end_s

    def now_s(self) -> float:
        """The time."""
        return self._now_s()

    async def until(self, t_s: float) -> None:
        """Returns at that time."""
        await self._until(t_s)

    def rows(self, from_s: int, to_s: int) -> list[Row]:
        """The seconds of [from_s, to_s) of which something is known."""
        zero = self._collector.zero
        found = ((second, self._collector.row(zero + second)) for second in range(from_s, to_s))
        return [{**row, "t_s": second} for second, row in found if row]

    def percentile_ms(self, tag: Tag, percent: float, from_s: int, to_s: int) -> float | None:
        """A percentile of what is known by now about [from_s, to_s)."""
        zero = self._collector.zero
        return self._collector.percentile_ms(tag, percent, zero + from_s, zero + to_s)

    async def strike(self, event: Event) -> None:
        """Carries an event out as the script would."""
        await self._timeline.carry_out(event)

    def extend(self, by_s: int) -> None:
        """Moves the rescue and the end of the run."""
        phases = self.scenario.phases
        moved = replace(
            phases,
            duration_s=phases.duration_s + by_s,
            rescue_at_s=phases.rescue_at_s + by_s if phases.rescue_at_s else 0,
        )
        self.scenario = replace(self.scenario, phases=moved)
        self._info.scenario = {**self._info.scenario, "phases": msgspec.to_builtins(moved)}
        self.set_phases()

    async def _operate(self, operator: Operator) -> None:
        trigger_s = self.scenario.trigger_s
        assert trigger_s is not None  # noqa: S101 - nobody has to clear what never strikes
        await self._until(trigger_s - CHECK_BEFORE_S)
        if operator.clears(self):
            self._cleared.set()
            await operator.operate(self)

    async def _until_due(self, t_s: float) -> None:
        """Returns when a strike of that time may begin: not before it is cleared, and in a rescue never."""
        trigger_s = self.scenario.trigger_s
        if self._operator and trigger_s is not None and t_s >= trigger_s:
            await self._cleared.wait()
        await self._until(t_s)
        if may_end_early(self.scenario) and t_s >= self.scenario.phases.rescue_at_s:
            await self._unaided.wait()

    # -- rescue and end -----------------------------------------------------------------------------

    async def _play_to_the_end(self) -> None:
        if may_end_early(self.scenario):
            await self._until_moving(lambda: self.scenario.phases.rescue_at_s)
            late_s = late_by(self._now_s(), self.scenario.phases.rescue_at_s)
            if self._served_lately(3) < SERVED:
                await self._rescue(late_s)
            else:
                self._unaided.set()
                self.end_s = await self._until_well()
            await self._until(self.end_s)
        else:
            await self._until_moving(lambda: self.scenario.phases.duration_s)
            self.end_s = self.scenario.phases.duration_s

    async def _until_moving(self, t_s: Callable[[], float]) -> None:
        """Returns at a time that may move while it is waited for."""
        waited_for = -1.0
        while waited_for < t_s():
            waited_for = t_s()
            await self._until(waited_for)

    async def _until_well(self) -> int:
        """Waits until a recovery is on record, or for the end; returns the second it is then."""
        second = self.scenario.phases.rescue_at_s
        while second < self.scenario.phases.duration_s:
            await self._until(second)
            if self.recovered(second):
                return second
            second += 1
        return second

    def recovered(self, at_s: int) -> bool:
        """Whether a recovery is on record in that second, and nothing is to come that could undo it.

        The rule is the one that judges the run afterwards, and what is not known yet counts as bad. It is
        asked of the newest window alone.
        """
        trigger_s, window_s = self._info.trigger_s, self.scenario.phases.recovery_window_s
        last_s = self._newest_known(before_s=at_s - 1)
        if trigger_s is None or last_s is None or not self._timeline.calm:
            return False
        from_s = last_s - window_s
        if from_s < max(trigger_s, self._timeline.trigger_end_s or 0):
            return False
        rows = [self._collector.row(self._collector.zero + t_s) for t_s in range(from_s, last_s + 1)]
        clients = rows[-1]["clients"]
        served = sum(row.get("useful", 0.0) for row in rows[:-1]) / window_s / clients
        # Whoever is served in the second after the window holds every tick that was due in it.
        heard = min(rows[-1]["useful"], rows[-1]["connected"]) / clients
        # Most storms fail here, where it costs nothing; adding up histograms takes the generator's core.
        if min(served, heard) < SERVED_WELL:
            return False
        baseline = baseline_of(self._collector.recorded((0, trigger_s)))
        window = self._collector.recorded((from_s, last_s), unheard=1 - heard)
        return recovery(window, baseline, from_s, last_s, window_s).time_to_recover_s is not None

    def _newest_known(self, *, before_s: int) -> int | None:
        """The newest second that the generator has told of; None without one since the start."""
        zero = self._collector.zero
        known = (t_s for t_s in range(before_s - 1, -1, -1) if "useful" in self._collector.row(zero + t_s))
        return next(known, None)

    async def _rescue(self, late_s: float) -> None:
        phases = self.scenario.phases
        # What nobody held by now must not be credited with the rescue.
        await self._stack.generator.finalise()
        await self._stack.generator.push_policy(phases.rescue_policy)
        # Workers may have taken seconds to close their books; the rescue has its full length all the same.
        self._info.rescued_at_s = max(phases.rescue_at_s, int(self._now_s()))
        self.end_s = self._info.rescued_at_s + phases.rescue_s
        self.set_phases()
        self._note("rescue", policy=phases.rescue_policy, late_s=late_s)

    def _served_lately(self, seconds: int) -> float:
        """Share of clients usefully connected in the last `seconds` whole seconds that are known."""
        # The generator reports a second just after it has ended; a slow worker makes it later.
        last_s = self._newest_known(before_s=int(self._now_s()) - 1)
        if last_s is None:
            return 0.0
        shares = [
            row["useful"] / row["clients"]
            for row in self.rows(max(0, last_s + 1 - seconds), last_s + 1)
            if "useful" in row
        ]
        return float(sum(shares) / len(shares))

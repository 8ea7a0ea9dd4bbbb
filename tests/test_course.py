"""The course of a run: what an operator may hold back, prolong and end, and how a run is cut then."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from test_collector import interval
from test_timeline import Clock, Fault, Fix

from reports.record import Rehearsal, RunInfo, RunWriter
from scenarios.collector import Collector
from scenarios.course import Course
from scenarios.events.event import Event
from scenarios.model import Fleet, Phases, Scenario
from scenarios.operating import CHECK_BEFORE_S, Desk, Row

ZERO = 5
"""Second since the epoch at which the steady state begins."""


class FakeGenerator:
    """Notes what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def close_books(self) -> None:
        self.told.append("close books")

    async def push_policy(self, policy: Any, reach_s: float = 0.0) -> None:
        self.told.append(f"push {policy}")


class FakeStack:
    """A stack without a gateway of our own."""

    gateway = None

    def __init__(self) -> None:
        self.generator = FakeGenerator()


class Operator:
    """Clears, or does not; then does `work`."""

    def __init__(self, *, clears: bool = True, work: Callable[["Operator", Desk], Any] | None = None) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.asked_s: float | None = None
        self._clears = clears
        self._work = work

    @property
    def rehearsal(self) -> Rehearsal:
        return Rehearsal(aborted=self.ended.result() if self.ended.done() else "")

    def end(self, reason: str) -> None:
        self.ended.set_result(reason)

    def on_second(self, t_s: int, row: Row, desk: Desk) -> None: ...

    def on_event(self, t_s: float, name: str, details: Mapping[str, Any]) -> None: ...

    def clears(self, desk: Desk) -> bool:
        self.asked_s = desk.now_s()
        if not self._clears:
            self.end("a check failed")
        return self._clears

    async def operate(self, desk: Desk) -> None:
        if self._work:
            await self._work(self, desk)


class Played:
    """What came of a course."""

    def __init__(self, writer: RunWriter) -> None:
        self.lines: list[tuple[float, str]] = []
        self.stack = FakeStack()
        self.info = writer.info
        self.operator: Operator | None = None
        self.course: Course


def played(
    folder: Path,
    *events: Event,
    operator: Callable[[], Operator] | None = None,
    served: float = 10.0,
    rescue_at_s: int = 0,
) -> Played:
    """Plays twenty seconds, or as long as it takes."""
    phases = Phases(duration_s=20, during_s=3, recovery_window_s=2, rescue_at_s=rescue_at_s, rescue_s=4)
    scenario = Scenario(event=events, fleet=Fleet(clients=10), phases=phases)  # type: ignore[arg-type]
    info = RunInfo(
        scenario={}, arm="a", seed=1, started_utc="", versions={}, machine={}, stability={}, command=[]
    )
    writer = RunWriter(folder / "run", info)
    collector = Collector(writer, 0)
    collector.zero = ZERO
    for second in range(60):
        collector.on_interval(interval(second, useful=10.0 if second < ZERO + 3 else served))
    found = Played(writer)

    async def play() -> None:
        clock = Fault.clock = Clock()
        found.operator = operator() if operator else None

        def note(name: str, **details: Any) -> None:
            found.lines.append((clock.now_s, f"{name} {details.get('phase', '')}".strip()))

        found.course = Course(
            scenario,
            found.stack,  # type: ignore[arg-type]
            collector,
            found.operator,
            until=clock.until,
            now_s=lambda: clock.now_s,
            note=note,
        )
        playing = asyncio.create_task(found.course.play())
        while not playing.done():
            await clock.run(0.1)
        playing.result()

    try:
        asyncio.run(play())
    finally:
        writer.close()
    return found


def test_without_an_operator_the_script_is_played_to_its_end(tmp_path: Path) -> None:
    found = played(tmp_path, Fault(at_s=4, takes_s=2), Fix(at_s=8))
    assert found.lines == [(4, "fault begin"), (6, "fault end"), (8, "fix begin"), (8, "fix end")]
    assert found.info.trigger_end_s == 6
    assert [(phase.name, phase.to_s) for phase in found.info.phases][-1] == ("after", 20)
    assert found.info.rehearsal is None


def test_who_is_not_served_in_time_is_rescued(tmp_path: Path) -> None:
    found = played(tmp_path, Fault(at_s=4), rescue_at_s=10, served=5.0)
    assert found.info.rescued_at_s == 10
    assert found.stack.generator.told[0] == "close books"
    assert found.lines[-1] == (10.0, "rescue")
    assert found.course.end_s == 14


def test_who_is_served_is_watched_until_all_has_been_well_for_a_window(tmp_path: Path) -> None:
    found = played(tmp_path, Fault(at_s=4), rescue_at_s=10)
    assert found.info.rescued_at_s is None
    assert found.course.end_s == 10


def test_who_is_nearly_served_is_watched_until_the_end(tmp_path: Path) -> None:
    found = played(tmp_path, Fault(at_s=4), rescue_at_s=10, served=9.5)
    assert found.info.rescued_at_s is None
    assert found.course.end_s == 20


def test_an_operator_is_asked_just_before_the_first_fault(tmp_path: Path) -> None:
    found = played(tmp_path, Fix(at_s=2), Fault(at_s=4), operator=Operator)
    assert found.operator is not None
    assert found.operator.asked_s == pytest.approx(4 - CHECK_BEFORE_S)
    assert (4, "fault begin") in found.lines


def test_nothing_is_broken_where_the_operator_does_not_clear_it(tmp_path: Path) -> None:
    found = played(tmp_path, Fix(at_s=2), Fault(at_s=4), operator=lambda: Operator(clears=False))
    assert [name for _, name in found.lines] == ["fix begin", "fix end"]
    assert found.info.trigger_end_s is None
    assert found.course.end_s == 3
    assert found.info.rehearsal == Rehearsal(aborted="a check failed")


def test_an_operator_may_end_it(tmp_path: Path) -> None:
    async def stop(operator: Operator, desk: Desk) -> None:
        await desk.until(9.5)
        operator.end("enough")

    found = played(tmp_path, Fault(at_s=4), Fix(at_s=12), operator=lambda: Operator(work=stop))
    assert found.course.end_s == 9
    assert [name for _, name in found.lines] == ["fault begin", "fault end"]
    assert found.info.rehearsal == Rehearsal(aborted="enough")


@pytest.mark.parametrize("rescue_at_s", [0, 12])
def test_an_operator_acts_and_prolongs(tmp_path: Path, rescue_at_s: int) -> None:
    async def act(_operator: Operator, desk: Desk) -> None:
        await desk.until(10)
        assert desk.pods is None
        assert desk.trigger_end_s == 4
        assert [row["t_s"] for row in desk.rows(0, 3)] == [0, 1, 2]
        assert desk.percentile_ms("fanout", 99, 0, 3) is None
        await desk.strike(Fix(at_s=10, takes_s=1))
        desk.extend(5)

    found = played(
        tmp_path, Fault(at_s=4), operator=lambda: Operator(work=act), served=5.0, rescue_at_s=rescue_at_s
    )
    assert (10, "fix begin") in found.lines
    assert (11, "fix end") in found.lines
    assert found.info.rescued_at_s == (17 if rescue_at_s else None)
    assert found.course.end_s == (21 if rescue_at_s else 25)
    assert found.info.scenario["phases"]["duration_s"] == 25


def test_an_operator_who_fails_fails_the_run(tmp_path: Path) -> None:
    async def fail(_operator: Operator, _desk: Desk) -> None:
        raise RuntimeError("a pod did not answer")

    with pytest.raises(RuntimeError, match="did not answer"):
        played(tmp_path, Fault(at_s=4), operator=lambda: Operator(work=fail))

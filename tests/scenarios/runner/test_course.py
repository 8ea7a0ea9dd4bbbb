"""The course of a run: what an operator may hold back, prolong and end, and how a run is cut then."""

import asyncio
import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis.metrics import summarise
from reports.analysis.recovery import Recovery
from reports.rundir.reader import Run
from reports.rundir.schema import Rehearsal, RunInfo
from reports.rundir.writer import RunWriter
from scenarios.events.event import Event
from scenarios.runner.collector import SECOND_NS, Collector
from scenarios.runner.course import Course
from scenarios.runner.operator import CHECK_BEFORE_S, Row, RunControl
from scenarios.scenario.model import Fleet, Phases, Scenario
from scenarios.wire.interval import Samples
from tests.scenarios.runner.test_collector import pod_line
from tests.scenarios.runner.test_timeline import Clock, Fault, Fix
from tests.support.intervals import MS, interval

ZERO = 5
"""Second since the epoch at which the steady state begins."""


class FakeGenerator:
    """Notes what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.books_take_s = 0.0

    async def finalise(self) -> None:
        self.told.append("finalise")
        await Fault.clock.until(Fault.clock.now_s + self.books_take_s)

    async def push_policy(self, policy: Any, reach_s: float = 0.0, group: str = "") -> None:
        self.told.append(f"push {policy}")


class FakeStack:
    """A stack without a gateway of our own."""

    gateway = None

    def __init__(self) -> None:
        self.generator = FakeGenerator()


class Operator:
    """Clears, or does not; then does `work`."""

    def __init__(
        self, *, clears: bool = True, work: Callable[["Operator", RunControl], Any] | None = None
    ) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.asked_s: float | None = None
        self._clears = clears
        self._work = work

    @property
    def rehearsal(self) -> Rehearsal:
        return Rehearsal(aborted=self.ended.result() if self.ended.done() else "")

    def end(self, reason: str) -> None:
        self.ended.set_result(reason)

    def on_second(self, t_s: int, row: Row, run_control: RunControl) -> None: ...

    def on_event(self, t_s: float, name: str, details: Mapping[str, Any]) -> None: ...

    def clears(self, run_control: RunControl) -> bool:
        self.asked_s = run_control.now_s()
        if not self._clears:
            self.end("a check failed")
        return self._clears

    async def operate(self, run_control: RunControl) -> None:
        if self._work:
            await self._work(self, run_control)


class Told:
    """What the generator and one pod tell of each second of ten clients; all is well, but for `changes`.

    changes(t_s): of the interval. cpu(t_s): of the pod. late_s(t_s): how much later than the second's end.
    """

    def __init__(
        self,
        changes: Callable[[int], dict[str, Any]] = lambda _t_s: {},
        *,
        cpu: Callable[[int], float] = lambda _t_s: 0.1,
        late_s: Callable[[int], float] = lambda _t_s: 0.0,
    ) -> None:
        self._changes, self._cpu, self._late_s = changes, cpu, late_s
        self._next: dict[int, float] = {t_s: t_s + 1 + late_s(t_s) for t_s in range(-ZERO, 60)}

    def tell(self, collector: Collector, now_s: float) -> None:
        for t_s in [t_s for t_s, at_s in self._next.items() if at_s <= now_s]:
            del self._next[t_s]
            second = t_s + ZERO
            well = {"useful": 10.0, "connected": 10, "effective": {second: Samples.of([60 * MS] * 50)}}
            collector.on_interval(interval(second, **(well | self._changes(t_s))))
            collector.on_pod(0, pod_line(second, cpu_ns=int(self._cpu(t_s) * SECOND_NS)))


class Played:
    """What came of a course."""

    def __init__(self, writer: RunWriter) -> None:
        self.lines: list[tuple[float, str]] = []
        self.late_s: dict[str, float] = {}
        """By name, where a line says it."""
        self.stack = FakeStack()
        self.folder = writer.directory
        self.info = writer.info
        self.operator: Operator | None = None
        self.course: Course


def played(
    folder: Path,
    *events: Event,
    operator: Callable[[], Operator] | None = None,
    served: float = 10.0,
    rescue_at_s: int = 0,
    told: Told | None = None,
    clients: int = 10,
    books_take_s: float = 0.0,
    **changed: Any,
) -> Played:
    """Plays twenty seconds, or as long as it takes. changed: of the phases."""
    lengths = {"duration_s": 20, "during_s": 3, "recovery_window_s": 2, "rescue_s": 4}
    phases = Phases(rescue_at_s=rescue_at_s, **(lengths | changed))
    scenario = Scenario(event=events, fleet=Fleet(clients=clients), phases=phases)  # type: ignore[arg-type]
    info = RunInfo(
        scenario={}, arm="a", seed=1, started_utc="", versions={}, machine={}, stability={}, command=[]
    )
    writer = RunWriter(folder / "run", info)
    info.scenario = {"phases": {"recovery_window_s": phases.recovery_window_s}}
    collector = Collector(writer, 0)
    collector.zero = ZERO
    told = told or Told(lambda t_s: {"useful": 10.0 if t_s < 3 else served})
    found = Played(writer)
    found.stack.generator.books_take_s = books_take_s

    async def play() -> None:
        clock = Fault.clock = Clock()
        found.operator = operator() if operator else None

        def note(name: str, **details: Any) -> None:
            found.lines.append((clock.now_s, f"{name} {details.get('phase', '')}".strip()))
            if "late_s" in details:
                found.late_s[name] = details["late_s"]

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
            told.tell(collector, clock.now_s)
            await clock.run(0.1)
        playing.result()
        # What is still on its way comes before the parts are stopped.
        told.tell(collector, clock.now_s + 10)
        collector.finish(ZERO + found.course.end_s, None)

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
    assert found.stack.generator.told[0] == "finalise"
    assert found.lines[-1] == (10.0, "rescue")
    assert found.course.end_s == 14


RESCUES: dict[str, tuple[float, float, float, float, int, int]] = {
    "in time": (0.0, 0.0, 10.0, 0.0, 10, 14),
    "a runner that stood still": (1.9, 0.0, 11.9, 1.9, 11, 15),
    "workers that are slow to close their books": (0.0, 3.0, 13.0, 0.0, 13, 17),
}
"""Lateness of the runner, duration of the books; time, lateness and second of the push; end of the run."""


@pytest.mark.parametrize(
    ("runner_late_s", "books_take_s", "at_s", "late_s", "rescued_at_s", "end_s"),
    RESCUES.values(),
    ids=RESCUES,
)
def test_a_rescue_says_when_it_came_and_has_its_full_length(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runner_late_s: float,
    books_take_s: float,
    at_s: float,
    late_s: float,
    rescued_at_s: int,
    end_s: int,
) -> None:
    in_time = Clock.until

    async def late(clock: Clock, t_s: float) -> None:
        await in_time(clock, 10 + runner_late_s if t_s == 10 else t_s)

    monkeypatch.setattr(Clock, "until", late)
    found = played(tmp_path, Fault(at_s=4), rescue_at_s=10, served=5.0, books_take_s=books_take_s)
    assert found.lines[-1] == (at_s, "rescue")
    assert found.late_s["rescue"] == late_s
    assert (found.info.rescued_at_s, found.course.end_s) == (rescued_at_s, end_s)
    phases = {phase.name: (phase.from_s, phase.to_s) for phase in found.info.phases}
    assert phases["after"][1] == 10, "what was aided is not in it, whenever that began"
    assert phases["rescue"] == (10, end_s)


def test_who_is_served_is_watched_until_all_has_been_well_for_a_window(tmp_path: Path) -> None:
    found = played(tmp_path, Fault(at_s=4), rescue_at_s=10)
    assert found.info.rescued_at_s is None
    assert found.course.end_s == 10
    assert recovery_of(found).time_to_recover_s == 0


def begun(found: Played) -> list[float]:
    return [at_s for at_s, line in found.lines if line == "fault begin"]


@pytest.mark.parametrize("every_s", [2, 3], ids=["one is due when the rescue begins", "none is"])
def test_no_strike_begins_in_a_rescue(tmp_path: Path, every_s: int) -> None:
    found = played(tmp_path, Fault(at_s=4, every_s=every_s, times=9), rescue_at_s=10, served=5.0)
    assert begun(found) == list(range(4, 10, every_s))
    assert found.info.trigger_end_s == begun(found)[-1]
    assert found.course.end_s == 14


def test_a_run_that_needs_no_rescue_keeps_its_strikes(tmp_path: Path) -> None:
    found = played(tmp_path, Fault(at_s=4, every_s=3, times=4), rescue_at_s=10)
    assert begun(found) == [4, 7, 10, 13]
    assert found.info.rescued_at_s is None


def test_strikes_move_with_a_rescue_that_an_operator_moves(tmp_path: Path) -> None:
    async def prolong(_operator: Operator, run_control: RunControl) -> None:
        await run_control.until(8)
        run_control.extend(3)

    repeated = Fault(at_s=4, every_s=4, times=5)
    found = played(
        tmp_path, repeated, operator=lambda: Operator(work=prolong), served=5.0, rescue_at_s=11, duration_s=30
    )
    assert found.info.rescued_at_s == 14
    assert begun(found) == [4, 8, 12]


def recovery_of(found: Played) -> Recovery:
    """The recovery that the run directory shows."""
    return summarise(Run.load(found.folder)).recovery


SETTLES_S = 20
"""When the last thing is as it was, long after most clients are served."""


def until_settled(bad: dict[str, Any]) -> Callable[[int], dict[str, Any]]:
    return lambda t_s: bad if 4 <= t_s < SETTLES_S else {}


LATE: dict[str, tuple[Told, tuple[Event, ...]]] = {
    "clients served": (Told(until_settled({"useful": 9.3})), ()),
    "a percent of them": (Told(until_settled({"useful": 9.85})), ()),
    "effective p99": (
        Told(
            lambda t_s: {
                "effective": {t_s + ZERO: Samples.of([(500 if 4 <= t_s < SETTLES_S else 60) * MS] * 50)}
            }
        ),
        (),
    ),
    "CPU of the pods": (Told(cpu=lambda t_s: 0.9 if 4 <= t_s < SETTLES_S else 0.1), ()),
    "tries": (Told(until_settled({"attempts": 5})), ()),
    "a fault that goes on": (Told(), (Fault(at_s=5, takes_s=SETTLES_S - 5),)),
    "a fault that is yet to come": (Told(), (Fault(at_s=SETTLES_S),)),
}


@pytest.mark.parametrize(("told", "events"), LATE.values(), ids=LATE)
def test_a_run_ends_early_only_once_everything_holds_that_a_recovery_asks_for(
    tmp_path: Path, told: Told, events: tuple[Event, ...]
) -> None:
    found = played(
        tmp_path,
        Fault(at_s=4),
        *events,
        told=copy.deepcopy(told),
        rescue_at_s=10,
        duration_s=40,
        recovery_window_s=5,
    )
    assert found.info.rescued_at_s is None
    # A window after all is well, and the second after it to see it by.
    assert found.course.end_s == SETTLES_S + 5 + 2
    assert recovery_of(found).time_to_recover_s is not None


def test_the_time_left_is_an_upper_limit_until_the_rescue_and_exact_afterwards(tmp_path: Path) -> None:
    recovered = played(tmp_path / "well", Fault(at_s=2), rescue_at_s=8).course
    rescued = played(tmp_path / "ill", Fault(at_s=2), rescue_at_s=8, served=1.0).course
    unwatched = played(tmp_path / "whole", Fault(at_s=2)).course
    assert [(course.may_end_early, course.latest_end_s) for course in (recovered, rescued, unwatched)] == [
        (True, 20),
        (False, 12),
        (False, 20),
    ]


def test_what_never_settles_is_played_to_the_end(tmp_path: Path) -> None:
    told = Told(cpu=lambda t_s: 0.9 if t_s >= 4 else 0.1)
    found = played(tmp_path, Fault(at_s=4), told=told, rescue_at_s=10, duration_s=30, recovery_window_s=5)
    assert found.course.end_s == 30
    assert "CPU" in recovery_of(found).missing[0]


def test_ticks_that_nobody_knows_to_have_arrived_do_not_count_as_quick(tmp_path: Path) -> None:
    # One of 150 clients is away for good. Nine of ten ticks in a hundred that are slow are known; with the
    # one's, more than a hundredth are.
    slow = Samples.of([60 * MS] * 745 + [500 * MS] * 4)

    def one_away(t_s: int) -> dict[str, Any]:
        of_all = {"clients": 150, "useful": 150.0, "connected": 150}
        if t_s < 4:
            return {**of_all, "effective": {t_s + ZERO: Samples.of([60 * MS] * 750)}}
        return {**of_all, "useful": 149.0, "connected": 149, "effective": {t_s + ZERO: slow}}

    found = played(
        tmp_path,
        Fault(at_s=4),
        told=Told(one_away),
        clients=150,
        rescue_at_s=10,
        duration_s=24,
        recovery_window_s=5,
    )
    assert found.course.end_s == 24


@pytest.mark.parametrize("late_s", [0.0, 1.0, 4.0, 10.0])
def test_a_slow_worker_makes_nobody_unserved_and_the_end_later(tmp_path: Path, late_s: float) -> None:
    told = Told(late_s=lambda _t_s: late_s)
    found = played(tmp_path, Fault(at_s=4), told=told, rescue_at_s=16, duration_s=40, recovery_window_s=5)
    assert found.info.rescued_at_s is None
    assert found.course.end_s <= 16 + late_s
    assert recovery_of(found).time_to_recover_s == 0


def test_one_second_that_is_late_is_no_second_without_service(tmp_path: Path) -> None:
    told = Told(late_s=lambda t_s: 9.0 if t_s == 13 else 0.0)
    found = played(tmp_path, Fault(at_s=4), told=told, rescue_at_s=15, duration_s=40, recovery_window_s=5)
    assert found.info.rescued_at_s is None


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(range(5)), st.integers(4, 30), st.integers(1, 9)), max_size=6),
    st.integers(2, 6),
)
def test_whatever_happens_a_run_that_ends_early_has_recovered(
    troubles: list[tuple[int, int, int]], window_s: int
) -> None:
    def in_trouble(kind: int, t_s: int) -> bool:
        return any(of == kind and from_s <= t_s < from_s + for_s for of, from_s, for_s in troubles)

    def changes(t_s: int) -> dict[str, Any]:
        ms = 500 if in_trouble(1, t_s) else 60
        out = 0.6 if in_trouble(0, t_s) else 0.05 if in_trouble(4, t_s) else 0.0
        # Who is out learns of its ticks much later.
        ticks = [ms * MS] * round(1000 * (1 - out / 10))
        return {
            "useful": 10.0 - out,
            "attempts": 5 if in_trouble(2, t_s) else 0,
            "effective": {t_s + ZERO: Samples.of(ticks)},
            "censored": {t_s + ZERO - 5: Samples.of([5000 * MS] * 3)} if out else {},
        }

    told = Told(changes, cpu=lambda t_s: 0.9 if in_trouble(3, t_s) else 0.1)
    with TemporaryDirectory() as folder:
        found = played(
            Path(folder),
            Fault(at_s=4),
            told=told,
            rescue_at_s=10,
            duration_s=36,
            recovery_window_s=window_s,
        )
        assert found.course.end_s == 36 or recovery_of(found).time_to_recover_s is not None


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
    async def stop(operator: Operator, run_control: RunControl) -> None:
        await run_control.until(9.5)
        operator.end("enough")

    found = played(tmp_path, Fault(at_s=4), Fix(at_s=12), operator=lambda: Operator(work=stop))
    assert found.course.end_s == 9
    assert [name for _, name in found.lines] == ["fault begin", "fault end"]
    assert found.info.rehearsal == Rehearsal(aborted="enough")


@pytest.mark.parametrize("rescue_at_s", [0, 12])
def test_an_operator_acts_and_prolongs(tmp_path: Path, rescue_at_s: int) -> None:
    async def act(_operator: Operator, run_control: RunControl) -> None:
        await run_control.until(10)
        assert run_control.pods is None
        assert run_control.trigger_end_s == 4
        assert [row["t_s"] for row in run_control.rows(0, 3)] == [0, 1, 2]
        assert run_control.percentile_ms("fanout", 99, 0, 3) is None
        await run_control.strike(Fix(at_s=10, takes_s=1))
        run_control.extend(5)

    found = played(
        tmp_path, Fault(at_s=4), operator=lambda: Operator(work=act), served=5.0, rescue_at_s=rescue_at_s
    )
    assert (10, "fix begin") in found.lines
    assert (11, "fix end") in found.lines
    assert found.info.rescued_at_s == (17 if rescue_at_s else None)
    assert found.course.end_s == (21 if rescue_at_s else 25)
    assert found.info.scenario["phases"]["duration_s"] == 25


def test_an_operator_who_fails_fails_the_run(tmp_path: Path) -> None:
    async def fail(_operator: Operator, _run_control: RunControl) -> None:
        raise RuntimeError("a pod did not answer")

    with pytest.raises(RuntimeError, match="did not answer"):
        played(tmp_path, Fault(at_s=4), operator=lambda: Operator(work=fail))

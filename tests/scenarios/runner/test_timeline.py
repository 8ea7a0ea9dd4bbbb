"""The timeline: what strikes when, what overlaps, and when the trigger is over."""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from scenarios.events.drop import DropAll
from scenarios.events.event import Details, Event, Kind
from scenarios.events.exec import Exec
from scenarios.host.process import StackError
from scenarios.runner.timeline import Timeline
from scenarios.scenario.model import Feed, Fleet, Phases, Scenario
from scenarios.scenario.timeline import strikes


class Clock:
    """Seconds that pass when somebody waits for them."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._waiting: list[tuple[float, asyncio.Future[None]]] = []

    async def until(self, t_s: float) -> None:
        if t_s > self.now_s:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((t_s, done))
            await done

    async def run(self, seconds: float) -> None:
        """Lets so much time pass, in tenths."""
        for _ in range(round(seconds * 10)):
            for _ in range(5):
                await asyncio.sleep(0)
            self.now_s = round(self.now_s + 0.1, 3)
            for at_s, done in [entry for entry in self._waiting if entry[0] <= self.now_s]:
                self._waiting.remove((at_s, done))
                done.set_result(None)


class Fault(Event, frozen=True, kw_only=True, tag="fault"):
    """Takes its time, or fails."""

    clock: ClassVar[Clock]
    takes_s: float = 0.0
    fails: bool = False

    async def strike(self, stack: Any) -> Details:
        if self.fails:
            raise RuntimeError("a pod did not answer")
        await self.clock.until(self.clock.now_s + self.takes_s)
        return {"pods": 2}


class Fix(Fault, frozen=True, kw_only=True, tag="fix"):
    """The same, to help."""

    kind: ClassVar[Kind] = "mitigation"


def scenario(*events: Event, **phases: Any) -> Scenario:
    return Scenario(event=events, phases=Phases(duration_s=60, rescue_at_s=0, **phases))  # type: ignore[arg-type]


def played(*events: Event, seconds: float = 60) -> tuple[list[tuple[float, str, Any]], int | None]:
    """(second, name, phase) of all that was written, and the end of the trigger."""
    lines: list[tuple[float, str, Any]] = []

    async def play() -> int | None:
        clock = Fault.clock = Clock()

        def note(name: str, **details: Any) -> None:
            lines.append((clock.now_s, name, details))

        timeline = Timeline(
            scenario(*events),
            None,  # type: ignore[arg-type]
            until=clock.until,
            now_s=lambda: clock.now_s,
            note=note,
        )
        playing = asyncio.create_task(timeline.play())
        await clock.run(seconds)
        assert playing.done()
        playing.result()
        return timeline.trigger_end_s

    return lines, asyncio.run(play())


def test_events_strike_in_the_order_of_their_times_and_say_when_they_begin_and_end() -> None:
    lines, _ = played(Fix(at_s=9), Fault(at_s=3, takes_s=2))
    assert [(at_s, name, what["kind"], what["phase"]) for at_s, name, what in lines] == [
        (3, "fault", "fault", "begin"),
        (5, "fault", "fault", "end"),
        (9, "fix", "mitigation", "begin"),
        (9, "fix", "mitigation", "end"),
    ]
    assert [what.get("late_s") for _, _, what in lines] == [0, None, 0, None]
    assert lines[1][2]["pods"] == 2, "what a strike says about itself is written at its end"
    assert lines[0][2]["takes_s"] == 2, "and its parameters at both"


def test_events_may_overlap() -> None:
    lines, _ = played(Fault(at_s=3, takes_s=20), Fix(at_s=5))
    assert [(at_s, name, what["phase"]) for at_s, name, what in lines] == [
        (3, "fault", "begin"),
        (5, "fix", "begin"),
        (5, "fix", "end"),
        (23, "fault", "end"),
    ]


LATE_S = 1.9
LATENESS: dict[str, tuple[list[Event], list[tuple[float, float | None]]]] = {
    "the runner, for one strike": ([Fault(at_s=6), Fix(at_s=20)], [(7.9, LATE_S), (20, 0.0)]),
    "the runner, for all strikes of that time": (
        [Fault(at_s=6), Fix(at_s=6), Fix(at_s=7)],
        [(7.9, LATE_S), (7.9, LATE_S), (7.9, 0.9)],
    ),
    "nothing, since a strike lasts long": ([Fault(at_s=2, takes_s=30), Fix(at_s=20)], [(2, 0.0), (20, 0.0)]),
}


@pytest.mark.parametrize(("events", "begun"), LATENESS.values(), ids=LATENESS)
def test_a_strike_says_how_late_it_began(
    events: list[Event], begun: list[tuple[float, float | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_time = Clock.until

    async def late(clock: Clock, t_s: float) -> None:
        await in_time(clock, 6 + LATE_S if 6 <= t_s < 6 + LATE_S else t_s)

    monkeypatch.setattr(Clock, "until", late)
    lines, _ = played(*events)
    assert [(at_s, what["late_s"]) for at_s, _, what in lines if what["phase"] == "begin"] == begun


def test_what_a_strike_waits_for_on_purpose_does_not_make_it_late() -> None:
    told: list[tuple[float, Any]] = []

    class SlowGenerator:
        async def end_calm(self) -> None:
            await Fault.clock.until(Fault.clock.now_s + 3)

    class FakeStack:
        generator = SlowGenerator()

    async def play() -> None:
        clock = Fault.clock = Clock()
        timeline = Timeline(
            replace(scenario(Fault(at_s=4)), feed=Feed(due="schedule")),
            FakeStack(),  # type: ignore[arg-type]
            until=clock.until,
            now_s=lambda: clock.now_s,
            note=lambda _name, **what: told.append((clock.now_s, what)),
        )
        playing = asyncio.create_task(timeline.play())
        await clock.run(10)
        await playing
        await timeline.carry_out(Fix(at_s=4))

    asyncio.run(play())
    (began_s, begin), _, (_, by_operator), _ = told
    assert (began_s, begin["late_s"]) == (7, 0.0)
    assert "late_s" not in by_operator, "what an operator chooses has no scheduled time"


TRIGGER_ENDS = {
    "at once": ([Fault(at_s=6)], 6),
    "when it is over, rounded up": ([Fault(at_s=6, takes_s=3.5)], 10),
    "with the last of several faults": ([Fault(at_s=6, takes_s=9), Fault(at_s=8)], 15),
    "with the last strike of a fault that repeats": ([Fault(at_s=6, times=3, every_s=10)], 26),
    "whatever is done about it later": ([Fault(at_s=6), Fix(at_s=20, takes_s=5)], 6),
    "never, where there was none": ([Fix(at_s=6)], None),
}


@pytest.mark.parametrize(("events", "end_s"), TRIGGER_ENDS.values(), ids=TRIGGER_ENDS)
def test_the_trigger_ends(events: list[Event], end_s: int | None) -> None:
    assert played(*events)[1] == end_s


def test_a_strike_that_fails_is_not_hidden() -> None:
    with pytest.raises(ExceptionGroup, match="TaskGroup"):
        played(Fault(at_s=3, fails=True))


def test_a_part_that_fails_during_an_event_is_told_at_its_end_without_secrets() -> None:
    command = Exec(at_s=3, command=("kubectl", "apply", "--token=abcdef"))
    told: list[tuple[str, Any]] = []

    class FakeStack:
        async def run_command(self, words: Sequence[str], _timeout_s: float) -> Details:
            raise StackError(f"exec failed; 1.log: {words[2]} is not valid")

    async def play() -> None:
        clock = Fault.clock = Clock()
        timeline = Timeline(
            scenario(command),
            FakeStack(),  # type: ignore[arg-type]
            until=clock.until,
            now_s=lambda: clock.now_s,
            note=lambda name, **what: told.append((name, what)),
        )
        playing = asyncio.create_task(timeline.play())
        await clock.run(10)
        await playing

    with pytest.raises(ExceptionGroup):
        asyncio.run(play())
    (_, begin), (_, end) = told
    assert begin["command"] == end["command"] == ["kubectl", "apply", "--token=(hidden)"]
    assert begin["phase"] == "begin"
    assert end["phase"] == "end"
    assert end["problem"] == "exec failed; 1.log: --token=(hidden) is not valid"


def test_what_is_not_enabled_or_would_come_after_the_end_does_not_strike() -> None:
    found = strikes(scenario(DropAll(at_s=6, times=9, every_s=20), DropAll(at_s=7, enabled=False)))
    assert [(strike.at_s, strike.number) for strike in found] == [(6, 0), (26, 1), (46, 2)]


def test_drawn_times_follow_the_seed() -> None:
    event = DropAll(at_s=6, times=3, every_s=(5, 15))

    def times(seed: int) -> list[float]:
        fleet = Fleet(seed=seed)
        found = strikes(Scenario(fleet=fleet, event=(event,), phases=Phases(duration_s=60, rescue_at_s=0)))
        return [strike.at_s for strike in found]

    assert times(1) == times(1)
    assert times(1) != times(2)


def test_a_fault_that_is_left_out_is_no_trigger() -> None:
    assert scenario(DropAll(at_s=6, enabled=False)).trigger_s is None
    assert scenario(DropAll(at_s=6, enabled=False), DropAll(at_s=9)).trigger_s == 9
    assert scenario(Fix(at_s=3), DropAll(at_s=9)).trigger_s == 9


def test_a_schedule_is_final_before_the_first_event_and_is_not_told_of_others() -> None:
    told: list[str] = []

    class Generator:
        async def end_calm(self) -> None:
            told.append("end of calm")

    class FakeStack:
        generator = Generator()

    async def play(due: str) -> None:
        clock = Fault.clock = Clock()
        spec = replace(scenario(Fix(at_s=2), Fault(at_s=4)), feed=Feed(due=due))  # type: ignore[arg-type]
        timeline = Timeline(
            spec,
            FakeStack(),  # type: ignore[arg-type]
            until=clock.until,
            now_s=lambda: clock.now_s,
            note=lambda name, **what: told.append(f"{name} {what['phase']}s"),
        )
        playing = asyncio.create_task(timeline.play())
        await clock.run(10)
        await playing

    asyncio.run(play("schedule"))
    assert told == ["end of calm", "fix begins", "fix ends", "fault begins", "fault ends"]
    told.clear()
    asyncio.run(play("stamp"))
    assert "end of calm" not in told

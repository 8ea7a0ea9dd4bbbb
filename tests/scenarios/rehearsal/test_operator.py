"""The operator of a rehearsal, with a `RunControl` whose time passes when it is waited for."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from reports.rundir.schema import PreCheck, Tag
from scenarios.events.event import Event
from scenarios.events.registry import EVENTS
from scenarios.rehearsal.decisions import MOST_EXTRA_S, Option, left_to_the_operator, options
from scenarios.rehearsal.operator import ByKey, ByList, Choices, Rehearsing
from scenarios.rehearsal.state import DashboardState
from scenarios.rehearsal.view import RehearsalView
from scenarios.runner.operator import Row, RunControl
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import build

PASSED = PreCheck(name="steady state", wanted="2 s", found="5 s", passed=True)
FAILED = PreCheck(name="host quiet", wanted="0.2", found="1.3", passed=False)


def script(**phases: Any) -> Scenario:
    table: dict[str, Any] = {
        "fleet": {"clients": 100},
        "event": [
            {"do": "drop_all", "at_s": 4},
            {"do": "scale", "at_s": 20, "pods": 9},
            {"do": "push_policy", "at_s": 32, "policy": "incident"},
        ],
        "phases": {"duration_s": 90, "during_s": 10, "rescue_at_s": 60, "rescue_s": 13, **phases},
    }
    return build(table, source="test")


class FakeView(RehearsalView):
    """Remembers what it was to show."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def checked(self, prechecks: Sequence[PreCheck]) -> None:
        self.shown += [check.name for check in prechecks]

    def happened(self, happening: Any) -> None:
        self.shown.append(f"{happening.t_s:g} {happening.what}")

    def second(self, t_s: int) -> None:
        self.shown.append(f"second {t_s}")

    def asked(self, options: tuple[Option, ...]) -> None:
        self.shown.append(" ".join(option.key for option in options))


class FakeRunControl:
    """A `RunControl` with a clock of its own. served(t_s): the share of the clients that are."""

    def __init__(self, scenario: Scenario, operator: Rehearsing, served: Callable[[float], float]) -> None:
        self.scenario = scenario
        self.pods: int | None = 4
        self.trigger_end_s: int | None = None
        self.struck: list[tuple[float, str]] = []
        self._operator = operator
        self._served = served
        self._now_s = 0.0

    def now_s(self) -> float:
        return self._now_s

    async def until(self, t_s: float) -> None:
        while self._now_s < t_s:
            if self._now_s >= 4:
                self.trigger_end_s = 4
            second = int(self._now_s)
            row = {"t_s": second, "clients": 100, "useful": 100 * self._served(second)}
            self._operator.on_second(second, row, self)
            self._now_s += 1
            await asyncio.sleep(0)

    def rows(self, from_s: int, to_s: int) -> list[Row]:
        return []

    def percentile_ms(self, tag: Tag, percent: float, from_s: int, to_s: int) -> float | None:
        return None

    async def strike(self, event: Event) -> None:
        self.struck.append((event.at_s, event.name))
        await asyncio.sleep(0)

    def extend(self, by_s: int) -> None:
        phases = self.scenario.phases
        moved = replace(
            phases, duration_s=phases.duration_s + by_s, rescue_at_s=max(0, phases.rescue_at_s + by_s)
        )
        self.scenario = replace(self.scenario, phases=moved)


class Never:
    """Somebody who does not answer."""

    async def choose(self, offered: Sequence[Option]) -> Option | None:
        await asyncio.Event().wait()
        return None


def operated(
    choices: Choices | None, served: Callable[[float], float] = lambda t_s: 1.0 if t_s < 4 else 0.05
) -> tuple[Rehearsing, FakeRunControl, FakeView]:
    """A rehearsal from its first fault on, until nobody is asked any more."""

    async def play() -> tuple[Rehearsing, FakeRunControl, FakeView]:
        played = left_to_the_operator(script())
        view = FakeView()
        dashboard = DashboardState(played, lambda name, _: name)
        rehearsing = Rehearsing(script(), dashboard, view, check=lambda _: (PASSED,), choices=choices)
        run_control = FakeRunControl(played, rehearsing, served)
        await run_control.until(3)
        assert rehearsing.clears(run_control)
        await rehearsing.operate(run_control)
        return rehearsing, run_control, view

    return asyncio.run(play())


def decided(rehearsing: Rehearsing) -> list[tuple[float, str]]:
    return [(decision.t_s, decision.chosen) for decision in rehearsing.rehearsal.decisions]


def test_a_second_that_comes_late_is_on_the_board_as_well() -> None:
    told: dict[int, Row] = {}

    class LateRunControl(FakeRunControl):
        def rows(self, from_s: int, to_s: int) -> list[Row]:
            return [told[t_s] for t_s in range(from_s, to_s) if t_s in told]

    async def play() -> DashboardState:
        dashboard = DashboardState(script(), lambda name, _: name)
        rehearsing = Rehearsing(script(), dashboard, FakeView(), check=lambda _: (PASSED,))
        run_control = LateRunControl(script(), rehearsing, lambda _: 1.0)
        for t_s in range(20):
            told[t_s] = {"t_s": t_s, "nginx_cpu": 0.1}
            for late in ({t_s} - {5, 7}) | ({5} if t_s == 6 else set()) | ({7} if t_s == 17 else set()):
                told[late] = {"t_s": late, "clients": 100, "useful": 100.0}
            rehearsing.on_second(t_s, told[t_s], run_control)
        return dashboard

    dashboard = asyncio.run(play())
    assert [row["t_s"] for row in dashboard.rows] == [*range(20)]
    assert dashboard.shares_served() == [1.0] * 20


def test_a_fake_desk_is_a_desk() -> None:
    run_control: RunControl = FakeRunControl(script(), None, lambda _: 1.0)  # type: ignore[arg-type]
    assert run_control.rows(0, 1) == []
    assert run_control.percentile_ms("fanout", 99, 0, 1) is None


def test_who_has_no_choices_is_not_asked() -> None:
    rehearsing, run_control, _ = operated(None)
    assert not rehearsing.rehearsal.interactive
    assert decided(rehearsing) == []
    assert run_control.struck == []


def test_choices_are_made_at_the_script_s_mitigations_and_a_while_after_each_choice() -> None:
    rehearsing, run_control, view = operated(ByList(["scale", "wait", "push"]))
    assert rehearsing.rehearsal.interactive
    assert decided(rehearsing) == [
        (20.0, "scale to 9 pods"),
        (30.0, "wait"),
        (32.0, "push policy incident to all clients"),
    ]
    assert run_control.struck == [(20.0, "scale"), (32.0, "push_policy")]
    assert [event.name for event in rehearsing.chosen] == ["scale", "push_policy"]
    events = [decision.event for decision in rehearsing.rehearsal.decisions]
    assert events[1] is None
    assert events[0] is not None
    assert events[0]["do"] == "scale"
    assert "20 scale to 9 pods" in view.shown
    assert view.shown.index("s r b l w") < view.shown.index("20 scale to 9 pods")


def test_a_late_choice_moves_the_rescue_and_the_end() -> None:
    rehearsing, run_control, _ = operated(ByList(["wait", "wait", "wait", "scale", "push"]))
    assert decided(rehearsing)[-2:] == [
        (42.0, "scale to 9 pods"),
        (52.0, "push policy incident to all clients"),
    ]
    # The script gives its last mitigation 28 s until the rescue.
    assert run_control.scenario.phases.rescue_at_s == 80
    assert run_control.scenario.phases.duration_s == 110
    assert rehearsing.played.phases == run_control.scenario.phases


def test_a_rehearsal_is_not_prolonged_for_ever() -> None:
    rehearsing, run_control, _ = operated(ByList(["push"] * 100))
    assert run_control.scenario.phases.rescue_at_s == 60 + MOST_EXTRA_S
    last_s, _ = decided(rehearsing)[-1]
    assert last_s < 60 + MOST_EXTRA_S - 1


def test_while_the_service_is_well_nobody_is_asked() -> None:
    rehearsing, _, _ = operated(ByList(["wait"] * 9), served=lambda _: 1.0)
    assert decided(rehearsing) == []
    back_at_35 = operated(ByList(["push"] * 9), served=lambda t_s: 0.05 if 4 <= t_s < 25 else 1.0)[0]
    assert decided(back_at_35) == [(20.0, "push policy incident to all clients")]


def test_no_answer_until_it_is_too_late_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class AtOnce:
        async def __aenter__(self) -> None:
            raise TimeoutError

        async def __aexit__(self, *_: object) -> None: ...

    monkeypatch.setattr(asyncio, "timeout", lambda _: AtOnce())
    rehearsing, _, view = operated(Never())
    assert decided(rehearsing) == [(20.0, "no answer")]
    assert view.shown[-1] == "", "the question is taken away"


@pytest.mark.parametrize(("force", "cleared"), [(False, False), (True, True)])
def test_a_check_that_fails_ends_it_before_anything_is_broken(force: bool, cleared: bool) -> None:
    async def check() -> Rehearsing:
        dashboard, view = DashboardState(script(), lambda name, _: name), FakeView()
        rehearsing = Rehearsing(script(), dashboard, view, check=lambda _: (PASSED, FAILED), force=force)
        assert rehearsing.clears(FakeRunControl(script(), rehearsing, lambda _: 1.0)) == cleared
        assert view.shown == ["steady state", "host quiet"]
        return rehearsing

    rehearsing = asyncio.run(check())
    assert rehearsing.rehearsal.prechecks == (PASSED, FAILED)
    assert rehearsing.ended.done() != cleared
    reason = "" if cleared else "pre-check failed: host quiet: expected 0.2, got 1.3"
    assert rehearsing.rehearsal.aborted == reason


def test_the_first_reason_to_end_is_the_one_that_counts() -> None:
    async def end() -> Rehearsing:
        dashboard = DashboardState(script(), lambda name, _: name)
        rehearsing = Rehearsing(script(), dashboard, FakeView(), check=lambda _: ())
        begun = [rehearsing.begun]
        for name in ("gauges_missing", "steady", "drop_all"):
            rehearsing.on_event(0, name, {})
            begun.append(rehearsing.begun)
        assert begun == [False, False, True, True], "a signal ends the ramp at once, whatever was noted in it"
        rehearsing.end("stopped by the operator")
        rehearsing.end("aborted")
        return rehearsing

    assert asyncio.run(end()).rehearsal.aborted == "stopped by the operator"


def test_keys_choose_what_they_stand_for_and_others_nothing() -> None:
    async def press() -> str:
        keys: asyncio.Queue[str] = asyncio.Queue()
        keys.put_nowait("s")  # Before the question.
        choosing = asyncio.create_task(ByKey(keys).choose(options(script(), 4)))
        await asyncio.sleep(0)
        for key in "x\nB":
            keys.put_nowait(key)
        keys.put_nowait("b")
        return (await choosing).name

    assert asyncio.run(press()) == "push"


def test_what_is_chosen_is_an_event_of_the_registry() -> None:
    offered = options(script(), 4)
    assert {option.event.name for option in offered if option.event} <= set(EVENTS)

"""Events: what each does to the stack, when it strikes, and what it does not fit."""

import ast
import asyncio
import contextlib
import itertools
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scenarios.events import registry
from scenarios.events.drop import DropAll, DropShare
from scenarios.events.event import Context, Event
from scenarios.events.feed import FeedBurst, FeedStall
from scenarios.events.kill_pod import KillPod
from scenarios.events.pause_pod import PausePod
from scenarios.events.probes import Probes
from scenarios.events.proxy import NginxReload, NginxRestart
from scenarios.events.push_policy import PushPolicy
from scenarios.events.registry import EVENTS, AnyEvent
from scenarios.events.rolling_restart import RollingRestart
from scenarios.events.scale import Scale
from scenarios.events.set_limit import SetLimit
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError

FILES = {
    path.stem: path
    for path in sorted(Path(registry.__file__).parent.glob("*.py"))
    if path.stem not in {"__init__", "event", "registry", "stack"}
}


class Called:
    """Writes down what is called on it; a call returns what was promised, or 0."""

    def __init__(self, calls: list[str], **answers: Any) -> None:
        self._calls = calls
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **settings: Any) -> Any:
            said = [f"{name}{arguments!r}".replace(",)", ")"), *map(str, settings.values())]
            self._calls.append(" ".join(said))
            if name in {"paused", "coming_back"}:
                return Lasting(self._calls, self._calls[-1])
            promised = self._answers.get(name, 0)
            answer = Answer(promised if isinstance(promised, int) else 0)
            answer.said = None if isinstance(promised, int) else promised
            return answer

        return self._answers["running"] if name == "running" else call


class Answer(int):
    """A number that can also be awaited, or be the table that was promised."""

    said: Any = None

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return int(self) if self.said is None else self.said


class Lasting(contextlib.AbstractContextManager[None], contextlib.AbstractAsyncContextManager[None]):
    """Writes down that it is over."""

    def __init__(self, calls: list[str], call: str) -> None:
        self._calls = calls
        self._call = call

    def __exit__(self, *_: object) -> None:
        self._calls.append(f"end of {self._call}")

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()


class Stack:
    """A stack of which every call is written down."""

    def __init__(self, *, ours: bool = True, running: tuple[int, ...] = (0, 1)) -> None:
        self.calls: list[str] = []
        self.own_gateway = Called(self.calls, running=list(running), kill=5, add=2)
        self.gateway = self.own_gateway if ours else None
        self.own_nginx = Called(self.calls)
        self.generator = Called(self.calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(Called(self.calls, drop={"dropped_by": "clients"}), name)


def struck(event: Event, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the event says, with sleeps written down among the calls."""
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        if seconds:
            stack.calls.append(f"sleep({seconds:g})")
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    return asyncio.run(event.strike(stack))


DEEDS: dict[str, tuple[Event, list[str]]] = {
    "drop_all": (DropAll(at_s=1), ["drop(1.0)"]),
    "drop_share": (DropShare(at_s=1, share=0.25), ["drop(0.25)"]),
    "kill_pod": (
        KillPod(at_s=1, pod=1, restart_after_s=3),
        ["coming_back(1)", "kill(1)", "sleep(3)", "restart(1)", "end of coming_back(1)"],
    ),
    "kill_pod for good": (KillPod(at_s=1, restart=False), ["kill(0)"]),
    "pause_pod": (PausePod(at_s=1, for_s=4), ["paused(0)", "sleep(4)", "end of paused(0)"]),
    "rolling_restart": (
        RollingRestart(at_s=1, gap_s=2),
        [
            *("coming_back(0)", "terminate(0)", "restart(0)", "end of coming_back(0)"),
            "sleep(2)",
            *("coming_back(1)", "terminate(1)", "restart(1)", "end of coming_back(1)"),
        ],
    ),
    "rolling_restart behind a proxy that is told": (
        RollingRestart(at_s=1, gap_s=2, leave_upstream=True),
        [
            *("coming_back(0)", "set_leaving(0) True", "route()", "terminate(0)", "restart(0)"),
            *("set_leaving(0) False", "route()", "end of coming_back(0)", "sleep(2)"),
            *("coming_back(1)", "set_leaving(1) True", "route()", "terminate(1)", "restart(1)"),
            *("set_leaving(1) False", "route()", "end of coming_back(1)"),
        ],
    ),
    "scale up": (Scale(at_s=1, pods=4), ["add(2)", "withdraw([])", "route()"]),
    "scale down": (Scale(at_s=1, pods=1), ["withdraw([1])", "route()", "terminate(1)"]),
    "scale to what there is": (Scale(at_s=1, pods=2), ["withdraw([])", "route()"]),
    "feed_burst": (FeedBurst(at_s=1, factor=3, for_s=5), ["burst_feed(3.0, 5.0)"]),
    "feed_stall": (FeedStall(at_s=1, for_s=6), ["stall_feed(6.0)"]),
    "nginx_reload": (NginxReload(at_s=1), ["reload()"]),
    "nginx_restart": (NginxRestart(at_s=1, down_s=2), ["stop()", "sleep(2)", "start_again()"]),
    "push_policy": (
        PushPolicy(at_s=1, policy="incident", reach_s=3),
        ["push_policy('incident', 3.0, '')", "sleep(3)"],
    ),
    "push_policy to a group": (
        PushPolicy(at_s=1, policy="incident", reach_s=3, group="old"),
        ["push_policy('incident', 3.0, 'old')", "sleep(3)"],
    ),
    "set_limit": (SetLimit(at_s=1, limit="per-ip"), ["set_limit('per-ip')"]),
}


@pytest.mark.parametrize(("event", "calls"), DEEDS.values(), ids=DEEDS)
def test_an_event_does_what_its_name_says(
    event: Event, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack()
    # The struct converts numbers of a file; here they were given as they are.
    event = msgspec.convert(msgspec.to_builtins(event), type(event))
    struck(event, stack, monkeypatch)
    assert stack.calls == calls


def test_every_event_has_a_deed_that_is_tested() -> None:
    assert {event.name for event, _ in DEEDS.values()} | {"probes"} == set(EVENTS)


@pytest.mark.parametrize("event", [DropAll(at_s=1), DropShare(at_s=1, share=0.5)], ids=["all", "share"])
def test_a_drop_says_what_has_cut_the_connections(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    assert struck(event, Stack(), monkeypatch)["dropped_by"] == "clients"


def test_a_paused_pod_goes_on_even_if_the_run_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()

    async def interrupted() -> None:
        strike = asyncio.create_task(PausePod(at_s=1, for_s=60).strike(stack))
        await asyncio.sleep(0)
        strike.cancel()
        with pytest.raises(asyncio.CancelledError):
            await strike

    asyncio.run(interrupted())
    assert stack.calls == ["paused(0)", "end of paused(0)"]


def test_probes_are_an_orchestrator_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()
    struck(Probes(at_s=0, period_s=3), stack, monkeypatch)
    (call,) = stack.calls
    assert call.startswith("watch_probes(Probes(")
    assert "period_s=3" in call


def test_one_strike_is_the_default() -> None:
    assert list(DropAll(at_s=3).strikes_s(random.Random(1))) == [3]


def test_strikes_repeat_at_a_fixed_distance_or_at_a_drawn_one() -> None:
    assert list(DropAll(at_s=3, every_s=10, times=3).strikes_s(random.Random(1))) == [3, 13, 23]
    drawn = list(DropAll(at_s=3, every_s=(30, 40), times=50).strikes_s(random.Random(1)))
    gaps = [after - before for before, after in itertools.pairwise(drawn)]
    assert all(30 <= gap <= 40 for gap in gaps)
    assert len(set(gaps)) == 49
    again = list(DropAll(at_s=3, every_s=(30, 40), times=50).strikes_s(random.Random(1)))
    assert again == drawn


DURATIONS = {
    "over at once": (DropAll(at_s=1), 0),
    "a burst": (FeedBurst(at_s=1, factor=2, for_s=5), 5),
    "a stall": (FeedStall(at_s=1, for_s=6), 6),
    "a pause": (PausePod(at_s=1, for_s=7), 7),
    "a push": (PushPolicy(at_s=1, policy="naive", reach_s=8), 8),
}


@pytest.mark.parametrize(("event", "lasts_s"), DURATIONS.values(), ids=DURATIONS)
def test_an_event_knows_how_long_it_lasts(event: Event, lasts_s: float) -> None:
    assert event.lasts_s == lasts_s


def test_pods_that_an_event_adds_may_be_killed() -> None:
    def loaded(event: str) -> Scenario:
        events = f'event=[{{do="scale", at_s=2, pods=9}}, {{do="drop_all", at_s=2}}, {event}]'
        return load("mass-drop", ["gateway.pods=2", "matrix={}", events])

    assert loaded('{do="kill_pod", at_s=3, pod=8}')
    assert loaded('{do="pause_pod", at_s=3, pod=8}')
    with pytest.raises(ScenarioError, match="expected 0 to 8 with 9 pods"):
        loaded('{do="kill_pod", at_s=3, pod=9}')


def test_every_event_of_the_files_stands_in_the_registry_under_its_name() -> None:
    defined = {
        kind.__struct_config__.tag
        for kind in Event.__subclasses__()
        # The page of events has an example, which its own test imports as such a module.
        if kind.__module__ in {f"scenarios.events.{file}" for file in FILES}
    }
    assert defined == set(EVENTS)
    assert {kind.__module__.rpartition(".")[2] for kind in EVENTS.values()} == set(FILES)
    assert {name: kind.__struct_config__.tag for name, kind in EVENTS.items()} == {
        name: name for name in EVENTS
    }
    assert set(AnyEvent.__args__) == set(EVENTS.values())


@pytest.mark.parametrize("name", FILES)
def test_events_are_in_small_files_that_explain_themselves(name: str) -> None:
    text = FILES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    kinds = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert kinds
    assert all(ast.get_docstring(kind) for kind in kinds)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_a_fault_a_mitigation_or_a_condition(name: str) -> None:
    assert EVENTS[name].kind in {"fault", "mitigation", "condition"}


def test_the_interface_itself_does_nothing() -> None:
    with pytest.raises(NotImplementedError):
        asyncio.run(Event(at_s=1).strike(Stack()))
    assert Event(at_s=1).complaint(Context(pods=2, proxy="nginx")) == ""

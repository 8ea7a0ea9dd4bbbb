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
from scenarios.events.certificate_rotate import CertificateRotate
from scenarios.events.deploy import Deploy
from scenarios.events.drain import Drain
from scenarios.events.drop import DropAll, DropShare
from scenarios.events.event import Context, Event, Kind
from scenarios.events.exec import Exec
from scenarios.events.feed import FeedBurst, FeedStall
from scenarios.events.pod import KillPod, PausePod
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
        self.replacing = asyncio.Lock()

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **settings: Any) -> Any:
            said = [f"{name}{arguments!r}".replace(",)", ")"), *map(str, settings.values())]
            self._calls.append(" ".join(said))
            if name in {"paused", "coming_back", "leaving"}:
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
        self.own_gateway = Called(self.calls, running=list(running), kill=5, add=2, drain=30)
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
    "certificate_rotate": (CertificateRotate(at_s=1), ["rotate_certificate()"]),
    "drop_all": (DropAll(at_s=1), ["drop(1.0)"]),
    "drop_share": (DropShare(at_s=1, share=0.25), ["drop(0.25)"]),
    "drain": (Drain(at_s=1, window_s=9), ["drain([0, 1], 9.0, None)"]),
    "drain of some pods": (Drain(at_s=1, window_s=9, pods=(1, 7)), ["drain([1], 9.0, None)"]),
    "drain of one pod after the other, which leave meanwhile": (
        Drain(at_s=1, window_s=9, one_by_one=True, leave_upstream=True, close_code=1012),
        [
            *("leaving([0])", "route()", "drain([0], 9.0, 1012)", "end of leaving([0])", "route()"),
            *("leaving([1])", "route()", "drain([1], 9.0, 1012)", "end of leaving([1])", "route()"),
        ],
    ),
    "deploy": (
        Deploy(at_s=1, max_surge=2, max_unavailable=0, min_ready_s=4, pre_stop_s=5, drain_s=30),
        [
            *("add(1)", "add(1)", "route()", "route()", "sleep(4)", "sleep(4)"),
            *("withdraw([0])", "route()", "withdraw([1])", "route()", "sleep(5)", "sleep(5)"),
            *("terminate(0, 30.0)", "terminate(1, 30.0)"),
        ],
    ),
    "deploy without a surge": (
        Deploy(at_s=1, max_surge=0, max_unavailable=2),
        [
            *("withdraw([0])", "route()", "withdraw([1])", "route()", "add(1)", "add(1)"),
            *("route()", "route()", "terminate(0, 0.0)", "terminate(1, 0.0)"),
        ],
    ),
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
            *("coming_back(0)", "leaving([0])", "route()", "terminate(0)", "restart(0)"),
            *("end of leaving([0])", "route()", "end of coming_back(0)", "sleep(2)"),
            *("coming_back(1)", "leaving([1])", "route()", "terminate(1)", "restart(1)"),
            *("end of leaving([1])", "route()", "end of coming_back(1)"),
        ],
    ),
    "scale up": (Scale(at_s=1, pods=4), ["add(2)", "withdraw([])", "route()"]),
    "scale down": (Scale(at_s=1, pods=1), ["withdraw([1])", "route()", "terminate(1, 0.0)"]),
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
    "exec": (Exec(at_s=1, command=("kubectl", "version")), ["run_command(('kubectl', 'version'), 60.0)"]),
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


def test_reloads_repeat_by_number_or_for_a_time() -> None:
    def times(**keys: Any) -> list[float]:
        return list(NginxReload(at_s=3, **keys).strikes_s(random.Random(1)))

    assert times() == [3]
    assert times(every_s=4, times=3) == [3, 7, 11]
    assert times(every_s=4, for_s=12) == [3, 7, 11]
    ten_minutes = times(every_s=4.4, for_s=600)
    assert len(ten_minutes) == 137
    assert ten_minutes[-1] == pytest.approx(3 + 136 * 4.4)


@pytest.mark.parametrize(("is_fault", "kind"), [(False, "mitigation"), (True, "fault")])
def test_a_reload_is_a_fault_where_its_scenario_says_so(is_fault: bool, kind: str) -> None:
    assert NginxReload(at_s=3, is_fault=is_fault).kind == kind
    assert NginxReload.kind == "mitigation"


@pytest.mark.parametrize("counts_as", ["fault", "mitigation", "condition"])
def test_a_command_counts_as_what_its_scenario_says(counts_as: Kind) -> None:
    assert Exec(at_s=3, command=("kubectl", "scale"), counts_as=counts_as).kind == counts_as
    assert Exec(at_s=3, command=("kubectl", "scale")).kind == Exec.kind == "fault"


@pytest.mark.parametrize(
    ("keys", "pods", "bounds"),
    [
        pytest.param({}, 10, (3, 2), id="as Kubernetes has it: up, and down"),
        pytest.param({}, 4, (1, 1), id="a quarter of four"),
        pytest.param({}, 1, (1, 0), id="a quarter of one"),
        pytest.param({"max_surge": 0, "max_unavailable": "10%"}, 4, (0, 1), id="one pod at least moves"),
        pytest.param({"max_surge": "100%", "max_unavailable": 0}, 3, (3, 0), id="all at once"),
    ],
)
def test_a_deploy_rounds_its_bounds(keys: dict[str, Any], pods: int, bounds: tuple[int, int]) -> None:
    assert Deploy(at_s=1, **keys).bounds(pods) == bounds


@pytest.mark.parametrize("pods", [1, 3, 8])
@pytest.mark.parametrize(
    "keys", [{}, {"max_surge": 0}, {"max_unavailable": 0}, {"max_surge": 3, "max_unavailable": 2}]
)
def test_a_deploy_keeps_to_its_bounds_at_every_moment(pods: int, keys: dict[str, Any]) -> None:
    event = Deploy(at_s=1, drain_s=5, **keys)
    surge, unavailable = event.bounds(pods)
    available, starting, most, fewest = pods, 0, pods, pods

    class Gateway:
        running = tuple(range(pods))
        replacing = asyncio.Lock()

        async def add(self, count: int) -> int:
            nonlocal available, starting, most
            starting += count
            most = max(most, available + starting)
            await asyncio.sleep(random.Random(starting).random() / 100)
            available, starting = available + count, starting - count
            return count

        def withdraw(self, indices: list[int]) -> None:
            nonlocal available, fewest
            available -= len(indices)
            fewest = min(fewest, available)

        async def terminate(self, index: int, drain_s: float) -> None:
            assert drain_s == 5

    stack = Stack()
    stack.own_gateway = Gateway()  # type: ignore[assignment]
    assert asyncio.run(event.strike(stack)) == {"pods": pods}
    assert (available, starting) == (pods, 0)
    assert most <= pods + surge
    assert fewest >= pods - unavailable


UNFIT: dict[str, tuple[Event, str]] = {
    "a drain of a pod that never is": (
        Drain(at_s=1, window_s=5, pods=(0, 4)),
        "pods: invalid value 4: expected 0 to 3 with 4 pods",
    ),
    "a drain that all leave": (Drain(at_s=1, window_s=5, leave_upstream=True), "leave_upstream: invalid"),
    "a drain by nginx": (Drain(at_s=1, window_s=5, by="proxy"), "by: not supported: nginx closes all"),
    "a deploy that cannot begin": (
        Deploy(at_s=1, max_surge=0, max_unavailable="0%"),
        "max_surge: invalid value 0: expected",
    ),
    "reloads for a time without a period": (NginxReload(at_s=1, for_s=9), "for_s: invalid value 9"),
    "reloads for a time and by number": (
        NginxReload(at_s=1, for_s=9, every_s=1, times=3),
        "times: invalid value 3",
    ),
}


@pytest.mark.parametrize(("event", "complaint"), UNFIT.values(), ids=UNFIT)
def test_an_event_that_does_not_fit_is_refused_with_its_key(event: Event, complaint: str) -> None:
    assert event.complaint(Context(pods=4, proxy="nginx")).startswith(complaint)


FIT = [
    Drain(at_s=1, window_s=0, pods=(0, 3), leave_upstream=True),
    Drain(at_s=1, window_s=5, leave_upstream=True, one_by_one=True),
    Deploy(at_s=1, max_surge=0),
    NginxReload(at_s=1, for_s=9, every_s=2),
]


@pytest.mark.parametrize("event", FIT)
def test_an_event_that_fits_is_taken(event: Event) -> None:
    assert event.complaint(Context(pods=4, proxy="nginx")) == ""


@pytest.mark.parametrize("proxy", ["nginx", "envoy", "haproxy"])
def test_no_proxy_drains_evenly_and_says_what_it_does_instead(proxy: str) -> None:
    said = Drain(at_s=1, window_s=5, by="proxy").complaint(Context(pods=4, proxy=proxy))
    assert "at once" in said
    assert said.endswith("expected 'gateway'")


def test_a_gateway_of_the_user_is_deployed_and_not_drained() -> None:
    own = Context(pods=4, proxy="nginx", own_gateway=True)
    assert "expected deploy, which sends SIGTERM" in Drain(at_s=1, window_s=5).complaint(own)
    assert Deploy(at_s=1).complaint(own) == ""


DURATIONS = {
    "a drain": (Drain(at_s=1, window_s=20), 20),
    "a drain of one pod after the other": (Drain(at_s=1, window_s=20, pods=(0, 1), one_by_one=True), 40),
    "the end of a pod": (Deploy(at_s=1, pre_stop_s=5, drain_s=20), 25),
    "over at once": (DropAll(at_s=1), 0),
    "a burst": (FeedBurst(at_s=1, factor=2, for_s=5), 5),
    "a stall": (FeedStall(at_s=1, for_s=6), 6),
    "a pause": (PausePod(at_s=1, for_s=7), 7),
    "a push": (PushPolicy(at_s=1, policy="naive", reach_s=8), 8),
}


@pytest.mark.parametrize(("event", "lasts_s"), DURATIONS.values(), ids=DURATIONS)
def test_an_event_knows_how_long_it_lasts(event: Event, lasts_s: float) -> None:
    assert event.lasts_s == lasts_s


def test_pods_of_a_deploy_have_indices_of_their_own() -> None:
    def loaded(pod: int) -> Scenario:
        events = f'event=[{{do="deploy", at_s=2}}, {{do="kill_pod", at_s=9, pod={pod}}}]'
        return load("mass-drop", ["gateway.pods=2", "matrix={}", events])

    assert loaded(3)
    with pytest.raises(ScenarioError, match="expected 0 to 3 with 4 pods"):
        loaded(4)


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

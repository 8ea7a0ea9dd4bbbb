"""What a worker does about its master and about clocks that are set; Locust's runner is a stand-in."""

import resource
from types import SimpleNamespace
from typing import Any, cast

import gevent
import pytest
from gevent.queue import Queue
from locust import User, runners, task
from locust.env import Environment
from locust.event import EventHook
from locust.rpc import Message, zmqrpc
from locust.runners import WorkerRunner
from msgspec.json import encode as encode_json

from scenarios.generator import hooks, worker
from scenarios.generator.worker import Worker, end_without_master
from scenarios.scenario.model import Fleet, Scenario, Target
from scenarios.wire.orders import Assignment, GeneratorSettings

PATIENCE_S = 60.0


class Runner:
    """Locust's worker runner, as far as it is looked at: with a time of the wall clock, taken long ago."""

    def __init__(self) -> None:
        self.last_heartbeat_timestamp: float | None = 1.0
        self.last_received_spawn_timestamp = 2e9
        self.quits = gevent.event.Event()

    def quit(self) -> None:
        self.quits.set()


def watched(runner: Runner) -> Any:
    """What to fire when it hears of its master."""
    hook = cast(Any, EventHook)()
    environment = SimpleNamespace(events=SimpleNamespace(heartbeat_received=hook))
    end_without_master(cast(Environment, environment), cast(WorkerRunner, runner))
    return hook


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "MASTER_SILENT_S", 1.0)
    monkeypatch.setattr(worker, "_LOOK_S", 0.02)


def test_a_worker_without_a_master_ends() -> None:
    runner = Runner()
    watched(runner)
    assert runner.quits.wait(60)


def test_one_that_hears_of_its_master_stays_whatever_the_wall_clock_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s, looks = 100.0, 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return now_s

    monkeypatch.setattr(worker, "monotonic", clock)
    runner = Runner()
    hook = watched(runner)
    for _ in range(20):
        hook.fire(client_id="a", timestamp=0.0)
        # Locust compares this with the wall clock, and does nothing without it.
        assert runner.last_heartbeat_timestamp is None
        now_s += 0.9
        before = looks
        with gevent.Timeout(60):
            while looks == before:
                gevent.sleep(0.002)
    assert not runner.quits.is_set()
    now_s += 0.2
    assert runner.quits.wait(60)


def test_the_next_test_may_begin_by_a_wall_clock_that_was_set_back() -> None:
    runner = Runner()
    stopped: list[bool] = []
    part = object.__new__(Worker)
    part._runner = cast(WorkerRunner, runner)
    part.generator = cast(Any, SimpleNamespace(stop=lambda: stopped.append(True)))
    part.stop()
    assert stopped == [True]
    assert runner.last_received_spawn_timestamp == 0


def test_a_worker_whose_share_of_the_clients_needs_too_many_open_files_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_000, 1_000))
    settings = GeneratorSettings(
        scenario=Scenario(fleet=Fleet(clients=1_500), target=Target(url="http://127.0.0.1:9")), epoch_ns=0
    )
    sent: list[object] = []
    runner = object.__new__(WorkerRunner)
    runner.client_id, runner.greenlet = "a", cast(Any, None)
    monkeypatch.setattr(runner, "send_message", lambda kind, data: sent.append((kind, data["reason"])))
    options = SimpleNamespace(storm=encode_json(Assignment(("a", "b"), settings)).decode())
    environment = cast(Environment, SimpleNamespace(runner=runner, parsed_options=options))
    assert hooks._begin_worker(environment, runner) is None
    ((kind, reason),) = cast("list[tuple[str, str]]", sent)
    assert kind == worker.TROUBLE
    assert reason.startswith("clients per process: invalid value 750: expected at most 744 with this host's")


class Link:
    """The worker's end of Locust's link: a master that says what a test puts into `orders`."""

    def __init__(self, *_: object) -> None:
        self.orders: Any = Queue()
        self.order("ack", {"index": 0})
        self.said: list[str] = []

    def order(self, kind: str, data: object = None) -> None:
        self.orders.put(cast(Any, Message)(kind, data, "master"))

    def recv(self) -> Any:
        return self.orders.get()

    def send(self, message: Any) -> None:
        self.said.append(message.type)


class Crowd(User):
    """Clients that only count themselves."""

    begun = 0

    @task
    def wait(self) -> None:
        type(self).begun += 1
        gevent.sleep(PATIENCE_S)


def test_an_order_to_stop_that_follows_the_start_at_once_leaves_no_client_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zmqrpc, "Client", Link)
    monkeypatch.setattr(hooks, "_begin_worker", lambda *_: None)
    environment = Environment(user_classes=[Crowd])
    cast(Any, environment.events.test_start).add_listener(hooks.begin)
    runner = environment.create_worker_runner("master", 1)
    link = cast(Link, runner.client)
    job = {"host": None, "stop_timeout": 0.0, "parsed_options": {}, "user_classes_count": {"Crowd": 3}}
    try:
        # Before its first test Locust takes a worker for new, before the others for stopped.
        for test in range(1, 4):
            link.order("spawn", {**job, "timestamp": float(test)})
            link.order("stop")
            with gevent.Timeout(PATIENCE_S):
                while link.said.count("client_ready") <= test:
                    gevent.sleep(0.01)
            gevent.sleep(0.1)
            assert (test, runner.user_count, runner.state) == (test, 0, runners.STATE_STOPPED)
        assert Crowd.begun == 0
    finally:
        runner.greenlet.kill(block=True)

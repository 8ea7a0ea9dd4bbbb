"""The master's end of the channel: who gets it, and what becomes of the test. The runner is a stand-in."""

import socket as sockets
import struct
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import gevent
import pytest
from gevent import socket
from locust.env import Environment
from locust.runners import (
    STATE_INIT,
    STATE_MISSING,
    STATE_RUNNING,
    STATE_STOPPED,
    MasterRunner,
    WorkerNode,
    WorkerNodes,
)
from msgspec.json import decode as decode_json
from msgspec.json import encode as encode_json

from scenarios.generator import channel_server, hooks
from scenarios.generator.channel_server import StormChannel, Strays, forget_missing
from scenarios.generator.master import Master
from scenarios.scenario.model import Fleet, Scenario
from scenarios.wire.framing import Unframer, frame
from scenarios.wire.interval import Interval, WorkerChange
from scenarios.wire.orders import (
    Assignment,
    Begin,
    Begun,
    Ended,
    Finalise,
    Finalised,
    GeneratorSettings,
    Hello,
    Message,
    Refused,
    decode,
    encode,
)
from tests.support.intervals import interval

TOKEN = "the token of these tests"
SETTINGS = GeneratorSettings(scenario=Scenario(fleet=Fleet(clients=6, ramp_per_s=3)), epoch_ns=0)


class FromWorker(dict[str, Any]):
    """A Locust message, as far as it is looked at."""

    def __init__(self, node_id: str, **data: Any) -> None:
        super().__init__(data)
        self.node_id = node_id
        self.data = self


class Runner:
    """Locust's master runner, as far as it is asked: two workers that obey at once."""

    def __init__(self) -> None:
        self.clients = WorkerNodes()
        for name in ("a", "b"):
            self.clients[name] = WorkerNode(name)
        self.state = STATE_INIT
        self.log: list[str] = []
        self.storms: StormChannel | None = None
        self.part: Master | None = None
        self.starts = True
        self.strays = Strays(cast(MasterRunner, self))

    def start(self, users: int, rate: float) -> None:
        self.log.append(f"start {users} at {rate:g}/s")
        if not self.starts:
            return
        self.state = STATE_RUNNING
        for worker in self.clients.all:
            worker.state = STATE_RUNNING
        assert self.storms is not None
        storm = self.storms.storm
        assert storm is not None
        self.part = Master(
            cast(MasterRunner, self),
            storm.settings,
            Assignment(tuple(self.clients), storm.settings),
            remote=False,
            on_second=lambda _: None,
            storm=storm,
            channel=None,
            quit_run=lambda: None,
        )

    def stop(self) -> None:
        if self.state != STATE_RUNNING:
            return
        self.log.append("stop")
        assert self.part is not None
        self.part.stopping()
        self.state = STATE_STOPPED
        for worker in self.clients.all:
            worker.state = STATE_INIT
        self.part.stop()

    def send_message(
        self, kind: str, data: dict[str, bytes] | None = None, client_id: str | None = None
    ) -> None:
        what = type(decode(data["order"])).__name__ if data else f"to {client_id}"
        self.log.append(f"{kind} {what}")

    def second(self, worker: str, second: int) -> None:
        assert self.part is not None
        self.part.on_second_of_worker(FromWorker(worker, interval=encode(interval(second, clients=3))))


class Peer:
    """A run's side of the channel."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self._unframer = Unframer()
        self._heard: list[Message] = []

    def say(self, *messages: Message) -> None:
        self.socket.sendall(b"".join(map(frame, messages)))

    def hears(self) -> Message | None:
        with gevent.Timeout(PATIENCE_S):
            while not self._heard:
                data = self.socket.recv(65_536)
                if not data:
                    return None
                self._heard += self._unframer.receive(data)
        return self._heard.pop(0)

    def leaves(self) -> None:
        self.socket.shutdown(sockets.SHUT_WR)


SOON_S = 0.3
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _soon_ready_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_server, "_READY_AGAIN_S", SOON_S)


@pytest.fixture
def runner() -> Runner:
    return Runner()


Connect = Callable[[], Peer]


@pytest.fixture
def connect(runner: Runner) -> Iterator[Connect]:
    def check(settings: GeneratorSettings) -> None:
        if settings.scenario.summary == "useless":
            raise ValueError("target.url: missing")

    channel = StormChannel(cast(MasterRunner, runner), ("127.0.0.1", 0), TOKEN, check=check, expect_workers=2)
    runner.storms = channel
    channel.start()
    peers: list[Peer] = []

    def new() -> Peer:
        peers.append(Peer(channel.address))
        return peers[-1]

    yield new
    for peer in peers:
        peer.socket.close()
    until(lambda: channel.storm is None)
    channel.stop()


def until(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(PATIENCE_S):
        while not condition():
            gevent.sleep(0.01)


def begun(connect: Connect) -> Peer:
    peer = connect()
    peer.say(Hello(TOKEN), Begin(SETTINGS))
    assert peer.hears() == Begun(2)
    return peer


@pytest.mark.parametrize("leave", ["ends", "resets"])
def test_a_run_that_has_gone_while_it_waited_for_workers_begins_nothing(
    connect: Connect, runner: Runner, caplog: pytest.LogCaptureFixture, leave: str
) -> None:
    caplog.set_level("INFO")
    late = runner.clients.pop("b")
    peer = connect()
    peer.say(Hello(TOKEN), Begin(SETTINGS))
    assert runner.storms is not None
    until(lambda: "waits for 2 workers, 1 is ready" in caplog.text)
    if leave == "resets":
        peer.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    peer.socket.close()
    until(lambda: runner.storms is not None and runner.storms.storm is None)
    assert "the run has gone before its test began" in caplog.text
    runner.clients["b"] = late
    begun(connect)
    assert runner.log == ["start 6 at 3/s"]


def test_a_storm_gets_its_seconds_and_gives_orders_until_it_leaves(connect: Connect, runner: Runner) -> None:
    peer = begun(connect)
    runner.second("a", 0)
    runner.second("b", 0)
    heard = peer.hears()
    assert isinstance(heard, Interval)
    assert (heard.clients, heard.processes) == (6, 2)
    peer.say(Finalise())
    until(lambda: "storm_order Finalise" in runner.log)
    for worker in ("a", "b"):
        assert runner.part is not None
        runner.part.on_finalised(FromWorker(worker))
    assert peer.hears() == Finalised()
    peer.leaves()
    assert peer.hears() is None
    assert runner.log == ["start 6 at 3/s", "storm_order Finalise", "stop"]


def test_the_next_storm_may_come_before_the_last_one_is_cleared_away(
    connect: Connect, runner: Runner
) -> None:
    begun(connect).leaves()
    begun(connect).leaves()
    until(lambda: runner.log == ["start 6 at 3/s", "stop"] * 2)


def test_one_storm_at_a_time(connect: Connect, runner: Runner) -> None:
    begun(connect)
    other = connect()
    other.say(Hello(TOKEN), Begin(SETTINGS))
    assert other.hears() == Refused("another storm is running: expected one at a time")
    assert runner.log == ["start 6 at 3/s"]


def by_hand(runner: Runner) -> None:
    runner.state = STATE_RUNNING


def too_few(runner: Runner) -> None:
    runner.clients["a"].state = STATE_MISSING


def no_start(runner: Runner) -> None:
    runner.starts = False


@pytest.mark.parametrize(
    ("spoil", "said", "reason", "waited"),
    [
        pytest.param(None, [Hello("another")], "wrong or missing token", "", id="another token"),
        pytest.param(None, [], "nothing was said within 0.3 s", "_GREETING_S", id="silence"),
        pytest.param(
            None,
            [Hello("x" * 5_000)],
            "a message of 5021 bytes: expected at most 4096",
            "",
            id="a stranger with much to say",
        ),
        pytest.param(
            None,
            [
                Hello(TOKEN),
                Begin(GeneratorSettings(scenario=Scenario(summary="useless"), epoch_ns=0)),
            ],
            "target.url: missing",
            "",
            id="settings that cannot be used",
        ),
        pytest.param(
            by_hand,
            [Hello(TOKEN), Begin(SETTINGS)],
            "a test started in the web UI is running: stop it first",
            "",
            id="a test by hand",
        ),
        pytest.param(
            too_few,
            [Hello(TOKEN), Begin(SETTINGS)],
            "1 workers are ready: expected 2",
            "_WORKERS_S",
            id="too few workers",
        ),
        pytest.param(
            no_start,
            [Hello(TOKEN), Begin(SETTINGS)],
            "the test could not be started, the master's log says why",
            "_BEGIN_S",
            id="no start",
        ),
    ],
)
def test_a_refusal_says_why(
    connect: Connect,
    runner: Runner,
    spoil: Callable[[Runner], None] | None,
    said: list[Message],
    reason: str,
    waited: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """waited: the time-out that has to pass first."""
    if waited:
        monkeypatch.setattr(channel_server, waited, SOON_S)
    if spoil:
        spoil(runner)
    peer = connect()
    peer.say(*said)
    assert peer.hears() == Refused(reason)
    assert peer.hears() is None


def test_a_test_that_the_master_ends_is_told_to_the_storm(connect: Connect, runner: Runner) -> None:
    peer = begun(connect)
    runner.stop()
    assert peer.hears() == Ended("the test was stopped at the Locust master, or its last worker is gone")
    assert peer.hears() is None


def test_a_worker_that_cannot_take_part_ends_the_storm(connect: Connect, runner: Runner) -> None:
    peer = begun(connect)
    assert runner.part is not None
    runner.part.on_trouble(FromWorker("b", reason="no clock"))
    assert peer.hears() == Ended("worker b: no clock")


def test_a_cap_below_the_number_of_workers_is_refused(connect: Connect) -> None:
    fleet = Fleet(clients=6, max_attempts_per_s=1)
    peer = connect()
    peer.say(Hello(TOKEN), Begin(GeneratorSettings(scenario=Scenario(fleet=fleet), epoch_ns=0)))
    refused = peer.hears()
    assert isinstance(refused, Refused)
    assert "fleet.max_attempts_per_s: invalid value 1: expected 0, or at least 2" in refused.reason


def test_workers_that_come_in_the_middle_of_a_test_get_numbers_of_their_own() -> None:
    assignment = Assignment(("a", "b"), SETTINGS)
    options = SimpleNamespace(enable_rebalancing=True, storm=encode_json(assignment).decode())
    for name in ("c", "a", "d", "c"):
        hooks._enrol(options, name)
    assert decode_json(options.storm, type=Assignment) == Assignment(("a", "b"), SETTINGS, late=("c", "d"))


@pytest.mark.parametrize("said", [b"", b"\xc1", b"\x80", b"\x81\xa4type\xa3\xff\xfe\xfd"])
def test_a_second_that_cannot_be_understood_ends_the_storm(
    connect: Connect, runner: Runner, said: bytes
) -> None:
    peer = begun(connect)
    environment = cast(Environment, SimpleNamespace(part=runner.part))
    # By the way that Locust takes, which logs what a listener raises and goes on.
    hooks._part(environment, Master, "on_second_of_worker", FromWorker("b", interval=said))
    ended = peer.hears()
    assert isinstance(ended, Ended)
    assert "on_second_of_worker failed" in ended.reason


def test_a_worker_that_is_lost_before_it_reported_anything_ends_the_storm(
    connect: Connect, runner: Runner
) -> None:
    peer = begun(connect)
    runner.clients["a"].state = STATE_MISSING
    assert peer.hears() == Ended("worker a was lost before it had reported anything")


def test_a_lost_worker_stays_lost_and_a_newcomer_waits(connect: Connect, runner: Runner) -> None:
    peer = begun(connect)
    assert runner.part is not None
    for second in (0, 1):
        for worker in ("a", "b")[second:]:
            runner.second(worker, second)
    first = peer.hears()
    assert isinstance(first, Interval)
    runner.clients["a"].state = STATE_MISSING
    runner.part.on_newcomer("b")  # no newcomer: it takes part
    runner.part.on_newcomer("c")
    without_it = peer.hears()
    # It comes back to life, and has clients that nobody counts any more.
    runner.clients["a"].state = STATE_RUNNING
    runner.second("a", 2)
    runner.second("b", 2)
    seen = [without_it, peer.hears()]
    assert [(s.second, s.clients, s.missing, s.processes) for s in seen if isinstance(s, Interval)] == [
        (1, 3, 3, 1),
        (2, 3, 3, 1),
    ]
    assert isinstance(seen[0], Interval)
    assert set(seen[0].worker_changes) == {WorkerChange("a", "lost", 3), WorkerChange("c", "joined")}


def test_only_workers_that_have_been_silent_for_long_are_forgotten() -> None:
    runner = Runner()
    runner.clients["a"].state, runner.clients["a"].heartbeat = STATE_MISSING, -29
    forget_missing(cast(MasterRunner, runner), silent_for_s=30)
    assert set(runner.clients) == {"a", "b"}
    runner.clients["a"].heartbeat = -30
    forget_missing(cast(MasterRunner, runner), silent_for_s=30)
    assert set(runner.clients) == {"b"}


def after_seconds_of(runner: Runner, *seconds: tuple[str, int]) -> None:
    """These come to the master by the way that Locust takes."""
    environment = cast(Environment, SimpleNamespace(part=runner.part, runner=runner))
    for worker, second in seconds:
        message = FromWorker(worker, interval=encode(interval(second, clients=3)))
        hooks._second(environment, runner.strays, message)


def test_a_lost_worker_that_comes_back_is_told_once_to_stop_its_clients(
    connect: Connect, runner: Runner
) -> None:
    peer = begun(connect)
    after_seconds_of(runner, ("a", 0), ("b", 0), ("b", 1))
    assert isinstance(peer.hears(), Interval)
    runner.clients["a"].state = STATE_MISSING
    assert isinstance(peer.hears(), Interval), "without it"
    runner.clients["a"].state = STATE_RUNNING
    after_seconds_of(runner, ("a", 1), ("a", 2), ("b", 2))
    assert runner.log == ["start 6 at 3/s", "stop to a"]


def test_a_worker_that_was_forgotten_is_told_between_two_tests_as_well(runner: Runner) -> None:
    after_seconds_of(runner, ("c", 7), ("c", 8))
    assert runner.log == ["stop to c"]
    runner.strays.came_back("c")
    after_seconds_of(runner, ("c", 9))
    assert runner.log == ["stop to c", "stop to c"], "it has been ready in between"


def test_the_last_seconds_of_a_worker_after_a_test_say_nothing(runner: Runner) -> None:
    after_seconds_of(runner, ("a", 7))
    assert runner.log == []


def test_a_lost_worker_that_comes_back_is_a_newcomer(connect: Connect, runner: Runner) -> None:
    peer = begun(connect)
    for worker, second in (("a", 0), ("b", 0), ("b", 1)):
        runner.second(worker, second)
    assert isinstance(peer.hears(), Interval)
    runner.clients["a"].state = STATE_MISSING
    assert isinstance(peer.hears(), Interval)
    # It has stopped its clients, and is ready: nobody waits for its seconds.
    runner.clients["a"].state = STATE_INIT
    assert runner.part is not None
    runner.part.on_newcomer("a")
    runner.second("b", 2)
    heard = peer.hears()
    assert isinstance(heard, Interval)
    assert (heard.second, heard.missing, heard.worker_changes) == (2, 3, (WorkerChange("a", "joined"),))

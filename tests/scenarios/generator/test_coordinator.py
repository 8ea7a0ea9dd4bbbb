"""The head of a generator: what it keeps when nobody listens, and how it asks a health URL.

The health URL is asked in a process of its own, patched as under Locust: `ask_all` below is what runs there.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from itertools import repeat
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import gevent.socket
import msgspec
import pytest

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.generator import coordinator
from scenarios.generator.coordinator import Head, health_problem
from scenarios.scenario.model import Abort, Scenario
from scenarios.wire.framing import Unframer, frame
from scenarios.wire.orders import Aborted, GeneratorSettings, Message, SetFeed
from tests.support.intervals import interval

OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS: dict[str, tuple[Any, float]] = {
    "busy": ([b"busy\n"], 0.0),
    "nothing": ([], 0.0),
    "zeros": ([bytes(100)], 0.0),
    "a status that is no number": ([b"HTTP/1.1 fine OK\r\n\r\n"], 0.0),
    "a line without an end": ([b"HTTP/1.1 200 " + b"x" * 100_000], 0.0),
    "an endless header": ([OK + b"X: " + b"x" * 100_000 + b"\r\n\r\n"], 0.0),
    "too many headers": ([OK + b"X: 1\r\n" * 200 + b"\r\n"], 0.0),
    "byte by byte": (repeat(b"H"), 0.05),
    "header by header": ([OK, *[b"X: 1\r\n"] * 60, b"\r\n"], 0.05),
    "silence": ([b""], 5.0),
    "unavailable": ([b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"], 0.0),
    "a redirect to nowhere": ([b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n"], 0.0),
    "a redirect to a file": ([b"HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\n\r\n"], 0.0),
    "a redirect that never ends": ([b"HTTP/1.1 302 Found\r\nLocation: /\r\n", *[b"X: 1\r\n"] * 60], 0.05),
}
"""By name, what a health URL says piece by piece, and how long it rests before each."""
GOOD = {
    "ok": ([OK + b"Content-Length: 2\r\n\r\nok"], 0.0),
    "an endless body": ([OK + b"\r\n" + b"x" * 100_000], 0.0),
}

ENDLESS = ("byte by byte", "header by header", "a redirect that never ends")
"""Where something comes again and again."""

POLICY_FAILED = "a reconnect policy failed inside a client: LookupError: no (mine.py, line 7)"


SECRET = "open-sesame-to-everything"


def settings(abort: Abort | None = None) -> GeneratorSettings:
    return GeneratorSettings(scenario=Scenario(abort=abort or Abort()), epoch_ns=0)


def test_without_a_runner_seconds_do_not_pile_up() -> None:
    head = Head(settings(), remote=False, obey=lambda _: None, quit_run=lambda: None)
    for second in range(3):
        head.on_interval(interval(second))
    assert head.waiting == 0
    head.stop()


def test_a_publishers_clock_that_is_ahead_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    head = Head(settings(), remote=False, obey=lambda _: None, quit_run=lambda: None)
    for second in range(20):
        head.on_interval(interval(second, early=1, earliest_ns=7_000_000))
    head.stop()
    said = [record.message for record in caplog.records]
    assert said == ["the publisher's clock is ahead by at least 7.0 ms: latencies are too low by that amount"]


def test_a_run_whose_policy_fails_inside_a_client_is_aborted_and_told_why() -> None:
    ours, theirs = gevent.socket.socketpair()
    quitted = gevent.event.Event()
    head = Head(settings(), channel=theirs, remote=False, obey=lambda _: None, quit_run=quitted.set)
    for second in range(3):
        head.on_interval(
            interval(
                second,
                client_error="a reconnect policy failed inside a client: LookupError: no (mine.py, line 7)",
            )
        )
    assert quitted.wait(60)
    head.stop()
    theirs.close()
    unframer, said = Unframer(), []
    while data := ours.recv(65_536):
        said += [message for message in unframer.receive(data) if isinstance(message, Aborted)]
    ours.close()
    reason = POLICY_FAILED
    assert said == [Aborted(reason)]


# -- in a process of its own ------------------------------------------------------------------------


def serve(pieces: Any, rest_s: float, said: list[float]) -> str:
    """The URL of a server that says this to whoever connects; said: takes the rest before each piece."""
    from gevent.server import StreamServer

    def answer(connection: Any, _peer: object) -> None:
        try:
            connection.recv(65_536)
            for piece in pieces:
                gevent.sleep(rest_s)
                said.append(rest_s)
                connection.sendall(piece)
        except OSError:
            pass

    server = StreamServer(("127.0.0.1", 0), answer)
    server.start()
    return f"http://127.0.0.1:{server.server_port}/"


def nobody() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


def aborted(abort: Abort, every_s: float) -> list[Message]:
    """What a head without a single good second has done that took seconds that often."""
    orders: list[Message] = []
    ended = gevent.event.Event()
    head = Head(settings(abort), remote=False, obey=orders.append, quit_run=ended.set)
    for second in range(30):
        head.on_interval(interval(second))
        if ended.wait(every_s):
            break
    head.stop()
    return orders


def deaf() -> list[str]:
    """How a generator ends that gets an order which it cannot carry out."""

    def obey(order: Message) -> None:
        if isinstance(order, SetFeed):
            raise AssertionError("somebody else's feed")

    ends: list[str] = []
    for said in (frame(SetFeed(FeedSchedule.of(0, 5.0))), b"\0\0\0\3\x81\xa1\xff"):
        ours, theirs = gevent.socket.socketpair()
        quitted = gevent.event.Event()
        head = Head(settings(), channel=theirs, remote=False, obey=obey, quit_run=quitted.set)
        ours.sendall(said)
        ends.append("ended" if quitted.wait(60) else "deaf")
        head.stop()
    return ends


def ask_all() -> None:
    said: dict[str, list[float]] = {name: [] for name in {**ANSWERS, **GOOD}}
    urls = {name: serve(*answer, said[name]) for name, answer in {**ANSWERS, **GOOD}.items()}
    urls["nobody"] = nobody()

    def asked(name: str) -> tuple[str, float]:
        problem = health_problem(urls[name])
        return problem, sum(said.get(name, []))

    def ask(names: Iterable[str], watched: Iterable[str], every_s: float) -> tuple[Any, Any]:
        asking = {name: gevent.spawn(asked, name) for name in names}
        gevent.joinall(list(asking.values()))
        watching = {
            name: gevent.spawn(aborted, Abort(health_url=urls[name], for_s=2), every_s) for name in watched
        }
        gevent.joinall(list(watching.values()))
        answers = {name: greenlet.value for name, greenlet in asking.items()}
        return answers, {name: len(greenlet.value) for name, greenlet in watching.items()}

    answers, aborts = ask((*ANSWERS, "nobody"), ("busy", "header by header"), 0.1)
    # Who answers well is not to be late only because this process stood still.
    coordinator._HEALTH_TIMEOUT_S = 60.0
    good_answers, good_aborts = ask(GOOD, ("ok",), 0.05)
    seen = {
        "answers": answers | good_answers,
        "aborts": aborts | good_aborts,
        "channel": deaf(),
        "secret": health_problem("x" * 160 + SECRET, [SECRET]),
    }
    sys.stdout.buffer.write(msgspec.json.encode(seen))


@pytest.fixture(scope="module")
def seen() -> Any:
    played = subprocess.run(
        [sys.executable, "-m", "gevent.monkey", __file__],
        capture_output=True,
        check=False,
        # Whoever asks such a proxy learns nothing of the target.
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "http_proxy": nobody()},
    )
    assert played.returncode == 0, played.stderr.decode()
    return {**msgspec.json.decode(played.stdout), "stderr": played.stderr.decode()}


@pytest.mark.parametrize("answer", [*ANSWERS, "nobody"])
def test_whatever_a_health_url_says_but_a_good_answer_is_unhealthy_and_said_in_a_line(
    seen: Any, answer: str
) -> None:
    problem, _ = seen["answers"][answer]
    assert 0 < len(problem) <= 200
    assert problem.isascii()
    assert problem.isprintable()


@pytest.mark.parametrize("answer", ENDLESS)
def test_an_answer_has_a_second_in_all_however_often_something_comes(seen: Any, answer: str) -> None:
    problem, rested_s = seen["answers"][answer]
    assert problem == "did not answer within 1 s"
    assert rested_s < 1.5


@pytest.mark.parametrize("answer", GOOD)
def test_a_good_answer_is_healthy_whatever_proxy_the_environment_names(seen: Any, answer: str) -> None:
    assert seen["answers"][answer][0] == ""


@pytest.mark.parametrize(("answer", "aborts"), [("busy", 1), ("header by header", 1), ("ok", 0)])
def test_a_run_is_aborted_when_its_health_url_cannot_be_understood(
    seen: Any, answer: str, aborts: int
) -> None:
    assert seen["aborts"][answer] == aborts


def test_a_secret_is_hidden_before_a_complaint_is_cut(seen: Any) -> None:
    assert seen["secret"].startswith("unknown url type: 'xxx")
    assert seen["secret"].endswith("xxx(hidden)'")


def test_a_generator_that_cannot_follow_orders_any_more_ends(seen: Any) -> None:
    assert seen["channel"] == ["ended", "ended"]


def test_no_greenlet_of_a_head_fails(seen: Any) -> None:
    assert "failed with" not in seen["stderr"]


if __name__ == "__main__":
    ask_all()

"""A session knows which pod it is at, where each pod numbers its own ticks."""

from typing import Any

import pytest
from socketio import packet as socketio

from scenarios.clients.protocol.packets import Subscription
from scenarios.clients.protocol.polling import PollingSession
from scenarios.clients.protocol.session import Session
from scenarios.clients.protocol.streams import Streams
from scenarios.clients.protocol.ticks import UNNUMBERED, Tick, TickReader
from scenarios.scenario.model import POD_HEADER, Feed
from tests.support.server_bytes import (
    HEAD,
    JOIN,
    OPEN,
    UPGRADE,
    body,
    open_packet,
    response,
    socket_packets,
    tick,
    tick_packet,
)

MS = 1_000_000


def shared(*, per_pod: bool = True, **feed: Any) -> Subscription:
    return Subscription(TickReader(Feed(**feed), Streams(5.0, fitted=False)), per_pod=per_pod)


def at(pod: str, subscription: Subscription) -> Session:
    """A session that has joined at a pod; without one, its proxy does not say."""
    session = Session(UPGRADE.request, subscription)
    header = f"\r\n{POD_HEADER.lower()}: {pod}\r\n\r\n".encode() if pod else b"\r\n\r\n"
    session.receive(HEAD.replace(b"\r\n\r\n", header) + OPEN + JOIN)
    return session


def number(session: Session, seq: int, now_ns: int = 0) -> int:
    (event,) = session.receive(tick(seq), now_ns)
    assert isinstance(event, Tick)
    return event.seq


def test_equal_bytes_of_different_pods_are_different_ticks() -> None:
    subscription = shared()
    first, second, again = at("a:1", subscription), at("b:2", subscription), at("a:1", subscription)
    assert number(first, 5) == number(again, 5) != number(second, 5)
    assert number(again, 6) == number(first, 5) + 1
    # Read once by each pod, and looked up after that.
    assert [len(subscription.at(pod).chunks) for pod in ("a:1", "b:2")] == [2, 1]
    assert subscription.chunks == {}


def test_without_numbers_of_their_own_pods_share_what_is_read() -> None:
    subscription = shared(per_pod=False)
    assert number(at("a:1", subscription), 5) == number(at("b:2", subscription), 5)
    assert subscription.at("a:1") is subscription


def test_of_several_pods_that_a_proxy_asked_the_last_one_answers() -> None:
    subscription = shared()
    assert number(at("a:1, b:2", subscription), 5) == number(at("b:2", subscription), 5)


def test_a_proxy_that_does_not_say_has_one_stream() -> None:
    subscription = shared()
    assert number(at("", subscription), 5) + 1 == number(at("", subscription), 6)


def test_a_polling_session_is_told_with_each_answer() -> None:
    subscription = shared()
    session = PollingSession(UPGRADE, subscription)
    told = {POD_HEADER: "b:2"}
    session.receive_http(response(body(open_packet()), headers=told))
    session.receive_http(response(b"ok", headers=told))
    session.receive_http(response(body(*socket_packets(socketio.CONNECT, {"sid": "b"})), headers=told))
    (event,) = session.receive_http(response(body(tick_packet(5)), headers=told))
    assert isinstance(event, Tick)
    assert event.seq == number(at("b:2", subscription), 5)


def test_equal_numbers_of_two_pods_are_first_received_at_two_moments() -> None:
    subscription = shared(due_field="")
    for pod, now_ns in (("a:1", 10 * MS), ("b:2", 70 * MS)):
        (event,) = at(pod, subscription).receive(tick(5), now_ns)
        assert isinstance(event, Tick)
        assert event.due_ns == now_ns


@pytest.mark.parametrize(
    ("content", "reference", "problem"),
    [
        pytest.param(
            b'{"due_ns":5}',
            "due",
            "the ticks carry no number; feed.seq_field says where it is",
            id="unnumbered",
        ),
        pytest.param(
            b'{"seq":5}',
            "first receipt",
            "the ticks carry no publish time; feed.due_field says where it is",
            id="no publish time",
        ),
    ],
)
def test_ticks_that_turn_out_to_have_no_schedule_say_why(
    content: bytes, reference: str, problem: str
) -> None:
    streams = Streams(5.0, fitted=True)
    reader = TickReader(Feed(due="schedule"), streams)
    for turn in range(100):
        found = reader.read(b'["tick",' + content + b"]", turn * 200 * MS)
        assert (found.seq == UNNUMBERED) is (reference == "due")
    assert reader.reference == reference
    assert [fit.problem for fit in reader.fits] == [problem]
    assert not streams.used

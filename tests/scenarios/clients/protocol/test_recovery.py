"""Connection state recovery, from the client's side: what a session reads, and what the next one says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio import packet as socketio

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.clients.protocol.offsets import offset_of, pid_of
from scenarios.clients.protocol.packets import Event, Events, Joined, Other, Pinged, Subscription
from scenarios.clients.protocol.recovery import Recovery
from scenarios.clients.protocol.schedule import SharedSchedule
from scenarios.clients.protocol.session import Session
from scenarios.clients.protocol.ticks import Tick, TickReader
from scenarios.scenario.model import Feed
from tests.support.server_bytes import HEAD, OPEN, UPGRADE, socket


def session_with(recovery: bool) -> Session:
    """One that has sent its CONNECT packet."""
    reader = TickReader(Feed(), SharedSchedule(FeedSchedule.of(0, 5.0)))
    session = Session(UPGRADE.request, Subscription(reader, recovery=recovery))
    session.receive(HEAD + OPEN)
    return session


def event(*arguments: Any) -> bytes:
    return socket(socketio.EVENT, list(arguments))


def connected(**content: str) -> bytes:
    return socket(socketio.CONNECT, content)


def tick_of(seq: int) -> dict[str, int]:
    return {"seq": seq, "due_ns": seq * 10}


MISSED = event("tick", tick_of(1), "o1") + event("news", "x", "o2") + event("tick", tick_of(2), "o3")
REPLAYED = (Tick(1, 10, "o1"), Other("o2"), Tick(2, 20, "o3"))


@pytest.mark.parametrize("at_once", [True, False], ids=["in one chunk", "in three chunks"])
def test_what_comes_before_the_join_was_missed_and_is_read_with_it(at_once: bool) -> None:
    session = session_with(recovery=True)
    chunks = [MISSED, connected(sid="s", pid="p"), event("tick", tick_of(3), "o4")]
    found: list[Event] = []
    for chunk in [b"".join(chunks)] if at_once else chunks:
        found += session.receive(chunk)
    assert found == [Joined("p", REPLAYED), Tick(3, 30, "o4")]


def test_a_session_without_recovery_reads_no_offset_and_nothing_before_the_join() -> None:
    session = session_with(recovery=False)
    assert session.receive(MISSED) == (Other(), Other(), Other())
    assert session.receive(connected(sid="s", pid="p")) == (Joined(),)
    assert session.receive(event("tick", tick_of(3), "o4")) == (Tick(3, 30),)


def test_a_chunk_that_many_clients_get_has_its_offset_for_all_of_them() -> None:
    session = session_with(recovery=True)
    session.receive(connected(sid="s", pid="p"))
    chunk = event("tick", tick_of(3), "o4")
    assert session.receive(chunk) == session.receive(chunk) == (Tick(3, 30, "o4"),)
    assert chunk in session._subscription.chunks


def test_an_event_that_wants_an_answer_has_no_offset() -> None:
    session = session_with(recovery=True)
    session.receive(connected(sid="s", pid="p"))
    for content, found in (["news", "x", "o1"], Other()), (["tick", tick_of(3), "o2"], Tick(3, 30)):
        assert session.receive(socket(socketio.EVENT, content, ack=7)) == (found,)


LAST_ARGUMENTS: dict[str, tuple[Any, str]] = {
    "an offset": (["tick", {"seq": 1}, "o1"], "o1"),
    "a text that is none": (["news", "hello"], "hello"),
    "the name alone": (["bell"], "bell"),
    "a number": (["tick", 5], ""),
    "a table": (["tick", {"seq": 1}], ""),
    "nothing": ([], ""),
    "no list": ({"a": "b"}, ""),
}


@pytest.mark.parametrize(("content", "offset"), LAST_ARGUMENTS.values(), ids=LAST_ARGUMENTS)
def test_a_client_takes_a_text_at_the_end_of_an_event_for_its_offset(content: Any, offset: str) -> None:
    assert offset_of(json.dumps(content).encode()) == offset


PAYLOADS = {
    "with recovery": (b'{"sid":"s","pid":"p"}', "p"),
    "without": (b'{"sid":"s"}', ""),
    "empty": (b"", ""),
    "no table": (b'"p"', ""),
    "another kind": (b'{"pid":5}', ""),
}


@pytest.mark.parametrize(("content", "pid"), PAYLOADS.values(), ids=PAYLOADS)
def test_a_server_with_recovery_tells_an_id(content: bytes, pid: str) -> None:
    assert pid_of(content) == pid


@given(st.binary(max_size=40))
def test_no_content_is_too_strange(content: bytes) -> None:
    assert isinstance(offset_of(content), str)
    assert isinstance(pid_of(content), str)


STEPS: dict[str, tuple[list[Events], Any, Any]] = {
    # sessions so far, what the client would join with, what it joins with
    "the first session asks for nothing": ([], {"token": "t"}, {"token": "t"}),
    "nor does one with nothing to say": ([], None, None),
    "a server without recovery": ([(Joined(), Tick(1, 1, "o1"))], None, None),
    "no event yet": ([(Joined("p"), Pinged())], None, {"pid": "p"}),
    "a tick": ([(Joined("p"), Tick(1, 1, "o1"))], None, {"pid": "p", "offset": "o1"}),
    "another event": ([(Joined("p"), Other("o1"))], None, {"pid": "p", "offset": "o1"}),
    "one without an offset": ([(Joined("p"), Other("o1"), Other())], None, {"pid": "p", "offset": "o1"}),
    "an event before the id is known": ([(Other("o0"), Joined("p"))], None, {"pid": "p"}),
    "replayed events come before newer ones": (
        [(Joined("p", (Tick(1, 1, "o1"), Tick(2, 2, "o2"))), Tick(3, 3, "o3"))],
        None,
        {"pid": "p", "offset": "o3"},
    ),
    "a session that was not recovered": (
        [(Joined("p"), Tick(1, 1, "o1")), (Joined("q"),)],
        None,
        {"pid": "q", "offset": "o1"},
    ),
    "what a client says itself stays": (
        [(Joined("p"), Tick(1, 1, "o1"))],
        {"token": "t", "offset": "mine"},
        {"pid": "p", "offset": "mine", "token": "t"},
    ),
}


@pytest.mark.parametrize(("sessions", "auth", "payload"), STEPS.values(), ids=STEPS)
def test_a_client_joins_with_the_id_and_the_offset_that_it_has(
    sessions: list[Events], auth: Any, payload: Any
) -> None:
    recovery = Recovery()
    for events in sessions:
        recovery.payload(auth)
        recovery.take(events)
    assert recovery.payload(auth) == payload


@pytest.mark.parametrize(
    ("pids", "asked", "recovered"),
    [
        (["p"], False, False),
        (["p", "p"], True, True),
        (["p", "q"], True, False),
        (["p", ""], True, False),
        (["", ""], False, False),
        (["p", "q", "q"], True, True),
    ],
)
def test_a_session_is_recovered_if_the_server_tells_the_same_id_again(
    pids: list[str], asked: bool, recovered: bool
) -> None:
    recovery = Recovery()
    for pid in pids:
        recovery.payload(None)
        recovery.take((Joined(pid),))
    assert (recovery.asked, recovery.recovered) == (asked, recovered)


def test_replayed_events_are_handled_behind_the_join_and_before_what_follows() -> None:
    events = (Joined("p", REPLAYED), Pinged())
    assert Recovery().take(events) == (Joined("p", REPLAYED), *REPLAYED, Pinged())

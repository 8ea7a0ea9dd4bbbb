"""A tick's number and time, wherever its event carries them."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.clients.protocol.schedule import ObservedSchedule, SharedSchedule
from scenarios.clients.protocol.ticks import (
    FOR_EVER_NS,
    NUMBER_LASTS_NS,
    SAME_TICK_NS,
    UNNUMBERED,
    Tick,
    TickError,
    TickReader,
)
from scenarios.scenario.model import Feed

NOW_NS = 50_000_000_000_000
UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def reader(wall_offset_ns: int = 0, **feed: Any) -> TickReader:
    return TickReader(Feed(**feed), ObservedSchedule(), wall_offset_ns)


def event(*arguments: Any) -> bytes:
    return json.dumps(["tick", *arguments]).encode()


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(UNITS)),
    st.sampled_from(["monotonic", "wall"]),
    st.integers(0, 9 * 10**9) | st.floats(0, 9e9),
    st.integers(-(10**18), 10**18),
)
def test_times_of_every_unit_and_clock_become_monotonic_nanoseconds(
    unit: str, clock: str, time: float, offset_ns: int
) -> None:
    due_ns = round(time * UNITS[unit]) + (offset_ns if clock == "wall" else 0)
    ticks = reader(offset_ns, due_field="at", due_unit=unit, due_clock=clock)
    if not 0 <= due_ns < 2**63:
        with pytest.raises(TickError, match="out of range"):
            ticks.read(event({"at": time, "seq": 4}), NOW_NS)
    else:
        assert ticks.read(event({"at": time, "seq": 4}), NOW_NS) == Tick(4, due_ns)


def test_the_wall_clock_is_followed_when_it_is_set() -> None:
    ticks = reader(-100, due_clock="wall")
    first = ticks.read(event({"due_ns": 1_000, "seq": 1}), NOW_NS)
    ticks.wall_offset_ns = -300
    second = ticks.read(event({"due_ns": 2_000, "seq": 2}), NOW_NS)
    assert (first.due_ns, second.due_ns) == (900, 1_700)


@pytest.mark.parametrize(
    ("due_field", "seq_field", "arguments"),
    [
        pytest.param("due_ns", "seq", [{"due_ns": 70, "seq": 3}], id="keys of the first argument"),
        pytest.param("meta.ts", "meta.no.n", [{"meta": {"ts": 70, "no": {"n": 3}}}], id="nested"),
        pytest.param("list.1", "list.0", [{"list": [3, 70]}], id="places in a list"),
        pytest.param("0", "1", [70, 3], id="arguments by number"),
        pytest.param("1.ts", "2.0", ["AAPL", {"ts": 70}, [3]], id="within arguments by number"),
        pytest.param("ts", "n", [{"ts": "70", "n": 3}], id="a string of digits"),
        pytest.param("ts", "n", [{"ts": 70.4, "n": 3}], id="a fraction"),
        pytest.param("größe.ü", "n", [{"größe": {"ü": 70}, "n": 3}], id="keys beyond ASCII"),
    ],
)
def test_paths_lead_to_number_and_time(due_field: str, seq_field: str, arguments: list[Any]) -> None:
    ticks = reader(due_field=due_field, seq_field=seq_field)
    assert ticks.lasting
    assert ticks.reference == "due"
    assert ticks.read(event(*arguments), NOW_NS) == Tick(3, 70)


def test_whole_numbers_keep_every_nanosecond() -> None:
    due_ns = 2**63 - 1
    assert reader().read(event({"due_ns": due_ns, "seq": 1}), NOW_NS).due_ns == due_ns
    assert reader().read(event({"due_ns": str(due_ns), "seq": 1}), NOW_NS).due_ns == due_ns


FINE = {"due_ns": 5, "seq": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(b'["tick",{"due_ns":5', "truncated", id="no JSON"),
        pytest.param(b'["tick",{"due_ns":5,"seq":1,"a":"\xff"}]', "utf-8", id="no UTF-8"),
        pytest.param(b'["tick",' + b"[" * 5_000, "recursion", id="nested too deeply"),
        pytest.param(event(), "no whole number at 0.seq", id="no argument"),
        pytest.param(event({"seq": 1}), "no number at 0.due_ns", id="no time"),
        pytest.param(event(["seq"]), "no whole number at 0.seq", id="a list in place of the object"),
        pytest.param(event({**FINE, "due_ns": True}), "no number at 0.due_ns", id="a truth value as time"),
        pytest.param(event({**FINE, "due_ns": "1.5"}), "no number at 0.due_ns", id="other text as time"),
        pytest.param(event({**FINE, "due_ns": [5]}), "no number at 0.due_ns", id="a list as time"),
        pytest.param(event({**FINE, "due_ns": {}}), "no number at 0.due_ns", id="an object as time"),
        pytest.param(event({**FINE, "due_ns": -1}), "time -1 ns out of range", id="a negative time"),
        pytest.param(event({**FINE, "due_ns": 2**63}), "out of range", id="a time beyond 64 bits"),
        pytest.param(event({"due_ns": 5}), "no whole number at 0.seq", id="no number"),
        pytest.param(event({**FINE, "seq": False}), "no whole number at 0.seq", id="a truth value as number"),
        pytest.param(event({**FINE, "seq": 1.5}), "no whole number at 0.seq", id="a fraction as number"),
        pytest.param(event({**FINE, "seq": -1}), "no whole number at 0.seq", id="a negative number"),
        pytest.param(event({**FINE, "seq": 2**63}), "no whole number at 0.seq", id="a number beyond 64 bits"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_path(arguments: bytes, message: str) -> None:
    with pytest.raises(TickError, match=message):
        reader(due_field="due_ns", seq_field="seq").read(arguments, NOW_NS)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(values, values, st.sampled_from(["ns", "us"]))
def test_any_values_make_a_tick_within_64_bits_or_an_error(due: Any, seq: Any, unit: str) -> None:
    ticks = reader(due_field="a", due_unit=unit, seq_field="b")
    try:
        tick = ticks.read(event({"a": due, "b": seq}), NOW_NS)
    except TickError:
        return
    assert tick.seq == seq
    assert 0 <= tick.due_ns < 2**63


def test_a_list_in_place_of_a_time_costs_no_memory() -> None:
    ticks = reader(due_field="ts", due_unit="ms", seq_field="seq")
    tracemalloc.start()
    try:
        with pytest.raises(TickError):
            ticks.read(event({"ts": [5], "seq": 1}), NOW_NS)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("first", "reference", "lasting"),
    [
        pytest.param({"due_ns": 70, "seq": 3}, "due", True, id="both"),
        pytest.param({"due_ns": 70}, "due", True, id="a time alone"),
        pytest.param({"seq": 3}, "first receipt", True, id="a number alone"),
        pytest.param({"bid": 3}, "first receipt", False, id="neither"),
        pytest.param({"due_ns": None, "seq": None}, "first receipt", False, id="both without a value"),
    ],
)
def test_the_first_tick_tells_what_is_there(first: dict[str, Any], reference: str, lasting: bool) -> None:
    ticks = reader()
    assert (ticks.reference, ticks.lasting) == (None, False)
    tick = ticks.read(event(first), NOW_NS)
    assert tick == Tick(first.get("seq") or UNNUMBERED, first.get("due_ns") or NOW_NS)
    assert (ticks.reference, ticks.lasting) == (reference, lasting)


def test_what_the_first_tick_had_all_others_need() -> None:
    ticks = reader()
    ticks.read(event(FINE), NOW_NS)
    with pytest.raises(TickError):
        ticks.read(event({"bid": 3}), NOW_NS)


def test_empty_fields_leave_out_what_is_there() -> None:
    ticks = reader(due_field="", seq_field="")
    assert (ticks.reference, ticks.lasting) == ("first receipt", False)
    assert ticks.read(event({"due_ns": 70, "seq": 3}), NOW_NS) == Tick(UNNUMBERED, NOW_NS)


def test_ticks_without_number_and_time_are_told_apart_by_content_and_due_when_first_received() -> None:
    ticks = reader()
    one, other = event({"bid": 1}), event({"bid": 2})
    assert ticks.read(one, NOW_NS) == Tick(UNNUMBERED, NOW_NS)
    assert ticks.read(one, NOW_NS + 7) == Tick(UNNUMBERED, NOW_NS)
    assert ticks.read(other, NOW_NS + 8) == Tick(UNNUMBERED, NOW_NS + 8)
    assert ticks.read(one, NOW_NS + SAME_TICK_NS - 1) == Tick(UNNUMBERED, NOW_NS)
    again_ns = NOW_NS + SAME_TICK_NS
    assert ticks.read(one, again_ns) == Tick(UNNUMBERED, again_ns)
    assert ticks.read(one, again_ns + 1) == Tick(UNNUMBERED, again_ns)


def test_numbered_ticks_without_time_are_due_when_first_received_whatever_else_they_say() -> None:
    ticks = reader(seq_field="n")
    assert ticks.read(event({"n": 5, "for": "a"}), NOW_NS) == Tick(5, NOW_NS)
    assert ticks.read(event({"n": 5, "for": "b"}), NOW_NS + 9) == Tick(5, NOW_NS)
    assert ticks.read(event({"n": 6}), NOW_NS + 9) == Tick(6, NOW_NS + 9)


def test_a_number_is_the_same_tick_while_it_is_still_received() -> None:
    ticks = reader(due_field="", seq_field="n")
    for late_ns in (0, SAME_TICK_NS - 1, 2 * SAME_TICK_NS - 2):
        assert ticks.read(event({"n": 5}), NOW_NS + late_ns) == Tick(5, NOW_NS)
    anew_ns = NOW_NS + 3 * SAME_TICK_NS
    assert ticks.read(event({"n": 5}), anew_ns) == Tick(5, anew_ns)


def test_a_tick_that_carries_its_time_alone_has_no_number_and_is_due_then() -> None:
    ticks = reader()
    assert ticks.read(event({"due_ns": 70}), NOW_NS) == Tick(UNNUMBERED, 70)
    assert ticks.read(event({"due_ns": 70}), NOW_NS + SAME_TICK_NS) == Tick(UNNUMBERED, 70)


def test_of_many_contents_the_one_that_was_not_seen_for_longest_is_forgotten() -> None:
    ticks = reader()
    ticks.read(event(-1), NOW_NS)
    ticks.read(event(-2), NOW_NS)
    for other in range(4_094):
        ticks.read(event(other), NOW_NS)
    assert ticks.read(event(-1), NOW_NS + 9).due_ns == NOW_NS
    ticks.read(event(4_094), NOW_NS)
    assert ticks.read(event(-1), NOW_NS + 9).due_ns == NOW_NS
    assert ticks.read(event(-2), NOW_NS + 9).due_ns == NOW_NS + 9


def test_where_the_sender_has_another_clock_the_schedule_says_when_a_tick_was_due() -> None:
    schedule = SharedSchedule(FeedSchedule.of(1_000, rate_hz=1e7))
    ticks = TickReader(Feed(), schedule, by_schedule=True)
    assert ticks.read(event({"due_ns": 70, "seq": 3}), NOW_NS) == Tick(3, 1_300)
    assert ticks.reference == "due"
    # Without a number there is only the tick's own word for it.
    unnumbered = TickReader(Feed(seq_field=""), schedule, by_schedule=True)
    assert unnumbered.read(event({"due_ns": 70}), NOW_NS).due_ns == 70


def test_only_numbered_ticks_are_learnt() -> None:
    schedule = ObservedSchedule()
    TickReader(Feed(due_field="", seq_field=""), schedule).read(event({"due_ns": 70, "seq": 3}), NOW_NS)
    assert schedule.latest_due(NOW_NS) == -1
    TickReader(Feed(), schedule).read(event({"due_ns": 70, "seq": 3}), NOW_NS)
    assert schedule.latest_due(NOW_NS) == 3
    assert schedule.due_ns(3) == 70


def test_contents_take_the_same_memory_however_large_they_are() -> None:
    ticks = reader(due_field="", seq_field="")
    payloads = [event({"n": number, "pad": "x" * 100_000}) for number in range(20)]
    tracemalloc.start()
    try:
        for number, payload in enumerate(payloads):
            # A copy, as each comes from a socket.
            assert ticks.read(bytes(bytearray(payload)), 1_000 + number).due_ns == 1_000 + number
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 100_000
    assert ticks.read(payloads[0], 2_000).due_ns == 1_000
    assert ticks.read(payloads[0][:-4] + b'y"}]', 2_000).due_ns == 2_000


@pytest.mark.parametrize(
    ("feed", "by_schedule", "lasting_ns"),
    [
        pytest.param({}, False, FOR_EVER_NS, id="number and time"),
        pytest.param({"seq_field": ""}, False, FOR_EVER_NS, id="time"),
        pytest.param({"due_field": ""}, False, NUMBER_LASTS_NS, id="number"),
        pytest.param({"due_field": "", "seq_field": ""}, False, 0, id="neither"),
        pytest.param({"due_field": ""}, True, FOR_EVER_NS, id="a number by a schedule"),
    ],
)
def test_bytes_mean_the_same_for_as_long_as_what_is_in_them_does(
    feed: dict[str, Any], by_schedule: bool, lasting_ns: int
) -> None:
    schedule = SharedSchedule(FeedSchedule.of(0, 5.0))
    ticks = TickReader(Feed(**feed), schedule, by_schedule=by_schedule)
    ticks.read(event({"seq": 1, "due_ns": 5}), 7)
    assert ticks.lasting_ns == lasting_ns

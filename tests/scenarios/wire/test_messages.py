"""Samples at the resolution of an HdrHistogram, and the channel between runner and generator."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import msgspec
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.rundir.schema import ClockOffset, FeedFit
from scenarios.scenario.fleet.groups import AddressShare
from scenarios.scenario.model import Abort, Feed, Fleet, Scenario, Target
from scenarios.wire.framing import FrameError, Unframer, frame
from scenarios.wire.interval import GroupTimes, Interval, Samples, SomeClients, WorkerChange
from scenarios.wire.orders import (
    Aborted,
    Begin,
    Begun,
    Cut,
    EndCalm,
    Ended,
    Finalise,
    Finalised,
    GeneratorSettings,
    Hello,
    Message,
    PushPolicy,
    Refused,
)
from scenarios.wire.tick_counts import TickCounts

_HISTOGRAM = HdrHistogram(1, 3_600_000_000, 3)


def counts(samples: Samples) -> dict[int, int]:
    """Microseconds and how often."""
    values, times = samples.arrays()
    return dict(zip(values.tolist(), times.tolist(), strict=True))


def quantised(nanoseconds: Iterable[int]) -> dict[int, int]:
    """The same, with HdrHistogram's own idea of which values are equal."""
    return dict(Counter(_HISTOGRAM.get_lowest_equivalent_value(max(0, ns // 1000)) for ns in nanoseconds))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.integers(-5, 3_600_000_000_000), st.integers(0, 5_000_000)), max_size=60))
def test_samples_keep_every_count_at_the_resolution_of_a_three_digit_hdrhistogram(
    nanoseconds: list[int],
) -> None:
    samples = Samples.of(nanoseconds)
    assert counts(samples) == quantised(nanoseconds)
    assert samples.arrays()[1].sum() == len(nanoseconds)


def test_samples_follow_hdrhistogram_at_every_change_of_its_resolution() -> None:
    edges = [2**power + step for power in range(1, 32) for step in (-1, 0, 1)]
    assert counts(Samples.of([us * 1000 for us in edges])) == quantised(us * 1000 for us in edges)


whole = st.integers(0, 2**40)
samples_of_any = st.lists(st.integers(0, 10**12), max_size=5).map(Samples.of)
by_name = st.dictionaries(st.sampled_from(["joined", "timeout", "limited"]), whole, max_size=3)
some_clients = st.builds(
    SomeClients,
    clients=whole,
    connected=whole,
    useful=st.none() | st.floats(0, 1e6),
    attempts=whole,
    limited=whole,
    failed=whole,
    gave_up=whole,
)
intervals_of_any = st.builds(
    Interval,
    second=whole,
    clients=whole,
    connected=whole,
    useful=st.none() | st.floats(0, 1e6),
    attempts=whole,
    attempts_per_slot=st.lists(whole, max_size=11).map(tuple),
    first_attempt_ns=st.none() | whole,
    last_join_ns=st.none() | whole,
    held_back=whole,
    gave_up_by_reason=st.dictionaries(st.sampled_from(["timeout", "policy_ended"]), whole, max_size=2),
    staleness=samples_of_any,
    stale_clients=st.none() | st.floats(0, 1e6),
    outcomes=by_name,
    disconnects=by_name,
    shared_ips=st.dictionaries(st.integers(1, 1_000), some_clients, max_size=2),
    fleet_groups=st.dictionaries(st.integers(0, 15), some_clients, max_size=2),
    fleet_group_times=st.dictionaries(
        st.integers(0, 15),
        st.builds(
            GroupTimes,
            effective=st.dictionaries(st.integers(-3, 90), samples_of_any, max_size=2),
            staleness=samples_of_any,
        ),
        max_size=2,
    ),
    unserved=whole,
    ticks=whole,
    missed=whole,
    skipped=st.dictionaries(st.integers(-3, 90), whole, max_size=3),
    group_ticks=st.dictionaries(
        st.integers(1, 1_000),
        st.dictionaries(
            st.integers(-3, 90),
            st.builds(TickCounts, in_time=whole, late=whole, never=whole, skipped=whole),
            max_size=2,
        ),
        max_size=2,
    ),
    fanout=samples_of_any,
    fanout_by_stamp=samples_of_any,
    stamped=whole,
    effective=st.dictionaries(st.integers(-3, 90), samples_of_any, max_size=3),
    censored=st.dictionaries(st.integers(-3, 90), samples_of_any, max_size=3),
    attempt_durations=st.dictionaries(st.sampled_from(["joined", "limited"]), samples_of_any, max_size=2),
    loop_lag=samples_of_any,
    retry_late=samples_of_any,
    reference=st.sampled_from([None, "due", "schedule", "first receipt"]),
    fits=st.lists(
        st.builds(
            FeedFit,
            stream=st.text(max_size=9),
            ticks=whole,
            rate_hz=st.none() | st.floats(0.1, 1e3),
            spread_ms=st.none() | st.floats(0, 1e3),
            problem=st.text(max_size=9),
        ),
        max_size=2,
    ).map(tuple),
    cpu_ns=whole,
    busiest_cpu_ns=whole,
    rss_bytes=whole,
    empty_rss_bytes=whole,
    processes=whole,
    missing=whole,
    worker_changes=st.lists(
        st.builds(WorkerChange, st.text(max_size=9), st.sampled_from(["lost", "joined"]), whole), max_size=2
    ).map(tuple),
    clocks=st.lists(
        st.builds(ClockOffset, process=st.text(max_size=9), offset_ns=st.integers(-9, 9), error_ns=whole),
        max_size=2,
    ).map(tuple),
)
messages = st.one_of(
    intervals_of_any,
    st.just(Finalised()),
    st.just(Finalise()),
    st.just(Cut()),
    st.just(EndCalm()),
    st.builds(Aborted, st.text(max_size=9)),
    st.builds(Hello, st.text(max_size=9)),
    st.just(Begin(GeneratorSettings(scenario=Scenario(), epoch_ns=5, clock_url="http://h/healthz/clock"))),
    st.builds(Begun, whole),
    st.builds(Refused, st.text(max_size=9)),
    st.builds(Ended, st.text(max_size=9)),
    st.builds(PushPolicy, st.one_of(st.text(max_size=9), st.just({"name": "spread", "window_s": 5.5}))),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(messages, max_size=4), st.data())
def test_messages_survive_the_channel_however_it_cuts_them(sent: list[Message], data: st.DataObject) -> None:
    written = b"".join(frame(message) for message in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=6)))
    unframer = Unframer()
    chunks = [written[start:end] for start, end in pairwise([0, *cuts, len(written)])]
    assert [message for chunk in chunks for message in unframer.receive(chunk)] == sent


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"\0\0\0\x0b", "11 bytes: expected at most 10", id="longer than allowed"),
        pytest.param(b"GET / HTTP/1.1", "1195725856 bytes", id="another protocol"),
        pytest.param(b"\0\0\0\x02\xc1\x02", "invalid", id="no MessagePack"),
        pytest.param(b"\0\0\0\x07\x81\xa4type\x01", "Expected", id="no message of ours"),
        pytest.param(b"\0\0\0\x0a\x81\xa4type\xa3\xff\xfe\xfd", "codec", id="no text"),
        pytest.param(
            b"HTTP/1.1 400 Bad Request\r\n", "an answer in HTTP: expected the port of the", id="HTTP"
        ),
    ],
)
def test_what_is_no_message_is_an_error(data: bytes, problem: str) -> None:
    with pytest.raises(FrameError, match=problem):
        list(Unframer(longest=10).receive(data))


def test_a_message_that_is_nested_without_end_is_an_error() -> None:
    body = b"\x82\xa4type\xaaPushPolicy\xa6policy" + b"\x91" * 200_000
    with pytest.raises(FrameError):
        list(Unframer().receive(len(body).to_bytes(4, "big") + body))


def test_settings_survive_the_environment_variable() -> None:
    shares = (AddressShare(share=0.25, clients_per_ip=40), AddressShare(share=0.75, clients_per_ip=1))
    sent = GeneratorSettings(
        scenario=Scenario(
            fleet=Fleet(clients_per_ip=shares, policy={"name": "spread", "window_s": 2.5}),
            feed=Feed(due_field="", seq_field="meta.n"),
            target=Target(url="https://h/ws/?a=1", auth={"token": "ü"}, headers={"X-A": "1"}),
            abort=Abort(error_share=0.5),
        ),
        epoch_ns=-(2**60),
        channel_fd=3,
        allow_remote=True,
    )
    assert msgspec.json.decode(msgspec.json.encode(sent), type=GeneratorSettings) == sent

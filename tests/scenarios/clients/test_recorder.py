"""What the recorder counts: by hand, and against a brute-force oracle."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.clients.protocol.packets import Other
from scenarios.clients.protocol.schedule import ObservedSchedule, Schedule, SharedSchedule
from scenarios.clients.protocol.streams import Streams
from scenarios.clients.protocol.ticks import UNNUMBERED, Tick
from scenarios.clients.recorder import LAG_PROBE_NS, SECOND_NS, SLOT_NS, USEFUL_STALENESS_NS, Recorder
from scenarios.wire.interval import Samples, SomeClients
from scenarios.wire.merge import add, add_by_key
from scenarios.wire.tick_counts import TickCounts

EPOCH_NS = 77 * SECOND_NS
RATE_HZ = 5.0
PERIOD_NS = 200_000_000
MS = 1_000_000


def due(seq: int) -> int:
    return EPOCH_NS + seq * PERIOD_NS


def recorder_of(clients: int, schedule: Schedule | None = None, *, recovery: bool = False) -> Recorder:
    schedule = schedule or SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ))
    recorder = Recorder(EPOCH_NS, schedule, recovery=recovery)
    for _ in range(clients):
        recorder.add_client()
    return recorder


def receive(recorder: Recorder, client: int, seq: int, now_ns: int) -> None:
    """What a client does with a tick: it writes an expected one down itself, and hands over any other."""
    recorder.schedule.learn(seq, due(seq))
    bucket = recorder.bucket_of(client)
    if seq == bucket.held_seq[client] + 1:
        bucket.latency_ns.append(now_ns - due(seq))
        bucket.due_ns.append(due(seq))
        bucket.held_seq[client] = seq
        bucket.held_due_ns[client] = due(seq)
    else:
        recorder.tick_out_of_order(client, seq, due(seq), now_ns)


def test_ticks_in_order_are_as_late_effectively_as_they_are_delivered() -> None:
    recorder = recorder_of(2)
    for seq in range(8):
        for client in range(2):
            receive(recorder, client, seq, due(seq) + (seq + 1) * MS + client)
    interval = recorder.take_interval(0)
    assert (interval.ticks, interval.missed) == (16, 0)
    late = [(seq + 1) * MS + client for seq in range(8) for client in range(2)]
    assert interval.fanout == Samples.of(late)
    assert interval.effective == {0: Samples.of(late[:10]), 1: Samples.of(late[10:])}
    assert interval.censored == {}


def test_a_client_that_was_away_adds_one_value_for_every_tick_it_never_got() -> None:
    recorder = recorder_of(1)
    receive(recorder, 0, 3, due(3) + 2 * MS)
    recorder.take_interval(0)
    receive(recorder, 0, 8, due(8) + 50 * MS)
    interval = recorder.take_interval(1)
    assert (interval.ticks, interval.missed) == (1, 4)
    assert interval.skipped == {0: 1, 1: 3}, "tick 4 was due in second 0, ticks 5 to 7 in second 1"
    assert interval.fanout == Samples.of([50 * MS])
    assert interval.effective == {
        0: Samples.of([850 * MS]),
        1: Samples.of([650 * MS, 450 * MS, 250 * MS, 50 * MS]),
    }


def test_a_skipped_tick_that_comes_after_all_is_neither_lost_nor_a_duplicate() -> None:
    recorder = recorder_of(1, recovery=True)
    for seq in (3, 7, 5, 5, 3, 8):
        receive(recorder, 0, seq, due(8) + MS)
    interval = recorder.take_interval(1)
    assert (interval.ticks, interval.missed) == (6, 3)
    assert interval.skipped == {0: 1, 1: 1}, "ticks 4 and 6: tick 5 came later"
    assert interval.recovery == {"duplicated": 2}, "tick 5 again, and tick 3"


@pytest.mark.parametrize("schedule", ["shared", "observed", "streams"])
@given(seqs=st.lists(st.integers(10, 60), min_size=1, max_size=40))
@settings(max_examples=40)
def test_what_is_received_lost_and_received_again_adds_up(schedule: str, seqs: list[int]) -> None:
    kinds: dict[str, Schedule] = {
        "shared": SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ)),
        "observed": ObservedSchedule(),
        "streams": Streams(RATE_HZ, fitted=False),
    }
    # A number that went back while time went on would be a feed that began anew: all comes at once.
    recorder = recorder_of(1, kinds[schedule], recovery=True)
    first = seqs[0]
    later = [seq for seq in seqs if seq > first] if schedule == "streams" else seqs
    received = [first, *later]
    for seq in received:
        number, due_ns = recorder.schedule.learn(seq, due(seq))
        if number == recorder.held_seq[0] + 1:
            receive_next(recorder, number, due_ns)
        else:
            recorder.tick_out_of_order(0, number, due_ns, due(70))
    interval = recorder.take_interval(0)
    wanted = set(range(first, max(received) + 1))
    assert interval.ticks == len(received)
    assert sum(interval.skipped.values()) == len(wanted - set(received))
    older = sum(seq < first for seq in received)
    again = len(received) - len(set(received) & wanted)
    assert interval.recovery.get("duplicated", 0) == again
    assert again >= older


def receive_next(recorder: Recorder, number: int, due_ns: int) -> None:
    bucket = recorder.bucket_of(0)
    bucket.latency_ns.append(0)
    bucket.due_ns.append(due_ns)
    bucket.held_seq[0], bucket.held_due_ns[0] = number, due_ns


def test_recovered_sessions_and_the_ticks_that_they_were_sent_again_are_counted() -> None:
    recorder = recorder_of(2, recovery=True)
    recorder.asked_for_recovery(True, (Tick(4, due(4)), Other("o"), Tick(5, due(5))))
    recorder.asked_for_recovery(False, (Tick(6, due(6)),))
    assert recorder.take_interval(0).recovery == {"recovery_asked": 2, "recovered": 1, "replayed": 2}
    assert recorder.take_interval(1).recovery == {}


def test_the_first_tick_of_all_is_news_and_no_gap() -> None:
    recorder = recorder_of(1)
    receive(recorder, 0, 1_000, due(1_000) + MS)
    interval = recorder.take_interval(200)
    assert (interval.ticks, interval.missed) == (1, 0)
    assert interval.effective == {200: Samples.of([MS])}


def test_an_old_tick_from_a_lagging_pod_is_a_delivery_but_no_news() -> None:
    recorder = recorder_of(1)
    for seq, late_ms in ((5, 10), (4, 300), (5, 300), (6, 10)):
        receive(recorder, 0, seq, due(seq) + late_ms * MS)
    interval = recorder.take_interval(1)
    assert (interval.ticks, interval.missed) == (4, 0)
    assert interval.fanout == Samples.of([10 * MS, 10 * MS, 300 * MS, 300 * MS])
    assert interval.effective == {1: Samples.of([10 * MS, 10 * MS])}
    assert recorder.held_due_ns[0] == due(6)


def test_closing_the_books_censors_what_nobody_knows_yet_and_never_counts_it_again() -> None:
    recorder = recorder_of(3)
    receive(recorder, 0, 4, due(4) + MS)
    receive(recorder, 1, 7, due(7) + MS)
    now_ns = due(7) + 30 * MS
    recorder.finalise(now_ns)
    interval = recorder.take_interval(1)
    assert interval.censored == {1: Samples.of([430 * MS, 230 * MS, 30 * MS])}
    assert interval.missed == 0

    recorder.finalise(now_ns)
    assert recorder.take_interval(2).censored == {}
    recorder.finalise(due(8))
    assert recorder.take_interval(2).censored == {1: Samples.of([0, 0])}
    receive(recorder, 0, 10, due(10) + MS)
    interval = recorder.take_interval(2)
    assert (interval.ticks, interval.missed) == (1, 1)
    assert interval.effective == {1: Samples.of([201 * MS]), 2: Samples.of([MS])}


@pytest.mark.parametrize(
    ("held", "lacking"),
    [
        pytest.param([7, 7, 7], [0] * 8, id="everybody is up to date"),
        pytest.param([2, 5, 5], [0, 0, 0, 1, 1, 1, 3, 3], id="who lacks old ticks lacks the newer ones"),
        pytest.param([-2, 6, 9], [0, 0, 0, 0, 0, 0, 0, 1], id="nobody lacks what is yet to come"),
    ],
)
def test_closing_the_books_counts_each_tick_for_everybody_who_lacks_it(
    held: list[int], lacking: list[int]
) -> None:
    recorder = recorder_of(len(held))
    recorder.schedule.learn(0, due(0))
    for client, seq in enumerate(held):
        recorder.held_seq[client] = seq
    now_ns = due(7) + 30 * MS
    recorder.finalise(now_ns)
    expected: dict[int, list[int]] = {}
    for seq, clients in enumerate(lacking):
        if clients:
            expected.setdefault(seq // 5, []).extend([now_ns - due(seq)] * clients)
    assert recorder.take_interval(1).censored == {s: Samples.of(ages) for s, ages in expected.items()}
    assert list(recorder.held_seq) == [7 if 0 <= seq < 7 else seq for seq in held]
    recorder.add_client()  # nothing still looks at the array, which may move now


def test_closing_the_books_makes_nobody_fresher() -> None:
    recorder = recorder_of(1)
    recorder.joined[0] = 1
    receive(recorder, 0, 0, due(0))
    now_ns = due(0) + 2 * SECOND_NS
    recorder.finalise(now_ns)
    recorder.sample_slot(now_ns)
    assert recorder.take_interval(2).useful == 0


def test_books_can_be_closed_before_any_tick_was_seen() -> None:
    recorder = recorder_of(2)
    recorder.finalise(EPOCH_NS + 9 * SECOND_NS)
    assert recorder.take_interval(9).censored == {}


@st.composite
def deliveries(draw: st.DrawFn, clients: int = 3) -> list[tuple[int, int, int]]:
    """Client, tick number and time of arrival, in order of time; no tick comes before it is due."""
    received, now_ns = [], EPOCH_NS
    for _ in range(draw(st.integers(1, 25))):
        now_ns += draw(st.sampled_from([0, 1, 999, 7 * MS, 150 * MS, 200 * MS, 900 * MS, 2_345_678_901]))
        newest = (now_ns - EPOCH_NS) // PERIOD_NS
        client, seq = draw(st.integers(0, clients - 1)), draw(st.integers(max(0, newest - 6), newest))
        received.append((client, seq, now_ns))
    return received


def brute_force(
    received: list[tuple[int, int, int]], end_ns: int
) -> tuple[dict[int, Samples], dict[int, Samples], int]:
    """Effective latencies and lower bounds by due second, and the ticks that were missed.

    For every client and every tick since its first: when did it first hold this one or a later one?
    """
    effective: dict[int, list[int]] = {}
    censored: dict[int, list[int]] = {}
    missed = 0
    for client in {client for client, _, _ in received}:
        own = [(seq, now_ns) for who, seq, now_ns in received if who == client]
        for k in range(own[0][0], (end_ns - EPOCH_NS) // PERIOD_NS + 1):
            second = (due(k) - EPOCH_NS) // SECOND_NS
            first = next(((seq, now_ns) for seq, now_ns in own if seq >= k), None)
            if first is None:
                censored.setdefault(second, []).append(end_ns - due(k))
            else:
                effective.setdefault(second, []).append(first[1] - due(k))
                missed += first[0] > k
    in_samples = [{s: Samples.of(values) for s, values in kind.items()} for kind in (effective, censored)]
    return in_samples[0], in_samples[1], missed


@settings(max_examples=150, deadline=None)
@given(deliveries(), st.integers(0, 3 * SECOND_NS))
def test_effective_latency_equals_brute_force(received: list[tuple[int, int, int]], rest_ns: int) -> None:
    recorder = recorder_of(3)
    for client, seq, now_ns in received:
        receive(recorder, client, seq, now_ns)
    end_ns = received[-1][2] + rest_ns
    recorder.finalise(end_ns)
    interval = recorder.take_interval(0)
    effective, censored, missed = brute_force(received, end_ns)
    assert interval.effective == effective
    assert interval.censored == censored
    assert interval.missed == missed
    assert interval.ticks == len(received)
    assert interval.fanout == Samples.of([now_ns - due(seq) for _, seq, now_ns in received])


@pytest.mark.parametrize(
    ("seq", "after_s", "missed", "held"),
    [
        pytest.param(3, 1.5, 0, 3, id="from a lower number"),
        pytest.param(3, 0.9, 0, 5_000, id="a lower number so soon is an old tick"),
        pytest.param(105_001, 0.2, 0, 105_001, id="far beyond any gap"),
        pytest.param(5_003, 0.6, 2, 5_003, id="a higher number is a gap"),
    ],
)
def test_a_feed_that_numbers_anew_leaves_no_gap(seq: int, after_s: float, missed: int, held: int) -> None:
    recorder = recorder_of(1, ObservedSchedule())
    now_ns = EPOCH_NS
    for tick, due_ns in ((5_000, EPOCH_NS), (seq, EPOCH_NS + int(after_s * SECOND_NS))):
        now_ns = due_ns + MS
        recorder.schedule.learn(tick, due_ns)
        recorder.tick_out_of_order(0, tick, due_ns, now_ns)
    recorder.finalise(now_ns)
    interval = recorder.take_interval(0)
    assert (interval.ticks, interval.missed) == (2, missed)
    assert interval.fanout == Samples.of([MS, MS])
    assert interval.censored == {}
    assert recorder.held_seq[0] == held


def test_a_client_is_useful_while_it_is_joined_and_its_newest_tick_is_under_a_second_old() -> None:
    recorder = recorder_of(4)
    recorder.joined[0] = recorder.joined[1] = recorder.joined[3] = 1
    for client in range(3):
        receive(recorder, client, 0, due(0))
    receive(recorder, 1, 1, due(1))
    grid = [due(0) + USEFUL_STALENESS_NS - 1, due(0) + USEFUL_STALENESS_NS, due(1) + USEFUL_STALENESS_NS]
    for now_ns in grid:
        recorder.sample_slot(now_ns)
    interval = recorder.take_interval(1)
    assert interval.useful == pytest.approx((2 + 1 + 0) / 3)
    assert (interval.clients, interval.connected) == (4, 3)
    assert recorder.take_interval(1).useful is None


def test_staleness_is_the_age_of_the_newest_tick_of_every_client_joined_or_not() -> None:
    recorder = recorder_of(3)
    recorder.joined[0] = 1
    receive(recorder, 0, 5, due(5) + MS)
    receive(recorder, 1, 3, due(3) + MS)
    receive(recorder, 2, 3, due(3) + MS)
    receive(recorder, 2, 1, due(3) + 2 * MS)
    for now_ns in (due(8), due(8) + SLOT_NS):
        recorder.sample_slot(now_ns)
    interval = recorder.take_interval(1)
    assert interval.staleness == Samples.of([600 * MS, 700 * MS, *[1000 * MS, 1100 * MS] * 2])
    assert interval.stale_clients == 2
    nothing = recorder.take_interval(1)
    assert (nothing.staleness, nothing.stale_clients) == (Samples.of([]), None)


def test_a_client_is_stale_from_a_second_on() -> None:
    recorder = recorder_of(1)
    receive(recorder, 0, 0, due(0))
    for age_ns in (SECOND_NS - 1, SECOND_NS):
        recorder.sample_slot(due(0) + age_ns)
    assert recorder.take_interval(1).stale_clients == 0.5


def test_a_client_without_any_tick_is_as_stale_as_it_has_been_there() -> None:
    recorder = recorder_of(1)
    grid = [EPOCH_NS + slot * SLOT_NS for slot in range(4)]
    recorder.sample_slot(grid[0])
    recorder.add_client()
    recorder.sample_slot(grid[1])
    recorder.sample_slot(grid[2])
    assert recorder.take_interval(0).staleness == Samples.of([0, 100 * MS, 0, 200 * MS, 100 * MS])
    receive(recorder, 1, 1, due(1) + MS)
    recorder.sample_slot(grid[3])
    assert recorder.take_interval(0).staleness == Samples.of([300 * MS, grid[3] - due(1)])


def test_a_tick_that_is_due_later_than_now_by_another_clock_makes_nobody_younger_than_new() -> None:
    recorder = recorder_of(1)
    receive(recorder, 0, 0, due(0))
    recorder.sample_slot(due(0) - MS)
    assert recorder.take_interval(0).staleness == Samples.of([0])


def test_closing_the_books_leaves_staleness_alone() -> None:
    recorder = recorder_of(1)
    receive(recorder, 0, 0, due(0))
    recorder.finalise(due(10))
    recorder.sample_slot(due(10))
    assert recorder.take_interval(2).staleness == Samples.of([2000 * MS])


@settings(max_examples=100, deadline=None)
@given(deliveries(), st.lists(st.integers(0, 40), max_size=6).map(sorted))
def test_staleness_equals_brute_force(received: list[tuple[int, int, int]], slots: list[int]) -> None:
    recorder = recorder_of(3)
    grid = [EPOCH_NS + slot * 7 * SLOT_NS for slot in slots]
    ages, stale = [], 0
    for now_ns in grid:
        recorder_until = [one for one in received if one[2] <= now_ns]
        for client in range(3):
            own = [due(seq) for who, seq, _ in recorder_until if who == client]
            ages.append(now_ns - (max(own) if own else grid[0]))
            stale += ages[-1] >= SECOND_NS
    waiting = list(received)
    for now_ns in grid:
        while waiting and waiting[0][2] <= now_ns:
            receive(recorder, *waiting.pop(0))
        recorder.sample_slot(now_ns)
    interval = recorder.take_interval(0)
    assert interval.staleness == Samples.of(ages)
    assert interval.stale_clients == (pytest.approx(stale / len(grid)) if grid else None)


def test_first_attempts_and_their_refusals_are_counted_by_shared_address() -> None:
    recorder = Recorder(EPOCH_NS, SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ)))
    for size, first, outcome in (
        (1, True, "joined"),
        (50, True, "limited"),
        (50, False, "limited"),
        (50, True, "timeout"),
    ):
        client = recorder.add_client(size)
        recorder.attempt_began(client, EPOCH_NS, first=first)
        recorder.attempt_ended(client, outcome, EPOCH_NS, EPOCH_NS + MS, first=first)
    found = recorder.take_interval(0).shared_ips
    assert {size: (some.first_attempts, some.first_limited) for size, some in found.items()} == {
        1: (1, 0),
        50: (2, 1),
    }
    assert recorder.take_interval(1).shared_ips[50].first_attempts == 0


def test_ages_of_sessions_belong_to_the_second_in_which_they_ended() -> None:
    recorder = Recorder(EPOCH_NS, SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ)))
    recorder.session_ages_ns += [60 * SECOND_NS, 60 * SECOND_NS]
    assert recorder.take_interval(0).session_ages == Samples.of([60 * SECOND_NS] * 2)
    assert recorder.take_interval(1).session_ages == Samples()


def test_clients_are_counted_apart_by_how_many_share_their_address() -> None:
    recorder = Recorder(EPOCH_NS, SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ)))
    clients = [recorder.add_client(size) for size in (1, 50, 50, 1, 50)]
    recorder.joined[0] = recorder.joined[1] = recorder.joined[2] = 1
    for client in clients:
        recorder.attempt_began(client, EPOCH_NS)
        recorder.attempt_ended(client, "limited" if client in {3, 4} else "joined", EPOCH_NS, EPOCH_NS + MS)
    receive(recorder, 1, 0, due(0))
    recorder.sample_slot(due(0) + USEFUL_STALENESS_NS - 1)
    recorder.sample_slot(due(0) + USEFUL_STALENESS_NS)
    interval = recorder.take_interval(0)
    assert interval.shared_ips == {
        1: SomeClients(clients=2, connected=1, useful=0.0, attempts=2, limited=1, failed=1),
        50: SomeClients(clients=3, connected=2, useful=0.5, attempts=3, limited=1, failed=1),
    }
    assert (interval.useful, interval.attempts) == (0.5, 5)
    assert interval.outcomes == {"joined": 3, "limited": 2}
    assert recorder.take_interval(0).shared_ips == {
        1: SomeClients(clients=2, connected=1, useful=None, attempts=0, limited=0),
        50: SomeClients(clients=3, connected=2, useful=None, attempts=0, limited=0),
    }


def test_each_group_of_clients_has_a_bucket_of_its_own() -> None:
    recorder = Recorder(EPOCH_NS, SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ)))
    alone, shared, neighbour = (recorder.add_client(size) for size in (1, 50, 50))
    assert recorder.bucket_of(shared) is recorder.bucket_of(neighbour)
    assert recorder.bucket_of(shared) is not recorder.bucket_of(alone)
    for seq in (0, 1):
        receive(recorder, alone, seq, due(seq) + 40 * MS)
        receive(recorder, shared, seq, due(seq) + 1500 * MS)
    assert len(recorder.bucket_of(alone).latency_ns) == 2
    assert recorder.take_interval(1).group_ticks == {
        1: {0: TickCounts(in_time=2)},
        50: {0: TickCounts(late=2)},
    }
    assert recorder.take_interval(2).group_ticks == {}
    assert recorder.bucket_of(alone).latency_ns == []


def test_skipped_and_censored_ticks_count_for_the_group_of_their_client() -> None:
    recorder = Recorder(EPOCH_NS, SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ)))
    for size in (1, 50, 50):
        recorder.add_client(size)
    for client in range(3):
        receive(recorder, client, 0, due(0) + MS)
    # Client 1 skips ticks 1 to 8. Tick 9, due at 1.8 s, is in time for those due from 1.0 s on.
    receive(recorder, 1, 9, due(9) + MS)
    recorder.finalise(due(9) + 2 * MS)
    interval = recorder.take_interval(1)
    assert interval.group_ticks == {
        1: {0: TickCounts(in_time=1, never=4), 1: TickCounts(never=5)},
        50: {
            0: TickCounts(in_time=2, late=4, never=4, skipped=4),
            1: TickCounts(in_time=5, never=5, skipped=4),
        },
    }
    assert interval.skipped == {0: 4, 1: 4}


def test_a_long_gap_is_counted_for_its_group_before_the_second_is_over() -> None:
    feed = FeedSchedule.of(EPOCH_NS, 1_000.0)
    recorder = Recorder(EPOCH_NS, SharedSchedule(feed))
    for size in (1, 50):
        recorder.add_client(size)
    gap = 600_000
    for client, seq in ((0, 0), (1, 0), (0, gap), (1, gap)):
        recorder.schedule.learn(seq, feed.due_ns(seq))
        recorder.tick_out_of_order(client, seq, feed.due_ns(seq), feed.due_ns(seq) + MS)
    groups = recorder.take_interval(0).group_ticks
    assert groups[1] == groups[50]
    assert sum(counts.skipped for counts in groups[1].values()) == gap - 1
    assert sum(counts.in_time + counts.late for counts in groups[1].values()) == gap + 1


def test_a_process_without_clients_reports_zeros() -> None:
    recorder = recorder_of(0)
    recorder.sample_slot(EPOCH_NS + SLOT_NS)
    interval = recorder.take_interval(0)
    assert (interval.clients, interval.connected, interval.useful, interval.shared_ips) == (0, 0, 0, {})
    assert (interval.staleness, interval.stale_clients) == (Samples.of([]), 0)


def test_attempts_are_counted_in_slots_of_100_ms() -> None:
    recorder = recorder_of(1)
    for attempts in (3, 0, 2):
        for _ in range(attempts):
            recorder.attempt_began(0, EPOCH_NS)
        recorder.sample_slot(EPOCH_NS + SLOT_NS)
    interval = recorder.take_interval(0)
    assert (interval.attempts, interval.attempts_per_slot) == (5, (3, 0, 2))
    assert recorder.take_interval(1).attempts == 0


@pytest.mark.parametrize("slots_before", [0, 2], ids=["its first slot is open", "some slots are over"])
def test_a_second_that_is_cut_within_a_slot_loses_no_attempt(slots_before: int) -> None:
    recorder = recorder_of(1)
    for _ in range(slots_before):
        recorder.attempt_began(0, EPOCH_NS)
        recorder.sample_slot(EPOCH_NS)
    recorder.attempt_began(0, EPOCH_NS)
    first = recorder.take_interval(0)
    recorder.attempt_began(0, EPOCH_NS)
    recorder.sample_slot(EPOCH_NS)
    second = recorder.take_interval(0)

    assert first.attempts + second.attempts == slots_before + 2
    for interval in (first, second):
        assert interval.attempts == sum(interval.attempts_per_slot) == interval.shared_ips[1].attempts


def test_an_interval_names_its_first_attempt_and_its_last_join() -> None:
    recorder = recorder_of(1)
    for began_ns, outcome in ((3, "timeout"), (5, "joined"), (8, "joined"), (9, "limited")):
        recorder.attempt_began(0, EPOCH_NS + began_ns)
        recorder.attempt_ended(0, outcome, EPOCH_NS + began_ns, EPOCH_NS + began_ns + MS)
    interval = recorder.take_interval(0)
    assert (interval.first_attempt_ns, interval.last_join_ns) == (EPOCH_NS + 3, EPOCH_NS + 8 + MS)
    interval = recorder.take_interval(1)
    assert (interval.first_attempt_ns, interval.last_join_ns) == (None, None)


def test_an_interval_holds_only_what_came_since_the_last_one() -> None:
    recorder = recorder_of(2)
    for client in range(2):
        recorder.attempt_ended(client, "limited", EPOCH_NS, EPOCH_NS + 5 * MS)
    recorder.disconnects["stale"] += 1
    recorder.held_back += 2
    for reason in ("timeout", "timeout", "connect_error"):
        recorder.gave_up_after(0, reason)
    recorder.retry_late_ns.append(3 * MS)
    first, second = recorder.take_interval(0), recorder.take_interval(1)
    assert (first.outcomes, first.disconnects, first.held_back) == ({"limited": 2}, {"stale": 1}, 2)
    assert (first.gave_up, second.gave_up) == (3, 0)
    assert (first.gave_up_by_reason, second.gave_up_by_reason) == ({"timeout": 2, "connect_error": 1}, {})
    assert first.attempt_durations == {"limited": Samples.of([5 * MS, 5 * MS])}
    assert first.retry_late == Samples.of([3 * MS])
    assert (second.outcomes, second.disconnects, second.held_back) == ({}, {}, 0)
    assert second.attempt_durations == {}
    assert second.retry_late == Samples.of([])


@pytest.mark.parametrize(
    ("lag_ms", "recorded_ms"),
    [(0, [0]), (24, [24]), (25, [0, 25]), (62, [12, 37, 62])],
    ids=["on time", "late within its turn", "a whole turn late", "two turns and a half late"],
)
def test_a_late_probe_stands_for_the_probes_it_displaced(lag_ms: int, recorded_ms: list[int]) -> None:
    assert LAG_PROBE_NS == 25 * MS
    recorder = recorder_of(1)
    recorder.lag_probe(lag_ms * MS)
    assert recorder.take_interval(0).loop_lag == Samples.of([late * MS for late in recorded_ms])


def test_between_ticks_without_a_number_nothing_is_known_to_be_missed() -> None:
    recorder = recorder_of(1)
    for seq in (0, 1, 2, 9):
        receive_unnumbered(recorder, due(seq), due(seq) + MS)
    recorder.finalise(due(50))
    interval = recorder.take_interval(0)
    assert (interval.ticks, interval.missed, interval.censored) == (4, 0, {})
    assert interval.unnumbered
    assert not recorder.take_interval(1).unnumbered
    assert interval.fanout == Samples.of([MS] * 4)
    assert recorder.held_due_ns[0] == due(9)


def receive_unnumbered(recorder: Recorder, due_ns: int, now_ns: int) -> None:
    if recorder.held_seq[0] + 1 == UNNUMBERED:
        recorder.bucket_of(0).latency_ns.append(now_ns - due_ns)
        recorder.bucket_of(0).due_ns.append(due_ns)
        recorder.held_seq[0] = UNNUMBERED
        recorder.held_due_ns[0] = due_ns
    else:
        recorder.tick_out_of_order(0, UNNUMBERED, due_ns, now_ns)


GAPS = [(rate_hz, gap) for rate_hz in (5.0, 200.0, 1_000.0) for gap in (1, 99_999, 100_000, 100_001, 250_000)]


@pytest.mark.parametrize(("rate_hz", "gap"), GAPS)
def test_of_our_own_feed_every_tick_of_a_gap_is_missed_however_long_it_is(rate_hz: float, gap: int) -> None:
    feed = FeedSchedule.of(EPOCH_NS, rate_hz)
    recorder = recorder_of(3, SharedSchedule(feed))
    for client in range(3):
        recorder.schedule.learn(0, feed.due_ns(0))
        recorder.tick_out_of_order(client, 0, feed.due_ns(0), feed.due_ns(0))
    recorder.take_interval(0)
    for client in range(3):
        recorder.tick_out_of_order(client, gap, feed.due_ns(gap), feed.due_ns(gap) + MS)
    interval = recorder.take_interval(1)
    assert (interval.ticks, interval.missed) == (3, 3 * (gap - 1))
    assert sum(interval.skipped.values()) == interval.missed
    known = [samples.arrays() for samples in interval.effective.values()]
    assert sum(int(counts.sum()) for _, counts in known) == 3 * gap
    longest_ns = feed.due_ns(gap) + MS - feed.due_ns(1)
    assert max(int(values.max()) for values, _ in known) >= 0.99 * longest_ns / 1_000


@pytest.mark.parametrize(("rate_hz", "gap"), GAPS)
def test_of_our_own_feed_whatever_no_client_holds_at_the_end_is_censored_however_much_it_is(
    rate_hz: float, gap: int
) -> None:
    feed = FeedSchedule.of(EPOCH_NS, rate_hz)
    recorder = recorder_of(3, SharedSchedule(feed))
    recorder.schedule.learn(0, feed.due_ns(0))
    for client, held in enumerate((0, 0, 1)):
        recorder.tick_out_of_order(client, held, feed.due_ns(held), feed.due_ns(held))
    recorder.take_interval(0)
    now_ns = feed.due_ns(gap) + 1
    recorder.finalise(now_ns)
    recorder.finalise(now_ns)
    censored = recorder.take_interval(1).censored
    counts = {second: int(samples.arrays()[1].sum()) for second, samples in censored.items()}
    assert sum(counts.values()) == 3 * gap - 1
    expected = Samples.of([now_ns - feed.due_ns(gap)] * 3)
    assert set(expected.arrays()[0]) <= set(censored[max(counts)].arrays()[0])


@pytest.mark.parametrize(
    ("gap", "missed"), [(100_000, 99_999), (100_001, 0)], ids=["as long as a gap may be", "longer"]
)
def test_somebody_elses_feed_may_have_begun_anew(gap: int, missed: int) -> None:
    recorder = recorder_of(1, ObservedSchedule())
    receive(recorder, 0, 0, due(0))
    receive(recorder, 0, gap, due(gap))
    assert recorder.take_interval(0).missed == missed


@pytest.mark.parametrize(
    ("ahead_ms", "early", "earliest_ms"),
    [(-50, 0, 0), (0, 0, 0), (9, 0, 0), (15, 2, 5), (50, 5, 40)],
    ids=["behind", "right", "ahead by less than it takes", "ahead of the fastest", "ahead of all"],
)
def test_ticks_that_come_before_they_are_due_are_counted_and_the_earliest_of_them(
    ahead_ms: int, early: int, earliest_ms: int
) -> None:
    recorder = recorder_of(1)
    for seq in range(5):
        # Out to the client they take 10, 13, 16, … ms.
        now_ns = due(seq) - ahead_ms * MS + (10 + 3 * seq) * MS
        recorder.tick_out_of_order(0, seq, due(seq), now_ns)
    interval = recorder.take_interval(0)
    assert (interval.early, interval.earliest_ns) == (early, earliest_ms * MS)
    assert recorder.take_interval(1).early == 0


def test_an_old_tick_that_comes_before_it_is_due_counts_as_early_too() -> None:
    recorder = recorder_of(1)
    receive(recorder, 0, 9, due(9))
    receive(recorder, 0, 8, due(8) - 7 * MS)
    interval = recorder.take_interval(0)
    assert (interval.early, interval.earliest_ns) == (1, 7 * MS)


def test_clients_are_counted_by_group_and_those_that_nobody_serves_are_not_among_all() -> None:
    recorder = Recorder(EPOCH_NS, SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ)), grouped=True)
    for size, group in ((1, 0), (1, 1), (5, 0)):
        recorder.add_client(size, group)
    old = recorder.add_client(1, 2, served=False)
    for client in range(3):
        recorder.joined[client] = 1
        receive(recorder, client, 0, due(0))
    for outcome in ("rejected", "limited"):
        recorder.attempt_began(old, EPOCH_NS)
        recorder.attempt_ended(old, outcome, EPOCH_NS, EPOCH_NS + MS)
    recorder.gave_up_after(old, "http_status")
    recorder.sample_slot(due(0) + USEFUL_STALENESS_NS - 1)
    recorder.finalise(due(0) + 1)
    interval = recorder.take_interval(0)
    assert (interval.clients, interval.unserved, interval.connected, interval.useful) == (3, 1, 3, 3.0)
    assert interval.attempts == 2
    assert interval.shared_ips == {
        1: SomeClients(clients=2, connected=2, useful=2.0, attempts=0, limited=0),
        5: SomeClients(clients=1, connected=1, useful=1.0, attempts=0, limited=0),
    }
    assert interval.fleet_groups == {
        0: SomeClients(clients=2, connected=2, useful=2.0, attempts=0, limited=0),
        1: SomeClients(clients=1, connected=1, useful=1.0, attempts=0, limited=0),
        2: SomeClients(clients=1, connected=0, useful=0.0, attempts=2, limited=1, failed=2, gave_up=1),
    }
    assert {
        group: sum(each.in_time for each in counts.values())
        for group, counts in interval.fleet_group_ticks.items()
    } == {0: 2, 1: 1}
    assert sum(interval.staleness.arrays()[1].tolist()) == 3
    times = {
        group: (sorted(each.effective), each.staleness) for group, each in interval.fleet_group_times.items()
    }
    assert {group: (due, sum(ages.arrays()[1].tolist())) for group, (due, ages) in times.items()} == {
        0: ([0], 2),
        1: ([0], 1),
    }


def test_a_fleet_without_groups_says_nothing_of_them() -> None:
    recorder = Recorder(EPOCH_NS, SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ)))
    recorder.add_client()
    receive(recorder, 0, 0, due(0))
    interval = recorder.take_interval(0)
    assert (interval.fleet_groups, interval.fleet_group_ticks, interval.unserved) == ({}, {}, 0)


@settings(max_examples=30, deadline=None)
@given(deliveries(clients=4))
def test_the_latencies_of_all_groups_are_those_of_all_clients(received: list[tuple[int, int, int]]) -> None:
    recorder = Recorder(EPOCH_NS, SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ)), grouped=True)
    for client in range(4):
        recorder.add_client(1 + client // 2, client % 2)
    for client, seq, now_ns in received:
        receive(recorder, client, seq, now_ns)
    recorder.sample_slot(received[-1][2])
    recorder.finalise(received[-1][2] + SECOND_NS)
    interval = recorder.take_interval(0)
    groups = interval.fleet_group_times.values()
    assert add_by_key(each.effective for each in groups) == interval.effective
    assert add_by_key(each.censored for each in groups) == interval.censored
    assert add(each.staleness for each in groups) == interval.staleness

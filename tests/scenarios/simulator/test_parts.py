"""The model's calendar, delays, clients, recorder and clock."""

import asyncio
import random
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.policies.backoff import DecorrelatedJitter
from scenarios.policies.following import Course
from scenarios.policies.registry import POLICIES, policy
from scenarios.scenario.fleet.groups import AddressShare, Group
from scenarios.scenario.model import Fleet
from scenarios.simulator.clients import ClientTable, seats
from scenarios.simulator.delays import ENDED, TRIES, DelayPaths
from scenarios.simulator.loop import at
from scenarios.simulator.recorder import Cell
from scenarios.simulator.virtual_time import run_in_virtual_time
from scenarios.wire.interval import GroupTimes
from scenarios.wire.tick_counts import TickCounts
from tests.support.loop_parts import Books, Parts

ALONE, SHARED = Cell(0, 1), Cell(0, 40)

# -- calendar ---------------------------------------------------------------------------------------

FAR = 50_000_000_000
"""Several of the seconds in which far times are kept together, in nanoseconds."""


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3 * FAR), st.lists(st.integers(-1, 2 * FAR), max_size=90)), max_size=5
    ),
    rounded=st.sampled_from([1, 1_000, 30_000_000]),
)
def test_events_come_in_the_order_of_their_times_and_equal_ones_as_they_were_put_in(
    steps: list[tuple[int, list[int]]], rounded: int
) -> None:
    parts = Parts.of(8)
    waiting: list[tuple[int, int]] = []
    bucket = number = 0
    parts.taken(bucket)
    for until, times in sorted(steps, key=lambda step: step[0]):
        for time in times:
            # What is put into the bucket of the present goes another way.
            due = max((bucket + 1) << at.BUCKET_SHIFT, time // rounded * rounded)
            parts.put(due, number)
            waiting.append((due, number))
            number += 1
        bucket = max(bucket, until >> at.BUCKET_SHIFT)
        expected = sorted(each for each in waiting if each[0] >> at.BUCKET_SHIFT <= bucket)
        assert parts.taken(bucket) == expected
        waiting = [each for each in waiting if each not in expected]


def test_few_clients_may_have_something_to_come_in_every_bucket() -> None:
    parts = Parts.of(1)
    first = at.BUCKETS << at.BUCKET_SHIFT
    for number in range(at.BUCKETS):
        parts.put(first + (number << at.BUCKET_SHIFT), number)
    found = parts.taken(2 * at.BUCKETS - 1)
    assert [number for _, number in found] == list(range(at.BUCKETS))
    assert parts.fewest_free > 0


def test_a_calendar_grows_and_loses_nothing() -> None:
    parts = Parts.of(8)
    parts.taken(0)
    rng = np.random.default_rng(1)
    times = rng.integers(1 << at.BUCKET_SHIFT, FAR, 60_000).tolist()
    for number, time in enumerate([*times, *[FAR] * 9_000]):
        parts.put(time, number)
    found = parts.taken((FAR >> at.BUCKET_SHIFT) + 1)
    assert found == sorted(zip([*times, *[FAR] * 9_000], range(69_000), strict=True))


# -- delays -----------------------------------------------------------------------------------------


NOT_TOLD = [name for name in POLICIES if not Course(policy(name), random.Random(0)).is_told()]
"""Policies that ignore outcomes: their delays are drawn beforehand."""


@pytest.mark.parametrize("name", NOT_TOLD)
def test_delays_are_those_of_the_policys_own_iterator(name: str) -> None:
    chosen = policy(name)
    paths = DelayPaths(chosen, paths=3, seed=7)
    rng = random.Random("paths 7")
    for path in range(3):
        # AnyCable's delays have no bound; the model has one of three years.
        delays_s = (min(max(delay_s, 0.0), 1e8) for delay_s in islice(chosen.delays(rng), TRIES))
        expected = [round(delay_s * 1e9) for delay_s in delays_s]
        found = paths.table[0 if paths.are_one else path].tolist()
        assert found[: len(expected)] == expected
        assert set(found[len(expected) :]) <= {ENDED}, "a client without a further delay gives up"


def test_a_client_that_is_out_for_long_goes_on_at_the_cap() -> None:
    paths = DelayPaths(policy("incident"), paths=2, seed=1)
    paths.extend(TRIES + 100)
    assert set(paths.table[:, TRIES:].reshape(-1).tolist()) == {30_000_000_000}


@pytest.mark.parametrize("number", [0, 1, 47, 48, 49, 95, 96, 97, 500])
@pytest.mark.parametrize("step", [1, 7, 200])
def test_a_path_ends_where_its_policy_does(number: int, step: int) -> None:
    waits_s = [n / 8 for n in range(number)]
    chosen = policy({"name": "tests.support.plain_clients:listed", "waits_s": waits_s})
    paths = DelayPaths(chosen, paths=2, seed=1)
    for tries in range(TRIES, number + TRIES, step):
        paths.extend(tries + step)
    expected = [*(n * 125_000_000 for n in range(number)), *[ENDED] * paths.table.shape[1]]
    assert paths.table.tolist() == [expected[: paths.table.shape[1]]]
    assert paths.are_one


def test_paths_part_where_their_policy_begins_to_draw() -> None:
    first = TRIES + 10
    paths = DelayPaths(
        policy({"name": "tests.support.plain_clients:drawn_late", "first": first}), paths=3, seed=5
    )
    assert paths.are_one
    paths.extend(2 * TRIES)
    rng = random.Random("paths 5")
    assert paths.table[:, :first].tolist() == [[1_000_000_000] * first] * 3
    drawn = np.array([rng.random() for _ in range(3 * (2 * TRIES - first))]).reshape(3, -1)
    assert np.array_equal(paths.table[:, first:], np.rint(drawn * 1e9))


def test_paths_of_different_lengths_end_each_in_its_own_time() -> None:
    paths = DelayPaths(policy("tests.support.plain_clients:of_any_length"), paths=20, seed=3)
    paths.extend(400)
    rng = random.Random("paths 3")
    lengths = (paths.table != ENDED).sum(axis=1)
    assert lengths.tolist() == [rng.randrange(200) for _ in range(20)]
    assert not paths.are_one


def test_a_dependent_delay_goes_on_from_the_one_before_it_for_ever() -> None:
    chosen = DecorrelatedJitter(base_s=0.1, cap_s=10_000)
    paths = DelayPaths(chosen, paths=1, seed=2)
    paths.extend(300)
    delays = paths.table[0]
    assert (delays[1:] <= 3 * delays[:-1] + 3).all()
    assert len(set(delays.tolist()) - {10_000 * 10**9}) > 200


# -- clients ----------------------------------------------------------------------------------------


def test_seats_keep_the_shares_and_the_sizes() -> None:
    mix = (AddressShare(share=0.25, clients_per_ip=10), AddressShare(share=0.75, clients_per_ip=1))
    address, cell, cells = seats(Fleet(clients=400, clients_per_ip=mix), np.random.default_rng(1))
    assert cells == (Cell(0, 1), Cell(0, 10))
    assert np.bincount(cell).tolist() == [300, 100]
    assert sorted(np.unique(np.bincount(address)).tolist()) == [1, 10]
    assert len(np.unique(address)) == 310


def test_groups_are_seated_by_their_shares_and_share_addresses_unless_they_have_their_own() -> None:
    mix = (AddressShare(share=0.5, clients_per_ip=1), AddressShare(share=0.5, clients_per_ip=10))
    groups = (
        Group(name="none", share=0),
        Group(name="web"),
        Group(name="old", share=0.5, protocol=3),
        Group(name="mobile", share=0.2, clients_per_ip=4),
    )
    fleet = Fleet(clients=200, clients_per_ip=mix, group=groups)
    address, cell, cells = seats(fleet, np.random.default_rng(1))
    part = np.array([each.part for each in cells])[cell]
    size = np.array([each.size for each in cells])[cell]
    assert np.bincount(part).tolist() == [0, 60, 100, 40]
    assert {each.part for each in cells if not each.is_served} == {2}
    assert set(size[part == 3]) == {4}
    assert not set(address[part == 3]) & set(address[part != 3])
    assert set(address[(part == 1) & (size == 10)]) & set(address[(part == 2) & (size == 10)])
    assert set(np.bincount(address[size == 10]).tolist()) <= {0, 10}


def test_travel_takes_the_round_trips_of_a_try() -> None:
    table = ClientTable(Fleet(clients=1_000, rtt_ms=40), np.random.default_rng(1))
    assert table.travel_s.min() >= 0.06
    assert table.travel_s.max() <= 0.18
    assert table.addresses == 1_000


# -- accounts ---------------------------------------------------------------------------------------


def values_ms(found: object) -> list[int]:
    """Of samples, to tenths of a second, each as often as it was seen."""
    values, counts = found.arrays()  # type: ignore[attr-defined]
    return [
        round(value / 1e5) * 100 for value, count in zip(values, counts, strict=True) for _ in range(count)
    ]


def test_a_bin_is_one_per_cent_wide() -> None:
    books = Books([ALONE], [10])
    for number, seconds in enumerate(np.geomspace(1e-3, 15, 400)):
        books.delivered(0, seconds, seconds, [1])
        (value,), _ = books.interval(number % 20).fanout.arrays()
        assert value / 1e6 == pytest.approx(seconds, rel=0.006)


def test_who_comes_back_learns_what_was_missed_and_how_late() -> None:
    books = Books([ALONE], [2])
    # Five ticks a second. A client leaves with tick 4 (due at 0.8 s) and has tick 10 (due at 2 s) at 2.1 s.
    books.left(4, 0)
    books.caught_up(4, 0, 10, now_s=2.1)
    books.settle()
    effective = books.recorder.take_times()[0].effective
    found = {second: values_ms(each) for second, each in effective.items()}
    assert found == {1: [300, 500, 700, 900, 1100]}
    assert books.interval(0).missed == 5
    assert books.recorder.take_ticks() == [(ALONE, {1: TickCounts(in_time=4, late=1, skipped=5)})]
    assert books.recorder.take_ticks() == []


@given(
    st.lists(
        st.tuples(st.integers(-1, 30), st.integers(1, 20), st.integers(0, 1), st.integers(0, 3_000)),
        max_size=12,
    )
)
def test_whoever_comes_back_is_counted_as_one_after_the_other(
    clients: list[tuple[int, int, int, int]],
) -> None:
    books = Books([ALONE, SHARED], [20, 20])
    expected: dict[Cell, Counter[int]] = {ALONE: Counter(), SHARED: Counter()}
    seen: Counter[tuple[int, int]] = Counter()
    for held, missed, cell, after_ms in sorted(clients, key=lambda one: (one[0] + one[1]) * 200 + one[3]):
        tick, now_ms = held + missed, (held + missed) * 200 + after_ms
        books.left(held, cell)
        books.caught_up(held, cell, tick, now_ms / 1000)
        for lost in range(held + 1, tick):
            expected[(ALONE, SHARED)[cell]][lost // 5] += 1
            seen[lost // 5, now_ms - lost * 200] += 1
    books.settle()
    skipped = {
        cell: {second: each.skipped for second, each in counts.items()}
        for cell, counts in books.recorder.take_ticks()
    }
    assert skipped == {cell: dict(counts) for cell, counts in expected.items() if counts}
    effective = books.recorder.take_times()[0].effective
    for second, each in effective.items():
        values, counts = each.arrays()
        latencies = sorted(ms for (due, ms), times in seen.items() if due == second for _ in range(times))
        found_ms = np.repeat(values, counts) / 1000
        # To 1 %, and to 10 ms where it is a second or more.
        assert found_ms == pytest.approx(np.array(latencies), rel=0.017)
    assert set(effective) == {second for second, _ in seen}


def test_closed_books_hold_a_bound_for_every_tick_that_somebody_lacks() -> None:
    books = Books([ALONE], [3])
    # Two hold tick 2; one has had tick 4 from a pod that is up to date.
    books.left(2, 0, clients=2)
    books.finalise(1.0, 4, [4], [[1]])
    censored = books.recorder.take_times()[0].censored
    assert {second: values_ms(found) for second, found in censored.items()} == {0: [200, 200, 400, 400]}
    assert books.recorder.take_ticks() == [(ALONE, {0: TickCounts(never=4)})]
    # What is closed is no news when it comes after all.
    books.delivered(3, 1.0, 1.0, [2])
    books.delivered(5, 1.1, 1.1, [2])
    assert list(books.recorder.take_times()[0].effective) == [1]
    assert books.recorder.take_ticks() == [(ALONE, {1: TickCounts(in_time=2)})]


def test_a_tick_that_is_late_for_some_is_late_for_an_equal_share_of_each_cell() -> None:
    books = Books([ALONE, SHARED], [6, 4])
    # Tick 7 is due at 1.4 s. Of five portions, three have it within a second.
    books.delivered(7, 1.5, 3.1, [6, 4])
    assert books.recorder.take_ticks() == [
        (ALONE, {1: TickCounts(in_time=3, late=3)}),
        (SHARED, {1: TickCounts(in_time=3, late=1)}),
    ]


@given(st.lists(st.integers(0, 40), min_size=3, max_size=3), st.floats(0, 3), st.floats(0, 3))
def test_the_groups_of_all_portions_add_up_to_the_clients_of_each(
    clients: list[int], after_s: float, takes_s: float
) -> None:
    cells = [Cell(0, 1), Cell(1, 1), Cell(1, 5)]
    books = Books(cells, [40, 40, 40])
    books.delivered(5, 1 + after_s, 1 + after_s + takes_s, clients)
    times = books.recorder.take_times()
    found = [sum(int(each.arrays()[1].sum()) for each in times[group].effective.values()) for group in (0, 1)]
    assert found == [clients[0], clients[1] + clients[2]]
    counted = {cell: each[1].in_time + each[1].late for cell, each in books.recorder.take_ticks()}
    assert counted == {cell: some for cell, some in zip(cells, clients, strict=True) if some}


def test_times_are_told_apart_by_group_and_those_that_nobody_serves_have_none() -> None:
    cells = [Cell(0, 1), Cell(0, 5), Cell(1, 1), Cell(2, 1, is_served=False)]
    books = Books(cells, [3, 1, 4, 9])
    books.delivered(5, 1.1, 1.1, [3, 1, 4, 0])
    # One of the second group holds tick 5 and is away.
    books.left(5, 2)
    books.sample(2.0, [9], [[3, 1, 3, 0]])
    books.finalise(2.0, 9, [9], [[3, 1, 3, 0]])
    found = books.recorder.take_times()
    assert {group: values_ms(each.effective[1]) for group, each in found.items()} == {
        0: [100] * 4,
        1: [100] * 4,
    }
    assert [values_ms(each.staleness) for each in found.values()] == [[200] * 4, [200, 200, 200, 1000]]
    assert [sorted(each.censored) for each in found.values()] == [[], [1]]


def test_staleness_and_usefulness_are_looked_at_on_the_grid() -> None:
    books = Books([ALONE], [3])
    # Two are on a pod that has sent tick 9 (due at 1.8 s); one is away and holds tick 0.
    books.left(0, 0)
    books.sample(2.0, [9], [[2]])
    interval = books.interval(1)
    assert interval.useful == 2
    assert interval.stale_clients == 1
    assert values_ms(books.recorder.take_times()[0].staleness) == [200, 200, 2000]
    assert books.recorder.take_times() == {0: GroupTimes()}


# -- virtual time -----------------------------------------------------------------------------------


def test_a_day_passes_at_once_and_in_order() -> None:
    seen: list[tuple[float, str]] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((asyncio.get_running_loop().time(), name))

    async def day() -> None:
        await asyncio.gather(wait("evening", 72_000), wait("morning", 28_800))

    run_in_virtual_time(day())
    assert [(round(t_s), name) for t_s, name in seen] == [(28_800, "morning"), (72_000, "evening")]


def test_waiting_for_nobody_is_an_error_and_not_for_ever() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock: every task waits"):
        run_in_virtual_time(forever())

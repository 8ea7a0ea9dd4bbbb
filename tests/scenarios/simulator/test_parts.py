"""The model's calendar, delays, clients, recorder and clock."""

import asyncio
import random
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
from scenarios.simulator.calendar import Calendar
from scenarios.simulator.clients import ClientTable, seats
from scenarios.simulator.delays import TRIES, DelayPaths
from scenarios.simulator.recorder import (
    BINS,
    Cell,
    Recorder,
    bins_of,
    portions_by_group,
    samples,
    shared_out,
)
from scenarios.simulator.virtual_time import run_in_virtual_time
from scenarios.wire.interval import GroupTimes
from scenarios.wire.tick_counts import TickCounts

ALONE, SHARED = Cell(0, 1), Cell(0, 40)

# -- calendar ---------------------------------------------------------------------------------------


@given(entries=st.lists(st.lists(st.integers(-3, 200_000), max_size=20), max_size=5))
def test_everybody_comes_due_in_the_slot_that_was_entered(entries: list[list[int]]) -> None:
    calendar = Calendar()
    expected: dict[int, list[int]] = {}
    number = 0
    for slots in entries:
        clients = np.arange(number, number + len(slots), dtype=np.int32)
        number += len(slots)
        calendar.put(clients, np.array(slots, np.int64))
        for client, slot in zip(clients.tolist(), slots, strict=True):
            expected.setdefault(max(0, slot), []).append(client)
    for slot in sorted(expected):
        assert sorted(calendar.take(slot).tolist()) == sorted(expected[slot])


def test_what_is_put_into_the_past_comes_next() -> None:
    calendar = Calendar()
    calendar.take(6)
    calendar.put(np.array([5], np.int32), np.array([2]))
    assert calendar.take(7).tolist() == [5]
    assert not len(calendar.take(8))


# -- delays -----------------------------------------------------------------------------------------


NOT_TOLD = [name for name in POLICIES if not Course(policy(name), random.Random(0)).is_told()]
"""Policies that ignore outcomes: their delays are drawn beforehand."""


@pytest.mark.parametrize("name", NOT_TOLD)
def test_delays_are_those_of_the_policys_own_iterator(name: str) -> None:
    chosen = policy(name)
    paths = DelayPaths(chosen, paths=3, seed=7)
    rng = random.Random("paths 7")
    for path in range(3):
        expected = list(islice(chosen.delays(rng), TRIES))
        found = paths.delays_s(np.full(TRIES, path), np.arange(TRIES))
        assert found[: len(expected)].tolist() == expected
        assert np.isnan(found[len(expected) :]).all(), "a client without a further delay gives up"


def test_a_client_that_is_out_for_long_goes_on_at_the_cap() -> None:
    paths = DelayPaths(policy("incident"), paths=2, seed=1)
    late = paths.delays_s(np.zeros(100, np.int64), np.arange(TRIES, TRIES + 100))
    assert set(late.tolist()) == {30.0}


@pytest.mark.parametrize("number", [0, 1, 47, 48, 49, 95, 96, 97, 500])
def test_a_path_ends_where_its_policy_does(number: int) -> None:
    waits_s = [n / 8 for n in range(number)]
    paths = DelayPaths(
        policy({"name": "tests.support.plain_clients:listed", "waits_s": waits_s}), paths=2, seed=1
    )
    for step in (1, 7, 200):
        # However far a client comes at a time.
        for tries in range(0, number + 1, step):
            found = paths.delays_s(np.array([0, 1]), np.array([tries, min(tries, 3)]))
            assert found[0] == waits_s[tries] if tries < number else np.isnan(found[0])
    assert np.isnan(paths.delays_s(np.zeros(3, np.int64), number + np.arange(3))).all()


def test_paths_of_different_lengths_end_each_in_its_own_time() -> None:
    paths = DelayPaths(policy("tests.support.plain_clients:of_any_length"), paths=20, seed=3)
    rng = random.Random("paths 3")
    lengths = []
    for path in range(20):
        found = paths.delays_s(np.full(400, path), np.arange(400))
        lengths.append(int((~np.isnan(found)).sum()))
        assert np.isnan(found[lengths[-1] :]).all()
    expected = [rng.randrange(200) for _ in range(20)]
    assert lengths == expected


def test_a_dependent_delay_goes_on_from_the_one_before_it_for_ever() -> None:
    chosen = DecorrelatedJitter(base_s=0.1, cap_s=10_000)
    delays_s = DelayPaths(chosen, paths=1, seed=2).delays_s(np.zeros(300, np.int64), np.arange(300))
    assert (delays_s[1:] <= 3 * delays_s[:-1]).all()
    assert len(set(delays_s.tolist()) - {10_000.0}) > 200


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


# -- recorder -----------------------------------------------------------------------------------------


def recorder(clients: int = 10) -> Recorder:
    made = Recorder(seconds=20, due_s=np.arange(100) / 5, cells=[ALONE], cell_clients=np.array([clients]))
    made.away_by_held[0] = clients
    return made


def values_ms(counts: object) -> list[tuple[int, int]]:
    values, times = samples(counts).arrays()
    return [
        (round(value / 1000), count) for value, count in zip(values.tolist(), times.tolist(), strict=True)
    ]


def test_a_bin_is_one_per_cent_wide() -> None:
    seconds = np.geomspace(1e-4, 3_000, 500)
    found, _ = samples(np.bincount(bins_of(seconds), minlength=BINS)).arrays()
    assert bins_of(seconds).max() < BINS
    for value in seconds:
        assert abs(found / 1e6 / value - 1).min() < 0.011


def test_who_comes_back_learns_what_was_missed_and_how_late() -> None:
    made = recorder(clients=2)
    made.caught_up(np.array([-1, -1]), np.array([0, 0]), 0, now_s=0.1)
    assert made.away_by_held.sum() == 0
    # One of them leaves with tick 4 (due at 0.8 s) and has tick 10 (due at 2 s) at 2.1 s.
    made.away_by_held[5] = 1
    made.caught_up(np.array([4]), np.array([0]), 10, now_s=2.1)
    effective = made.take_times()[0].effective
    seen = {second: values_ms_of(found) for second, found in effective.items()}
    assert seen == {1: [300, 500, 700, 900, 1100]}
    assert made.take_interval(0, connected_by_cell=np.array([2])).missed == 5
    assert made.take_ticks() == [(Cell(0, 1), {1: TickCounts(in_time=4, late=1, skipped=5)})]
    assert made.take_ticks() == []


def values_ms_of(found: object) -> list[int]:
    values, counts = found.arrays()  # type: ignore[attr-defined]
    return [
        round(value / 1e5) * 100 for value, count in zip(values, counts, strict=True) for _ in range(count)
    ]


def test_closed_books_hold_a_bound_for_every_tick_that_somebody_lacks() -> None:
    made = recorder(clients=3)
    # Two hold tick 2; one has had tick 4 from a pod that is up to date.
    made.away_by_held[0] = 0
    made.away_by_held[3] = 2
    made.finalise(1.0, 4, np.array([[1]]), np.array([4]))
    censored = made.take_times()[0].censored
    assert {second: values_ms_of(found) for second, found in censored.items()} == {0: [200, 200, 400, 400]}
    assert made.take_ticks() == [(Cell(0, 1), {0: TickCounts(never=4)})]
    assert made.closed == 4
    # What is closed is no news when it comes after all.
    made.delivered(
        np.array([3, 5]), np.array([[0.4], [0.1]]), np.array([[2], [2]]), by_cell=np.array([[2], [2]])
    )
    effective = made.take_times()[0].effective
    assert list(effective) == [1]
    assert made.take_ticks() == [(Cell(0, 1), {1: TickCounts(in_time=2)})]


def test_a_tick_that_is_late_for_some_is_late_for_an_equal_share_of_each_group() -> None:
    made = Recorder(
        seconds=20, due_s=np.arange(100) / 5, cells=[ALONE, SHARED], cell_clients=np.array([6, 4])
    )
    made.delivered(
        np.array([7]), np.array([[0.1, 0.9, 1.2]]), np.array([[3, 2, 5]]), by_cell=np.array([[6, 4]])
    )
    assert made.take_ticks() == [
        (ALONE, {1: TickCounts(in_time=3, late=3)}),
        (SHARED, {1: TickCounts(in_time=2, late=2)}),
    ]


@given(
    st.lists(st.lists(st.integers(0, 10**6), min_size=3, max_size=3), min_size=1, max_size=5),
    st.floats(0, 1),
)
def test_what_is_shared_out_over_groups_is_all_of_it_and_no_more_than_a_group_has(
    groups: list[list[int]], share: float
) -> None:
    by_group = np.array(groups, np.int64)
    some = (by_group.sum(axis=1) * share).astype(np.int64)
    found = shared_out(some, by_group)
    assert found.sum(axis=1).tolist() == some.tolist()
    assert (found >= 0).all()
    assert (found <= by_group).all()


@given(st.lists(st.lists(st.integers(0, 1_000), min_size=3, max_size=3), min_size=1, max_size=4), st.data())
def test_the_groups_of_all_portions_add_up_to_the_portions_and_to_the_groups(
    groups: list[list[int]], data: st.DataObject
) -> None:
    by_group = np.array(groups, np.int64)
    cuts = [sorted(data.draw(st.tuples(*[st.integers(0, size)] * 4))) for size in by_group.sum(axis=1)]
    edges = [[0, *cut, size] for cut, size in zip(cuts, by_group.sum(axis=1), strict=True)]
    clients = np.asarray(np.diff(edges, axis=1), np.int64)
    found = portions_by_group(clients, by_group)
    assert (found >= 0).all()
    assert found.sum(axis=2).tolist() == clients.tolist()
    assert found.sum(axis=1).tolist() == by_group.tolist()


def test_times_are_told_apart_by_group_and_those_that_nobody_serves_have_none() -> None:
    cells = [Cell(0, 1), Cell(0, 5), Cell(1, 1), Cell(2, 1, is_served=False)]
    made = Recorder(
        seconds=20, due_s=np.arange(100) / 5, cells=cells, cell_clients=np.array([3, 1, 4, 9]), grouped=True
    )
    made.delivered(np.array([5]), np.array([[0.1, 1.2]]), np.array([[4, 4]]), np.array([[3, 1, 4, 0]]))
    # One of the second group holds tick 5 and is away.
    made.left(np.array([5]), np.array([2]))
    made.sample(2.0, np.array([9]), np.array([[3, 1, 3, 0]]))
    made.finalise(2.0, 9, np.array([[3, 1, 3, 0]]), np.array([9]))
    made.gave_up_after("timeout", np.array([0, 2, 2]))
    found = made.take_times()
    assert {group: values_ms_of(each.effective[1]) for group, each in found.items()} == {
        0: [100, 100, 1200, 1200],
        1: [100, 100, 1200, 1200],
    }
    assert [values_ms_of(each.staleness) for each in found.values()] == [[200] * 4, [200, 200, 200, 1000]]
    assert [sorted(each.censored) for each in found.values()] == [[], [1]]
    groups = made.take_interval(1, connected_by_cell=np.array([3, 1, 3, 0])).fleet_groups
    assert {group: each.gave_up for group, each in groups.items()} == {0: 1, 1: 2, 2: 0}


def test_staleness_and_usefulness_are_looked_at_on_the_grid() -> None:
    made = recorder(clients=3)
    made.away_by_held[:] = 0
    made.away_by_held[1] = 1
    # Two are on a pod that has sent tick 9 (due at 1.8 s); one is away and holds tick 0.
    made.sample(2.0, np.array([9]), np.array([[2]]))
    interval = made.take_interval(1, connected_by_cell=np.array([2]))
    assert interval.useful == 2
    assert interval.stale_clients == 1
    assert values_ms_of(made.take_times()[0].staleness) == [200, 200, 2000]
    assert made.take_times() == {0: GroupTimes()}


def test_tries_count_where_they_begin_and_can_be_taken_back() -> None:
    made = recorder()
    made.attempted(np.array([0.05, 1.25, 1.26]), np.zeros(3, np.int64))
    made.attempted(np.array([1.26]), np.zeros(1, np.int64), -1)
    made.attempted(np.full(500, 1.9), np.zeros(500, np.int64))
    assert made.take_interval(0, connected_by_cell=np.array([0])).attempts_per_slot[0] == 1
    second = made.take_interval(1, connected_by_cell=np.array([0]))
    assert second.attempts_per_slot == (0, 0, 1, 0, 0, 0, 0, 0, 0, 500)
    assert second.shared_ips[1].attempts == 501


def test_a_feed_that_changes_moves_the_ticks_to_come() -> None:
    made = recorder(clients=1)
    made.set_feed(np.arange(100) / 10)
    made.delivered(np.array([15]), np.array([[0.1]]), np.array([[1]]), by_cell=np.array([[1]]))
    effective = made.take_times()[0].effective
    assert list(effective) == [1]


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


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("count", [1, 7, 500])
def test_tries_are_counted_by_tenth_of_a_second_and_by_group_however_many_there_are(
    groups: int, count: int
) -> None:
    rng = np.random.default_rng(count)
    recorder = Recorder(
        seconds=4,
        due_s=np.arange(3.0),
        cells=[Cell(0, size) for size in range(groups)],
        cell_clients=np.full(groups, 250),
    )
    starts_s, of_group = rng.uniform(0, 6, count), rng.integers(0, groups, count)
    recorder.attempted(starts_s, of_group)
    seconds = np.minimum(starts_s.astype(int), 4)
    for second in range(5):
        for group in range(groups):
            wanted = int(((seconds == second) & (of_group == group)).sum())
            assert recorder.attempts_by_cell[second, group] == wanted
    assert recorder.attempts_by_slot.sum() == count
    recorder.attempted(starts_s, of_group, -1)
    assert not recorder.attempts_by_cell.any()
    assert not recorder.attempts_by_slot.any()

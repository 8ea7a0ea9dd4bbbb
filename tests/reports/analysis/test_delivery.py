"""What became of the ticks, and when clients were back: by hand, and against counting one by one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway_stub.feed_schedule import FeedSchedule
from reports.analysis.delivery import (
    SHARES,
    Back,
    ClientsBack,
    SessionRecovery,
    Ticks,
    clients_back,
    session_recovery,
    share_of,
    ticks_due,
    ticks_of,
)
from reports.analysis.metrics import summarise
from reports.rundir import latency
from reports.rundir.latency import Counts
from reports.rundir.reader import Run
from reports.rundir.schema import Phase, RunInfo, Tag
from reports.rundir.series import Row
from reports.rundir.writer import RunWriter
from scenarios.clients.protocol.schedule import SharedSchedule
from scenarios.clients.recorder import Recorder
from scenarios.runner.collector import Collector
from tests.support.histories import CLIENTS, Latencies, histograms, history, seconds, storm

# -- ticks ------------------------------------------------------------------------------------------


def counts(milliseconds: list[float]) -> Counts:
    values_us = np.array([round(ms * 1_000) for ms in milliseconds], np.int64)
    result = latency.no_counts()
    np.add.at(result, latency.places_of(values_us), 1)
    return result


TICKS: dict[str, tuple[list[float], list[float], Ticks]] = {
    "all in time": ([40.0, 60.0, 999.0], [], Ticks(due=3, in_time=3, late=0, never=0)),
    "a second is late": ([1_000.0, 1_001.0], [], Ticks(due=2, in_time=0, late=2, never=0)),
    "never": ([40.0], [5_000.0, 9_000.0], Ticks(due=3, in_time=1, late=0, never=2)),
    "not yet at the end is never": ([], [10.0], Ticks(due=1, in_time=0, late=0, never=1)),
    "an hour": ([3_600_000.0], [], Ticks(due=1, in_time=0, late=1, never=0)),
    "nothing was due": ([], [], Ticks(due=0, in_time=0, late=0, never=0)),
}


@pytest.mark.parametrize(("known", "bounds", "found"), TICKS.values(), ids=TICKS)
def test_a_tick_is_in_time_or_late_or_never(known: list[float], bounds: list[float], found: Ticks) -> None:
    assert ticks_of(counts(known), counts(bounds)) == found


LATENCIES = st.lists(st.floats(0, 4_000_000), max_size=40)


@given(LATENCIES, LATENCIES, st.integers(1, 10**7), st.integers(1, 10**7))
def test_in_time_and_late_and_never_are_all_and_a_longer_second_has_more_in_time(
    known: list[float], bounds: list[float], a_us: int, b_us: int
) -> None:
    short, long = (ticks_of(counts(known), counts(bounds), within_us=us) for us in sorted((a_us, b_us)))
    for found in (short, long):
        assert found.in_time + found.late + found.never == found.due == len(known) + len(bounds)
        assert min(found.in_time, found.late, found.never) >= 0
    assert short.in_time <= long.in_time
    assert short.never == long.never


def due_of(effective: Latencies, censored: Latencies, **changes: list[float]) -> Run:
    rows = seconds(0, 20)
    for name, cells in changes.items():
        for row, cell in zip(rows, cells, strict=False):
            row[name] = cell
    tags: dict[Tag, Latencies] = {"effective": effective, "censored": censored}
    return history(rows, latencies={tag: histograms(values) for tag, values in tags.items()})


def test_ticks_count_by_the_second_in_which_they_were_due() -> None:
    run = due_of(
        {7: [(60.0, 9)], 8: [(60.0, 1), (5_000.0, 3)], 9: [(60.0, 4)], 10: [(60.0, 9)]}, {9: [(9_000.0, 2)]}
    )
    assert ticks_due(run, 8, 10) == Ticks(due=10, in_time=5, late=3, never=2)
    assert ticks_due(run, 12, 14) is None


def test_a_skipped_tick_is_lost_whether_a_newer_one_came_in_time_or_not() -> None:
    run = due_of({8: [(60.0, 5), (5_000.0, 3)]}, {8: [(9_000.0, 2)]}, skipped=[0.0] * 8 + [4.0])
    found = ticks_due(run, 8, 10)
    assert found == Ticks(due=10, in_time=5, late=3, never=2, skipped=4)
    assert [share_of(found, part) for part in ("in_time", "late", "never", "lost")] == [0.5, 0.3, 0.2, 0.6]


def test_an_older_run_has_skipped_ticks_by_the_second_in_which_clients_found_out() -> None:
    run = due_of({8: [(60.0, 5)], 9: [(60.0, 5)]}, {}, missed=[0.0] * 9 + [3.0])
    older = replace(
        run, rows=tuple({key: cell for key, cell in row.items() if key != "skipped"} for row in run.rows)
    )
    assert ticks_due(older, 8, 10) == Ticks(due=10, in_time=10, late=0, never=0, skipped=3)
    assert ticks_due(run, 8, 10) == Ticks(due=10, in_time=10, late=0, never=0)


def test_of_ticks_without_numbers_nobody_knows_what_was_not_received() -> None:
    run = due_of({8: [(60.0, 5)]}, {})
    run.info.unnumbered = True
    assert ticks_due(run, 8, 10) is None
    assert share_of(None, "late") is None


SESSIONS: dict[str, tuple[list[Row], Ticks | None, SessionRecovery | None]] = {
    "an older run": ([{"t_s": 0, "ticks": 100}], TICKS["never"][2], None),
    "nobody asked": ([{"t_s": 0, "ticks": 100, "recovery_asked": 0}], TICKS["never"][2], None),
    "some were recovered": (
        [
            {"t_s": 0, "ticks": 100},
            {"t_s": 1, "ticks": 90, "recovery_asked": 10, "recovered": 8, "replayed": 40, "duplicated": 3},
        ],
        TICKS["never"][2],
        SessionRecovery(asked=10, recovered=8, replayed=40, duplicated=3, delivered=187, lost=2),
    ),
    "ticks have no numbers": (
        [{"t_s": 0, "ticks": 90, "recovery_asked": 10}],
        None,
        SessionRecovery(asked=10, recovered=0, replayed=0, duplicated=0, delivered=90, lost=None),
    ),
}


@pytest.mark.parametrize(("rows", "ticks", "found"), SESSIONS.values(), ids=SESSIONS)
def test_recovered_sessions_are_counted_where_a_client_asked_for_one(
    rows: list[Row], ticks: Ticks | None, found: SessionRecovery | None
) -> None:
    assert session_recovery(rows, ticks) == found


def test_the_last_second_of_a_measurement_is_too_short_to_tell() -> None:
    def due(run: Run) -> int:
        found = summarise(run).storm
        assert found is not None
        assert found.ticks is not None
        return found.ticks.due

    every_second = 5 * CLIENTS
    # From second 8 to the end, to a rescue, and to a tail in which the last second's ticks may still come.
    assert due(history(storm(50.0))) == 53 * every_second
    assert due(history(storm(50.0), rescued_at_s=48)) == 39 * every_second
    assert due(history(storm(50.0), tail_from_s=48)) == 40 * every_second


# -- clients ----------------------------------------------------------------------------------------


def returns(*after_s: int | None, disconnected: int = 100, never: int = 0, end_s: int = 0) -> ClientsBack:
    """Each share was back then; None: not before `end_s`."""
    found = [Back(end_s, at_least=True) if at is None else Back(at) for at in after_s]
    return ClientsBack(
        disconnected=disconnected,
        back_50=found[0],
        back_95=found[1],
        back_99=found[2],
        back_100=found[3],
        never_returned=never,
    )


SERVED: dict[str, tuple[list[float], float, int, ClientsBack]] = {
    "nobody was disconnected": ([100.0] * 10, 100, 0, returns(0, 0, 0, 0, disconnected=0)),
    "more than before": ([120.0] * 10, 100, 0, returns(0, 0, 0, 0, disconnected=0)),
    "all at once": ([0.0] * 3 + [100.0] * 9, 100, 0, returns(3, 3, 3, 3)),
    "one by one": (
        [0.0, 49.0, 50.0, 94.0, 95.0, 98.0, 99.0, 99.0] + [100.0] * 5,
        100,
        0,
        returns(2, 4, 6, 8),
    ),
    "half of them were disconnected": (
        [50.0] * 2 + [75.0] * 3 + [100.0] * 5,
        100,
        0,
        returns(2, 5, 5, 5, disconnected=50),
    ),
    "half a client of a second counts as one": ([0.0] + [99.5] * 6, 100, 0, returns(1, 1, 1, 1)),
    "back too shortly": ([0.0, 0.0] + [100.0] * 4 + [0.0] * 4 + [100.0] * 5, 100, 0, returns(10, 10, 10, 10)),
    "the worst second comes late": (
        [60.0] * 6 + [20.0] + [100.0] * 5,
        100,
        0,
        returns(7, 7, 7, 7, disconnected=80),
    ),
    "too late to tell": ([0.0] * 8 + [100.0] * 4, 100, 0, returns(*[None] * 4, end_s=8)),
    "too late to tell of most": ([0.0] * 8 + [30.0] * 4, 100, 0, returns(*[None] * 4, never=70, end_s=12)),
    "never": ([10.0, 5.0] + [10.0] * 10, 100, 0, returns(*[None] * 4, disconnected=95, never=90, end_s=12)),
    "five of them never": ([0.0] * 2 + [95.0] * 10, 100, 0, returns(2, 2, None, None, never=5, end_s=12)),
    "the trigger lasts": ([0.0] * 3 + [100.0] * 9, 100, 2, returns(1, 1, 1, 1)),
    "back before the trigger was over": ([0.0] * 3 + [100.0] * 9, 100, 6, returns(0, 0, 0, 0)),
    "a second is not known": ([0.0, 100.0, np.nan] + [100.0] * 6, 100, 0, returns(3, 3, 3, 3)),
    "the last second is not known": (
        [0.0] * 2 + [100.0] * 4 + [np.nan],
        100,
        0,
        returns(*[None] * 4, end_s=2),
    ),
    "shorter than five seconds": ([0.0, 100.0], 100, 0, returns(*[None] * 4, end_s=1)),
}


@pytest.mark.parametrize(("served", "before", "trigger_end", "found"), SERVED.values(), ids=SERVED)
def test_clients_are_back_when_so_many_are_served_for_a_while(
    served: list[float], before: float, trigger_end: int, found: ClientsBack
) -> None:
    assert clients_back(np.array(served), before, trigger_end) == found


def test_without_any_second_nothing_is_known() -> None:
    assert clients_back(np.array([]), 100) is None
    assert clients_back(np.array([np.nan] * 9), 100) is None


@given(
    st.lists(st.floats(0, 100) | st.just(float("nan")), min_size=1, max_size=40),
    st.floats(0, 100),
    st.integers(0, 40),
)
def test_a_larger_share_is_not_back_earlier_and_all_are_not_back_where_some_never_returned(
    served: list[float], before: float, trigger_end: int
) -> None:
    found = clients_back(np.array(served), before, trigger_end)
    if found is None:
        return
    backs: list[Back] = [getattr(found, f"back_{share}") for share in SHARES]
    assert [back.after_s for back in backs] == sorted(back.after_s for back in backs)
    assert [back.at_least for back in backs] == sorted(back.at_least for back in backs)
    assert found.never_returned == 0 or found.back_100.at_least
    assert 0 <= found.never_returned <= found.disconnected <= 100


def test_a_summary_has_the_returns_until_the_rescue() -> None:
    run = history(storm(lambda t: 100.0 if t >= 50 else 5.0), rescued_at_s=48)
    assert summarise(run).back == returns(*[None] * 4, disconnected=95, never=95, end_s=40)
    assert summarise(history(seconds(0, 20), trigger_s=None)).back is None


# -- a model that counts one by one -----------------------------------------------------------------

RATE_HZ, SECOND, PERIOD_NS = 5, 1_000_000_000, 200_000_000
LATENCY_NS = 40_000_000
TRIGGER, END = 4, 20


def recorded(absences: list[tuple[float, float]], folder: Path) -> Run:
    """A run in which each client is away from one time to another, as the recorder and the collector have it.

    Who is away receives nothing, and nothing of it later.
    """
    feed = FeedSchedule.of(0, RATE_HZ)
    recorder = Recorder(0, SharedSchedule(feed))
    for client in range(len(absences)):
        recorder.add_client(1 + client % 2)
    info = RunInfo(
        scenario={}, arm="a", seed=1, started_utc="", versions={}, machine={}, stability={}, command=[]
    )
    info.trigger_s = TRIGGER
    info.phases = (Phase("before", 0, TRIGGER), Phase("during", TRIGGER, 10), Phase("after", 10, END))
    writer = RunWriter(folder / "run", info)
    collector = Collector(writer, 0)
    for slot in range(END * 10):
        now_ns = slot * SECOND // 10 + LATENCY_NS
        for client, (gone_s, back_s) in enumerate(absences):
            there = not gone_s <= now_ns / SECOND < back_s
            recorder.joined[client] = there
            seq, off = divmod(now_ns - LATENCY_NS, PERIOD_NS)
            if there and not off:
                recorder.schedule.learn(seq, feed.due_ns(seq))
                recorder.tick_out_of_order(client, seq, feed.due_ns(seq), now_ns)
        recorder.sample_slot(now_ns + 1)
        if slot == END * 10 - 1:
            recorder.finalise(END * SECOND)
        if slot % 10 == 9:
            collector.on_interval(recorder.take_interval(slot // 10))
    collector.finish(END, None)
    writer.close()
    return Run.load(folder / "run")


def counted(absences: list[tuple[float, float]]) -> Ticks:
    """The same ticks, one by one."""
    due = in_time = late = skipped = 0
    for gone_s, back_s in absences:
        for seq in range(TRIGGER * RATE_HZ, (END - 1) * RATE_HZ):
            due += 1
            received = [
                each for each in range(seq, END * RATE_HZ) if not gone_s <= each / RATE_HZ + 0.04 < back_s
            ]
            if not received:
                continue
            waited_s = (received[0] - seq) / RATE_HZ + 0.04
            in_time, late = in_time + (waited_s < 1), late + (waited_s >= 1)
            skipped += received[0] != seq
    return Ticks(due=due, in_time=in_time, late=late, never=due - in_time - late, skipped=skipped)


ABSENCES: dict[str, list[tuple[float, float]]] = {
    "nobody was away": [(0.0, 0.0)] * 3,
    "a moment": [(4.0, 4.3), (0.0, 0.0)],
    "one after the other": [(4.0, 6.0), (4.0, 8.5), (4.0, 13.1), (4.0, 13.3)],
    "some never came back": [(4.0, 6.0), (4.0, 99.0), (4.0, 99.0), (0.0, 0.0)],
    "back at the end": [(4.0, 19.1), (4.0, 19.9)],
}


@pytest.mark.parametrize("absences", ABSENCES.values(), ids=ABSENCES)
def test_a_recorded_run_has_the_ticks_that_were_counted_one_by_one(
    absences: list[tuple[float, float]], tmp_path: Path
) -> None:
    found = summarise(recorded(absences, tmp_path))
    assert found.storm is not None
    assert found.storm.ticks == counted(absences)
    by_ip = [group.ticks for group in found.shared_ips]
    assert by_ip == [counted(absences[first::2]) for first in range(2)]


def test_by_hand_ten_clients_of_which_nine_return(tmp_path: Path) -> None:
    # Nine are away from 4 s to 7 s and miss 15 ticks. The first one that they receive, at 7.04 s, comes in
    # time for those due at 6.2, 6.4, 6.6 and 6.8 s, and late for 11.
    run = recorded([(4.0, 7.0)] * 9 + [(4.0, 99.0)], tmp_path)
    found = summarise(run)
    assert found.storm is not None
    assert found.storm.ticks == Ticks(due=750, in_time=9 * 64, late=9 * 11, never=75, skipped=9 * 15)
    assert found.back == returns(3, None, None, None, disconnected=10, never=1, end_s=16)
    assert found.storm.missed == 9 * 15

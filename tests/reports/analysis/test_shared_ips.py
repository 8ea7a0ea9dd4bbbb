"""What a storm meant to clients by how many share their address, on literal histories."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reports.analysis.delivery import Back, ClientsBack, Ticks
from reports.analysis.metrics import summarise
from reports.analysis.shared_ips import (
    SharedIpGroup,
    attempts_of_unserved,
    client_timeouts_s,
    fleet_groups,
    shared_ip_groups,
    ticks_by_ip,
    watchdogs_by_age_s,
)
from reports.page.shared_ips import fleet_group_table, group_table
from reports.rundir.series import Row
from tests.support.histories import history, scenario, storm


def second(t_s: int, size: int, useful: float, *, attempts: float = 0.0, limited: float = 0.0) -> Row:
    clients = 100.0 if size == 1 else 40.0
    return {
        "t_s": float(t_s),
        "clients_per_ip": float(size),
        "clients": clients,
        "connected": useful,
        "useful": useful,
        "attempts": attempts,
        "limited": limited,
    }


def run_of(*rows: Row) -> Any:
    return replace(history(storm(100.0)), shared_ips=rows)


def test_each_group_is_counted_for_itself_from_the_trigger_on() -> None:
    rows = [second(t, 1, 100.0 if t > 10 else 50.0, attempts=5.0) for t in range(20)]
    rows += [second(t, 40, 10.0, attempts=80.0, limited=70.0) for t in range(20)]
    alone, crowded = shared_ip_groups(run_of(*rows), 8, 20)
    assert (alone.clients_per_ip, alone.clients, alone.attempts, alone.limited) == (1, 100, 60, 0)
    assert alone.availability == pytest.approx((3 * 50 + 9 * 100) / 1200)
    assert alone.back_after_s == 3
    assert (crowded.clients_per_ip, crowded.limited, crowded.back_after_s) == (40, 840, None)


def test_counts_end_where_those_of_all_clients_do_and_the_return_goes_on() -> None:
    rows = [second(t, 1, 0.0 if t < 12 else 100.0, attempts=5.0, limited=1.0) for t in range(30)]
    (group,) = shared_ip_groups(run_of(*rows), 8, 30, counted_to_s=16)
    assert group.availability == 0.5
    assert (group.attempts, group.limited, group.back_after_s) == (40, 8, 4)


def test_the_availability_of_all_groups_is_that_of_all_clients() -> None:
    run = history(storm(100.0))
    rows = [{**row, "clients_per_ip": 1.0, "limited": 0.0} for row in run.rows]
    summary = summarise(replace(run, shared_ips=tuple(rows)))
    (group,) = summary.shared_ips
    assert summary.storm is not None
    assert group.availability == summary.storm.availability
    assert group.attempts == summary.storm.attempts


@pytest.mark.parametrize(
    ("useful", "back_after_s"),
    [
        ([100.0] * 10, 0),
        ([0.0] * 4 + [99.0] * 6, 4),
        ([0.0] * 6 + [100.0] * 4, None),
        ([100.0] * 9 + [98.0], None),
    ],
    ids=["never away", "99 % will do", "too short to tell", "away again at the end"],
)
def test_a_group_is_back_when_it_stays_back(useful: list[float], back_after_s: int | None) -> None:
    (group,) = shared_ip_groups(run_of(*(second(8 + t, 1, n) for t, n in enumerate(useful))), 8, 18)
    assert group.back_after_s == back_after_s


def test_a_group_is_back_after_the_triggers_end() -> None:
    rows = [second(8 + t, 1, 0.0 if t < 4 else 100.0) for t in range(10)]
    back = [
        group.back_after_s
        for end_s in (None, 8, 11, 14)
        for group in shared_ip_groups(run_of(*rows), 8, 18, trigger_end_s=end_s)
    ]
    assert back == [4, 4, 1, 0]


def test_a_group_is_back_by_the_clients_that_the_storm_disconnected() -> None:
    rows = [second(t, 1, 100.0 if t < 8 or t > 10 else 50.0) for t in range(20)]
    rows += [second(t, 40, 40.0 if t < 8 else 10.0 if t < 12 else 38.0) for t in range(20)]
    alone, crowded = (group.back for group in shared_ip_groups(run_of(*rows), 8, 20))
    assert alone is not None
    assert crowded is not None
    assert (alone.disconnected, alone.back_50, alone.back_100, alone.never_returned) == (
        50,
        Back(3),
        Back(3),
        0,
    )
    assert (crowded.disconnected, crowded.back_50, crowded.never_returned) == (30, Back(4), 2)
    assert crowded.back_95 == crowded.back_100 == Back(12, at_least=True)


def due_second(t_s: int, size: int, **ticks: float) -> Row:
    return {**second(t_s, size, 40.0), **{f"ticks_{part}": count for part, count in ticks.items()}}


def test_the_ticks_of_a_group_are_those_due_in_the_storm() -> None:
    rows = [due_second(t, 1, in_time=500.0, late=0.0, never=0.0, skipped=0.0) for t in range(20)]
    rows += [due_second(t, 40, in_time=50.0, late=140.0, never=10.0, skipped=120.0) for t in range(7, 13)]
    alone, shared = shared_ip_groups(run_of(*rows), 8, 20, ticks_to_s=19)
    assert alone.ticks == Ticks(due=5_500, in_time=5_500, late=0, never=0)
    assert shared.ticks == Ticks(due=1_000, in_time=250, late=700, never=50, skipped=600)
    assert ticks_by_ip((alone, shared), shared=True) == shared.ticks
    assert ticks_by_ip((alone,), shared=True) is None


def test_the_ticks_of_a_second_of_which_the_generator_told_nothing_count() -> None:
    silent: Row = {
        **dict.fromkeys(second(9, 40, 0.0)),
        "t_s": 9.0,
        "clients_per_ip": 40.0,
        "ticks_in_time": 7.0,
        "ticks_late": 3.0,
    }
    told = [due_second(t, 40, in_time=5.0, late=0.0, never=0.0) for t in (8, *range(10, 16))]
    (group,) = shared_ip_groups(run_of(*told, silent), 8, 16)
    assert group.ticks == Ticks(due=45, in_time=42, late=3, never=0)
    assert (group.clients, group.availability, group.back_after_s) == (40, 1.0, 0)


def test_an_older_run_and_ticks_without_numbers_have_no_shares() -> None:
    (older,) = shared_ip_groups(run_of(*(second(t, 40, 40.0) for t in range(20))), 8, 20)
    assert older.ticks is None
    run = run_of(*(due_second(t, 40, in_time=50.0) for t in range(20)))
    run.info.unnumbered = True
    assert [group.ticks for group in shared_ip_groups(run, 8, 20)] == [None]


shares_of_any = st.builds(
    lambda in_time, late, never, skipped: Ticks(
        due=in_time + late + never, in_time=in_time, late=late, never=never, skipped=skipped
    ),
    *(st.integers(0, 99) for _ in range(4)),
)


@given(st.lists(st.tuples(st.sampled_from([1, 5, 40]), shares_of_any), max_size=6))
def test_both_kinds_of_clients_together_have_all_ticks(parts: list[tuple[int, Ticks]]) -> None:
    groups = [group(size, ticks=ticks) for size, ticks in parts]
    both = [ticks_by_ip(groups, shared=shared) for shared in (False, True)]
    for field in ("due", "in_time", "late", "never", "skipped", "lost"):
        wanted = sum(getattr(ticks, field) for _, ticks in parts)
        assert sum(getattr(ticks, field) for ticks in both if ticks) == wanted


def test_where_the_ticks_of_some_clients_are_not_known_no_share_is() -> None:
    known = Ticks(due=10, in_time=5, late=5, never=0)
    assert ticks_by_ip([group(5, ticks=known), group(40)], shared=True) is None


def test_a_summary_holds_them_and_a_run_without_a_trigger_has_none() -> None:
    rows = [second(t, 1, 100.0) for t in range(60)]
    assert [group.clients for group in summarise(run_of(*rows)).shared_ips] == [100]
    calm = replace(history(storm(100.0), trigger_s=None), shared_ips=tuple(rows))
    assert summarise(calm).shared_ips == ()


def group(
    size: int,
    *,
    limited: int = 0,
    back_after_s: int | None = 5,
    back: ClientsBack | None = None,
    ticks: Ticks | None = None,
) -> SharedIpGroup:
    return SharedIpGroup(
        clients_per_ip=size,
        clients=100,
        availability=0.5,
        attempts=1_200,
        limited=limited,
        back_after_s=back_after_s,
        back=back,
        ticks=ticks,
    )


def returned(back: Back, never: int) -> ClientsBack:
    return ClientsBack(
        disconnected=90, back_50=back, back_95=back, back_99=back, back_100=back, never_returned=never
    )


def rows_of(arms: dict[str, list[tuple[SharedIpGroup, ...]]]) -> list[tuple[str, ...]]:
    table = group_table(arms)
    assert table is not None
    return [*table.rows]


def test_rows_are_medians_over_runs_and_a_run_that_is_not_back_is_later_than_all_others() -> None:
    runs: list[tuple[SharedIpGroup, ...]] = [
        (group(1, limited=n, back_after_s=back),) for n, back in ((1, 4), (9, 6), (3, None))
    ]
    assert rows_of({"naive": runs}) == [("naive", "1", "100", "50 %", "1,200", "3", "5 s", "–", "–")]
    (row,) = rows_of({"naive": [*runs, (group(1, limited=2, back_after_s=None),)]})
    assert row[6] == "not recovered"


@pytest.mark.parametrize(
    ("backs", "cells"),
    [
        ([(Back(4), 0)], ("4 s", "0")),
        ([(Back(4), 0), (Back(38, at_least=True), 9), (Back(6), 2)], ("6 s", "2")),
        ([(Back(38, at_least=True), 8), (Back(30, at_least=True), 9), (Back(6), 1)], ("≥ 30 s", "8")),
    ],
    ids=["one run", "most are back", "most are not back"],
)
def test_how_the_clients_of_a_size_returned_is_a_median_too(
    backs: list[tuple[Back, int]], cells: tuple[str, str]
) -> None:
    (row,) = rows_of({"naive": [(group(1, limited=1, back=returned(*back)),) for back in backs]})
    assert row[-2:] == cells


def test_ticks_are_shares_and_medians_of_the_runs_that_know_them() -> None:
    def known(in_time: int) -> Ticks:
        return Ticks(due=1_000, in_time=in_time, late=1_000 - in_time, never=0)

    runs: list[tuple[SharedIpGroup, ...]] = [
        (group(1, limited=1, ticks=ticks),) for ticks in (known(900), known(700), known(800), None)
    ]
    table = group_table({"naive": runs})
    assert table is not None
    assert table.headings[4:7] == ("ticks in time", "ticks late", "ticks never")
    assert table.rows[0][4:7] == ("80 %", "20 %", "0 %")
    older = group_table({"naive": runs[3:]})
    assert older is not None
    assert not any("ticks" in heading for heading in older.headings)
    (row, unknown) = rows_of({"naive": runs[:1], "older": runs[3:]})
    assert (row[4:7], unknown[4:7]) == (("90 %", "10 %", "0 %"), ("–", "–", "–"))


def test_where_addresses_made_no_difference_nothing_is_said() -> None:
    assert group_table({"a": [(group(1),)], "b": [(group(1),)]}) is None
    assert group_table({}) is None
    assert [row[1] for row in rows_of({"a": [(group(1), group(200))]})] == ["1", "200"]


# -- groups of the fleet --------------------------------------------------------------------------------

GROUPS = [{"name": "web", "share": 0.9}, {"name": "old", "share": 0.1, "protocol": 3}]


def grouped(*rows: Row, groups: Any = GROUPS) -> Any:
    run = history(storm(100.0), scenario=scenario(fleet__group=groups))
    return replace(run, groups=rows)


def of_group(t_s: int, place: int, useful: float, *, attempts: float, failed: float = 0.0) -> Row:
    return {**second(t_s, 1, useful, attempts=attempts), "group": float(place), "failed": failed}


ROWS = [
    *(
        of_group(t, 0, 50.0 if 8 <= t < 11 else 100.0, attempts=40.0 if 8 <= t < 11 else 0.0)
        for t in range(20)
    ),
    *(of_group(t, 1, 0.0, attempts=10.0, failed=10.0) for t in range(20)),
]


def test_each_group_of_the_fleet_is_counted_for_itself() -> None:
    web, old = fleet_groups(grouped(*ROWS), 8, 20)
    assert (web.name, web.clients, web.attempts, web.failed, web.back_after_s) == ("web", 100, 120, 0, 3)
    assert (web.attempts_per_s_before, web.attempts_per_s) == (0.0, 10.0)
    assert web.availability == pytest.approx((3 * 50 + 9 * 100) / 1200)
    assert (old.name, old.attempts_per_s_before, old.attempts_per_s, old.failed) == ("old", 10.0, 10.0, 120)
    assert (old.is_served, old.availability, old.back_after_s, old.back) == (False, None, None, None)


def test_a_group_without_clients_and_an_older_run_have_no_row() -> None:
    assert [each.name for each in fleet_groups(grouped(*ROWS[20:]), 8, 20)] == ["old"]
    empty = [{**row, "clients": 0.0} for row in ROWS[20:]]
    assert fleet_groups(grouped(*empty), 8, 20) == ()
    assert fleet_groups(run_of(), 8, 20) == ()


def test_attempts_of_clients_that_nobody_serves_are_known() -> None:
    assert attempts_of_unserved(grouped(*ROWS), 0, 8) == 80
    assert attempts_of_unserved(run_of(), 0) == 0


def test_the_table_has_a_row_for_each_group_and_nothing_where_no_fleet_has_any() -> None:
    table = fleet_group_table({"mixed": [grouped(*ROWS)]})
    assert table is not None
    assert table.headings[:4] == ("arm", "group", "clients", "availability")
    assert [row[:2] for row in table.rows] == [("mixed", "web"), ("mixed", "old")]
    assert table.rows[1][3] == table.rows[1][-1] == "–"
    assert "gave up" not in table.headings
    assert fleet_group_table({"alike": [run_of()]}) is None


def test_the_table_says_how_many_clients_of_each_group_gave_up() -> None:
    rows = [{**row, "gave_up": row["group"] if row["t_s"] in (3.0, 9.0, 12.0) else 0.0} for row in ROWS]
    table = fleet_group_table({"mixed": [grouped(*rows)]})
    assert table is not None
    place = table.headings.index("gave up")
    assert [row[place] for row in table.rows] == ["0", "2"]


@pytest.mark.parametrize(
    ("fleet", "timeouts_s"),
    [
        pytest.param(
            {"connect_timeout_s": 1.0, "stale_after_s": 2.0},
            {"fleet.connect_timeout_s": 1.0, "fleet.stale_after_s": 2.0},
            id="no groups",
        ),
        pytest.param(
            {
                "connect_timeout_s": 1.0,
                "stale_after_s": 2.0,
                "group": [{"name": "web", "stale_after_s": None}, {"name": "old", "stale_after_s": 0.0}],
            },
            {
                "fleet.group.web.connect_timeout_s": 1.0,
                "fleet.group.web.stale_after_s": 2.0,
                "fleet.group.old.connect_timeout_s": 1.0,
            },
            id="groups",
        ),
    ],
)
def test_timeouts_of_clients_are_those_of_each_group(
    fleet: dict[str, Any], timeouts_s: dict[str, float]
) -> None:
    assert client_timeouts_s({"fleet": fleet}) == timeouts_s
    aged = {"fleet": {**fleet, "stale_by": "age"}}
    assert watchdogs_by_age_s(aged) == {
        name: seconds for name, seconds in timeouts_s.items() if "stale" in name
    }

"""What a storm meant to clients by how many share their address, on literal histories."""

from typing import Any

import pytest
from msgspec.structs import replace

from reports.analysis.delivery import Back, ClientsBack
from reports.analysis.metrics import summarise
from reports.analysis.shared_ips import SharedIpGroup, shared_ip_groups
from reports.page.shared_ips import group_table
from reports.rundir.series import Row
from tests.support.histories import history, storm


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


def test_a_summary_holds_them_and_a_run_without_a_trigger_has_none() -> None:
    rows = [second(t, 1, 100.0) for t in range(60)]
    assert [group.clients for group in summarise(run_of(*rows)).shared_ips] == [100]
    calm = replace(history(storm(100.0), trigger_s=None), shared_ips=tuple(rows))
    assert summarise(calm).shared_ips == ()


def group(
    size: int, *, limited: int = 0, back_after_s: int | None = 5, back: ClientsBack | None = None
) -> SharedIpGroup:
    return SharedIpGroup(
        clients_per_ip=size,
        clients=100,
        availability=0.5,
        attempts=1_200,
        limited=limited,
        back_after_s=back_after_s,
        back=back,
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


def test_where_addresses_made_no_difference_nothing_is_said() -> None:
    assert group_table({"a": [(group(1),)], "b": [(group(1),)]}) is None
    assert group_table({}) is None
    assert [row[1] for row in rows_of({"a": [(group(1), group(200))]})] == ["1", "200"]

"""Refusals in nginx's error log, by zone."""

import time

from reports.rundir.proxy_log import ZoneRefusals
from scenarios.proxies.zones import zone_refusals

ZERO_S = time.mktime(time.strptime("2026/11/30 05:00:00", "%Y/%m/%d %H:%M:%S")) + 0.4


def line(second: int, what: str, client: str = "127.1.0.1") -> str:
    rest = 'server: example.com, request: "GET /socket.io/ HTTP/1.1", host: "127.0.0.1:80"'
    return f"2026/11/30 05:00:{second:02} [error] 9#9: *7 {what}, client: {client}, {rest}"


ADDR = 'limiting connections by zone "addr"'
HS = 'limiting requests, excess: 10.225 by zone "hs"'


def test_refusals_are_counted_by_zone_with_their_addresses() -> None:
    lines = [line(3, ADDR), line(9, ADDR, "127.1.0.2"), line(4, ADDR), line(5, HS)]
    assert zone_refusals(lines, ZERO_S) == (
        ZoneRefusals(directive="limit_conn", zone="addr", refused=3, addresses=2, last_s=8),
        ZoneRefusals(directive="limit_req", zone="hs", refused=1, addresses=1, last_s=4),
    )


def test_what_came_before_the_moment_does_not_count() -> None:
    assert zone_refusals([line(3, ADDR)], ZERO_S + 10) == ()


def test_dry_runs_delays_and_other_lines_refuse_nobody() -> None:
    said = (
        'limiting connections, dry run, by zone "addr"',
        'limiting requests, dry run, excess: 1.000 by zone "hs"',
        'delaying request, excess: 1.000, by zone "hs"',
        "upstream timed out (110: Connection timed out)",
    )
    assert zone_refusals([line(3, what) for what in said] + ["no date at all"], ZERO_S) == ()

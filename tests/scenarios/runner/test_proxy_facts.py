"""What the logs of the proxy come to: addresses, sockets by worker, pods that were taken out."""

import time
from pathlib import Path
from typing import Any

import pytest

from reports.rundir.proxy_log import ProxyLog, WorkerSockets
from scenarios.proxies.access_log import AccessLine
from scenarios.proxies.nginx import read_access_log
from scenarios.runner.proxy_facts import counted, limit_rules, said_of_limits
from scenarios.scenario.validate import build

ZERO_S = 1_000.0


def line(ended_s: float, lasted_s: float = 0.0, **changes: Any) -> AccessLine:
    given = {"remote_address": "127.0.0.1", "status": 101, "limit_status": "-", "upstream_status": "101"}
    return AccessLine(ended_wall_s=ZERO_S + ended_s, lasted_s=lasted_s, **{**given, **changes})


def of(*lines: AccessLine, words: tuple[str, ...] = (), moments_s: tuple[int, ...] = (10,)) -> ProxyLog:
    return counted(lines, words, ZERO_S, moments_s)


def test_addresses_of_the_steady_state_are_counted() -> None:
    one = of(line(-1.0, remote_address="10.0.0.9"), line(1.0), line(2.0))
    assert (one.requests, one.addresses, one.address) == (2, 1, "127.0.0.1")
    two = of(line(1.0), line(2.0, remote_address="10.0.0.9"))
    assert (two.requests, two.addresses, two.address) == (2, 2, "")
    assert of(line(1.0, remote_address="-")).addresses == 0


def test_websockets_count_at_the_worker_that_had_them_at_the_moment() -> None:
    lines = [
        *(line(30.0, 35.0, worker="7") for _ in range(3)),
        line(12.0, 4.0, worker="8"),
        line(9.9, 4.0, worker="8"),
        line(30.0, 19.0, worker="8"),
        line(30.0, 35.0, worker="8", status=429),
    ]
    found = of(*lines, moments_s=(10, 20)).workers
    assert found == (WorkerSockets(t_s=10, sockets=(3, 1)), WorkerSockets(t_s=20, sockets=(3, 1)))


def test_a_log_without_workers_says_nothing_of_them() -> None:
    assert of(line(30.0, 35.0)).workers == ()


def dated(ended_s: float) -> str:
    return time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(ZERO_S + ended_s))


def test_workers_that_a_signal_ended_count_from_the_steady_state_on() -> None:
    killed = [
        f"{dated(t_s)} [alert] 7#7: worker process 9 exited on signal 9{core}"
        for t_s, core in ((-5, ""), (3, ""), (8, " (core dumped)"))
    ]
    ended = f"{dated(9)} [notice] 7#7: worker process 9 exited with code 0"
    assert of(words=(*killed, ended)).workers_killed_s == (3, 8)


HEAD = "2026/11/30 00:00:00"
DISABLED = f"{HEAD} [warn] 9#9: *5 upstream server temporarily disabled while connecting to upstream"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), (0, 0, 0)),
        ((f"{HEAD} [error] 9#9: *5 connect() failed (111: Connection refused)", DISABLED), (1, 0, 0)),
        ((f"{HEAD} [error] 9#9: *5 upstream timed out (110: Connection timed out)", DISABLED), (1, 1, 0)),
        (
            (
                f"{HEAD} [error] 9#9: *5 connect() failed (111: Connection refused)",
                f"{HEAD} [error] 9#9: *5 upstream prematurely closed connection",
                DISABLED,
            ),
            (1, 1, 0),
        ),
        ((f"{HEAD} [error] 9#9: *6 no live upstreams while connecting to upstream",) * 3, (0, 0, 3)),
        (("Server gateway/pod-1 is DOWN, reason: Layer4 timeout, check duration: 2001ms.",), (1, 1, 0)),
        (
            ('Server gateway/pod-1 is DOWN, reason: Layer4 connection problem, info: "Connection refused".',),
            (1, 0, 0),
        ),
        ((f"{HEAD} [notice] 9#9: signal process started",), (0, 0, 0)),
    ],
    ids=[
        "nothing",
        "nginx, a dead pod",
        "nginx, a late pod",
        "nginx, first dead, then broken",
        "nginx, all out",
        "haproxy, late",
        "haproxy, dead",
        "something else",
    ],
)
def test_pods_taken_out_are_counted_by_what_had_failed(
    words: tuple[str, ...], expected: tuple[int, int, int]
) -> None:
    found = of(words=words)
    assert (found.taken_out, found.taken_out_alive, found.none_left) == expected


def test_connections_that_a_full_worker_closed_are_counted() -> None:
    full = f"{HEAD} [alert] 9#9: 64 worker_connections are not enough"
    assert of(words=(full, full)).full == 2


def test_lines_of_nginx_with_and_without_a_worker_are_read(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    row = "1700000000.5\t12.25\t127.0.0.1\tGET\t101\tPASSED\t127.0.0.1:9\t101\twebsocket\t-"
    log.write_text(f"{row}\n{row}\t4711\n{row}\t4711\tmore\n", encoding="utf-8")
    assert [(each.lasted_s, each.worker) for each in read_access_log(log)] == [(12.25, ""), (12.25, "4711")]


def test_the_rules_of_both_limits_are_kept_by_place() -> None:
    table = {
        "edge": {"limit": "per-ip+global"},
        "mesh": {"sidecar": "envoy", "limit": "per-ip", "source": "peer"},
    }
    found = limit_rules(build(table, source="test"))
    assert [rule["key"] for rule in found["proxy"]] == ["new-per-address", "new-together"]
    assert [rule["name"] for rule in found["sidecars"]] == ["per-ip"]
    assert limit_rules(build({}, source="test")) == {}


def test_the_window_of_the_pods_is_kept_unless_they_refuse_for_another_reason_as_well() -> None:
    window = {"name": "pod-window", "connections": 5, "window_s": 20, "source": "peer"}
    found = limit_rules(build({"edge": {"limit": window}}, source="test"))
    rule = {"name": "pod-window", "connections": 5, "window_s": 20, "charge_refusals": False, "peer": True}
    assert found == {"proxy": [], "pods": [rule]}
    assert "pods" not in limit_rules(build({"edge": {"limit": "pod-window+lag-shed"}}, source="test"))
    assert "pods" not in limit_rules(build({"edge": {"limit": "per-ip"}}, source="test"))


def test_answers_to_refused_requests_are_counted_by_status() -> None:
    lines = [line(t, limit_status="REJECTED", status=status) for t, status in ((1, 429), (2, 444), (3, -1))]
    assert of(*lines, line(4.0), line(-1.0, limit_status="REJECTED")).answers == {"429": 1, "444": 1, "0": 1}


LIMITING = f'{HEAD} [error] 9#9: *7 limiting connections by zone "addr", client: 127.1.0.1, server: x'


def test_zones_that_refused_are_counted_from_the_steady_state_on() -> None:
    (zone,) = of(words=(LIMITING, LIMITING)).zones
    assert (str(zone), zone.refused, zone.addresses) == ("limit_conn zone “addr”", 2, 1)


def test_a_ramp_that_failed_names_the_zones_of_nginx(tmp_path: Path) -> None:
    assert said_of_limits(tmp_path) == ""
    (tmp_path / "error.log").write_text(f"{LIMITING}\n{LIMITING}\n", encoding="utf-8")
    assert said_of_limits(tmp_path) == "limit_conn zone “addr” refused 2 requests of 1 address"

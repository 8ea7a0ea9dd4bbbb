"""What HAProxy is told, and that we read its access log right; it is asked itself end to end."""

from pathlib import Path
from typing import Any

import pytest

from scenarios.limits.registry import LIMITS as NAMES
from scenarios.proxies import base
from scenarios.proxies.access_log import AccessLine, refusals_per_second
from scenarios.proxies.haproxy import executable, read_access_log, render
from scenarios.scenario.edge.haproxy import HaproxySettings
from scenarios.scenario.validate import build


def test_it_is_found_where_only_administrators_have_their_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tmp_path / "sbin" / "haproxy"
    found.parent.mkdir()
    found.touch(mode=0o755)
    monkeypatch.setattr(base, "ADMINISTRATORS", (str(found.parent),))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert executable() == found


def lines_of(limit: Any = "none", **changes: Any) -> list[str]:
    scenario = build({"edge": {"proxy": "haproxy", "limit": limit}} | changes, source="test")
    text = render(scenario, listen="127.0.0.1:18999", pods=["127.0.0.1:9001", "127.0.0.1:9002"])
    return [line.strip() for line in text.splitlines()]


def test_clients_are_told_their_pod_only_where_each_numbers_its_own_ticks() -> None:
    header = "http-response set-header X-Storm-Pod %si:%sp"
    assert header in lines_of(gateway={"command": "node server.js"})
    assert header not in lines_of()


LINES: dict[str, tuple[Any, list[str]]] = {
    "per-ip": (
        "per-ip",
        [
            "http-request track-sc0 src,ipmask(32,64) table per_ip if storm get !session",
            "http-request set-var(txn.now_0) date(0,ms),mul(3),and(4294967295) if counted_0",
            "acl empty_0 var(txn.missing_0) -m int 2001:3000",
            "http-request set-var(txn.limit) str(REJECTED) if counted_0 seen_0 empty_0",
            "http-request deny deny_status 429 if refused",
            "http-request sc-set-gpt0(0) var(txn.full_0),add(1000),and(4294967295) if counted_0 !refused",
            "stick-table type ipv6 size 600 expire 2000ms store gpt0",
        ],
    ),
    "per-ip-strict": ("per-ip-strict", ["acl empty_0 var(txn.missing_0) -m int 1:1000"]),
    "per-ip-all-requests": (
        "per-ip-all-requests",
        ["http-request track-sc0 src,ipmask(32,64) table per_ip_all_requests if storm"],
    ),
    # 300 clients at 5 Hz and 70 µs leave 0.895 of a core; half of it, at 10 ms a handshake.
    "global": (
        "global",
        [
            "http-request track-sc0 int(1) table global if storm get !session",
            "http-request set-var(txn.now_0) date(0,ms),mul(2685),and(4294967295) if counted_0",
            "acl empty_0 var(txn.missing_0) -m int 600001:660000",
            "http-request sc-set-gpt0(0) var(txn.full_0),add(60000),and(4294967295) if counted_0 !refused",
            "stick-table type integer size 1 expire 1245ms store gpt0",
        ],
    ),
    "two rules": (
        "global+per-ip",
        [
            "http-request track-sc0 int(1) table global if storm get !session",
            "http-request track-sc1 src,ipmask(32,64) table per_ip if storm get !session",
        ],
    ),
    "exempt ranges": (
        {"name": "per-ip", "exempt": ["10.0.0.0/8", "2001:db8::/32"]},
        [
            "acl exempt_0 src 10.0.0.0/8 2001:db8::/32",
            "http-request track-sc0 src,ipmask(32,64) table per_ip if storm get !session !exempt_0",
        ],
    ),
    "dry run": (
        {"name": "per-ip", "dry_run": True},
        ["http-request set-var(txn.limit) str(REJECTED_DRY_RUN) if counted_0 seen_0 empty_0"],
    ),
    "a window that charges refusals, and a cap": (
        {"name": "sliding-window+concurrent-per-ip", "sliding-window": {"charge_refusals": True}},
        [
            "acl full_0 sc_http_req_rate(0) gt 10",
            "acl full_1 sc_conn_cur(1) gt 10",
            "stick-table type ipv6 size 600 expire 121s store http_req_rate(60s)",
        ],
    ),
    "a window that counts what is let in": (
        "sliding-window",
        ["acl full_0 sc_gpc0_rate(0) ge 10", "http-request sc-inc-gpc0(0) if counted_0 !refused"],
    ),
    "a refusal that says when": (
        {"name": "per-ip", "status": 503, "retry_after_s": 7},
        [
            "http-request deny deny_status 503 hdr Retry-After 7 if refused",
            "http-after-response set-status 502 if { status 503 } !answered "
            "!{ var(txn.limit) -m str REJECTED }",
        ],
    ),
    "no answer": ({"name": "per-ip", "drop": True}, ["http-request reject if refused"]),
}


@pytest.mark.parametrize(("limit", "wanted"), LINES.values(), ids=LINES)
def test_a_limit_is_rendered_as_rules(limit: Any, wanted: list[str]) -> None:
    found = lines_of(limit)
    assert [line for line in wanted if line not in found] == []


def test_a_dry_run_denies_nobody() -> None:
    assert not any("deny" in line for line in lines_of({"name": "per-ip", "dry_run": True}))


@pytest.mark.parametrize("limit", ["none", "lag-shed"])
def test_without_a_limit_there_is_nothing_to_track(limit: str) -> None:
    assert limit in NAMES
    assert not any("track" in line or "stick" in line for line in lines_of(limit))


@pytest.mark.parametrize(
    ("balance", "wanted"),
    [
        ("least_conn", "leastconn"),
        ("round_robin", "roundrobin"),
        ("hash", "source"),
        ("ip_hash", "hash src,ipmask(24,128)"),
        ("cookie", "leastconn"),
    ],
)
def test_the_balance_is_rendered(balance: str, wanted: str) -> None:
    found = lines_of(gateway={"balance": balance})
    assert f"balance {wanted}" in found
    assert ("hash-type consistent" in found) == (balance == "hash")
    assert ("cookie storm_pod insert indirect nocache httponly" in found) == (balance == "cookie")
    named = "server pod-2 127.0.0.1:9002 cookie 127.0.0.1:9002"
    assert (named in found) == (balance == "cookie"), "a pod keeps its name when another one leaves"


SETTINGS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "threads": ({"nbthread": 4}, ["nbthread 4"]),
    "room": ({"maxconn": 301}, ["maxconn 301"]),
    "an end of old workers": ({"hard_stop_after_s": 4.5}, ["hard-stop-after 4500ms"]),
    "timeouts": (
        {"timeout_connect_s": 5, "timeout_client_s": 50, "timeout_server_s": 51, "timeout_tunnel_s": 0},
        ["timeout connect 5s", "timeout client 50s", "timeout server 51s"],
    ),
    "pods with errors": (
        {"observe": "layer7", "error_limit": 3, "inter_s": 0.5},
        [
            "server pod-2 127.0.0.1:9002 check inter 500ms observe layer7 error-limit 3 on-error mark-down",
        ],
    ),
}


@pytest.mark.parametrize(("settings", "wanted"), SETTINGS.values(), ids=SETTINGS)
def test_a_setting_is_rendered_under_its_own_name(settings: dict[str, Any], wanted: list[str]) -> None:
    edge = {"proxy": "haproxy", "haproxy": settings}
    found, default = lines_of(edge=edge), lines_of()
    assert [line for line in wanted if line not in found] == []
    assert set(wanted).isdisjoint(default)
    assert "timeout tunnel 3600s" in default
    assert ("timeout tunnel 3600s" in found) == ("timeout_tunnel_s" not in settings)


def test_every_setting_is_tried() -> None:
    tried = {name for settings, _ in SETTINGS.values() for name in settings}
    assert tried == set(HaproxySettings.__struct_fields__)


def test_its_own_defaults_are_no_timeouts_and_no_bound() -> None:
    found = lines_of(edge={"proxy": "haproxy", "defaults": "stock"})
    assert not any(line.startswith(("timeout", "maxconn", "retries")) for line in found)


def test_only_trusted_networks_may_say_who_a_client_is() -> None:
    scenario = build({"fleet": {"source": "proxy-protocol"}}, source="test")
    text = render(scenario, listen="127.0.0.1:1", pods=["127.0.0.1:2"], trusted=("127.0.0.1", "10.0.0.0/8"))
    assert "expect-proxy layer4 if { src 127.0.0.1 10.0.0.0/8 }" in text
    assert not any("expect-proxy" in line for line in lines_of())


def test_the_access_log_tells_refusals_by_haproxy_from_those_by_a_pod(tmp_path: Path) -> None:
    def line(at_s: float, status: int, limit: str = "-", answered: str = "-") -> str:
        ended = str(round(at_s * 1e6))
        return "\t".join(
            [ended, "3000", "127.1.2.3", "GET", str(status), limit, "pod-1:9", answered, "websocket", "-"]
        )

    log = tmp_path / "access.log"
    log.write_text(
        "\n".join(
            [
                "[NOTICE]   (7) : New worker (9) forked",
                line(100.2, 429, "REJECTED"),
                line(101.5, 101, "REJECTED_DRY_RUN", "101"),
                line(102.5, 503, answered="503"),
                line(103.0, 502),
                "half a li",
            ]
        ),
        encoding="utf-8",
    )
    lines = read_access_log(log)
    assert lines[2] == AccessLine(
        ended_wall_s=102.5, remote_address="127.1.2.3", status=503, limit_status="-", upstream_status="503"
    )
    assert [each.upstream_status for each in lines] == ["-", "101", "503", "-"]
    assert refusals_per_second(lines, wall_epoch_s=100.0) == {0: 1}

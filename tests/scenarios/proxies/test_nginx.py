"""nginx accepts every configuration that we can render, and we read its access log right."""

import itertools
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.limits.registry import LIMITS as NAMES
from scenarios.proxies.access_log import AccessLine, refusals_per_second
from scenarios.proxies.nginx import check_syntax, full_workers, nginx_time, read_access_log, render
from scenarios.scenario.edge.balance import Balance
from scenarios.scenario.edge.nginx import NginxSettings
from scenarios.scenario.validate import build

LIMITS: list[Any] = [
    *(name for name in NAMES if name != "sliding-window"),
    "per-ip+global+lag-shed",
    {"name": "per-ip+concurrent-per-ip", "exempt": ["10.0.0.0/8"], "status": 503, "retry_after_s": 7},
    {"name": "per-token+concurrent-per-ip", "per-token": {"by": "cookie:sid"}, "drop": True},
    {"name": "per-ip", "rate_per_s": 0.5, "burst": 0},
    {"name": "per-ip+global", "dry_run": True, "exempt": ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]},
]
BALANCES = [*get_args(Balance)]


def rendered(tmp_path: Path, limit: Any, balance: str, *, clients: int = 300) -> Path:
    fleet = {"clients": clients}
    scenario = build(
        {"fleet": fleet, "edge": {"limit": limit}, "gateway": {"balance": balance}}, source="test"
    )
    path = tmp_path / "gateway.conf"
    pods = ["127.0.0.1:9001", "127.0.0.1:9002"]
    path.write_text(
        render(scenario, listen="127.0.0.1:18999", pods=pods, directory=tmp_path), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize(("limit", "balance"), [*itertools.product(LIMITS, BALANCES)], ids=str)
def test_nginx_accepts_what_we_render(tmp_path: Path, limit: Any, balance: str) -> None:
    assert check_syntax(rendered(tmp_path, limit, balance)) == ""


def test_a_configuration_that_nginx_refuses_is_explained(tmp_path: Path) -> None:
    path = rendered(tmp_path, "none", "least_conn")
    path.write_text(path.read_text(encoding="utf-8").replace("least_conn", "most_conn"), encoding="utf-8")
    assert "most_conn" in check_syntax(path)


def test_clients_are_told_their_pod_only_where_each_numbers_its_own_ticks(tmp_path: Path) -> None:
    own = build({"gateway": {"command": "node server.js"}}, source="test")
    stub = build({}, source="test")
    texts = [
        render(scenario, listen="127.0.0.1:18999", pods=["127.0.0.1:9001"], directory=tmp_path)
        for scenario in (own, stub)
    ]
    assert [text.count("add_header X-Storm-Pod $upstream_addr always;") for text in texts] == [1, 0]
    path = tmp_path / "gateway.conf"
    path.write_text(texts[0], encoding="utf-8")
    assert check_syntax(path) == ""


def test_without_a_limit_no_zone_is_rendered(tmp_path: Path) -> None:
    assert "zone=" not in rendered(tmp_path, "none", "least_conn").read_text(encoding="utf-8")


DIRECTIVES: dict[str, tuple[Any, list[str]]] = {
    "per-ip": (
        "per-ip",
        [
            '"0:GET:" $address;',
            "limit_req_zone $counted_by_per_ip zone=per_ip:1m rate=3r/s;",
            "limit_req zone=per_ip burst=2 nodelay;",
            "limit_req_status 429;",
        ],
    ),
    "per-ip-strict": (
        "per-ip-strict",
        ['"0:GET:" $address;', "zone=per_ip_strict:1m rate=3r/s;", "limit_req zone=per_ip_strict nodelay;"],
    ),
    "per-ip-all-requests": (
        "per-ip-all-requests",
        ['"~^0:" $address;', "limit_req zone=per_ip_all_requests burst=2 nodelay;"],
    ),
    "per-ip-delay": ("per-ip-delay", ['"0:GET:" $address;', "limit_req zone=per_ip_delay burst=2;"]),
    # 300 clients at 5 Hz and 70 µs leave 0.895 of a core; half of it, at 10 ms a handshake.
    "global": (
        "global",
        ['"0:GET:" everybody;', "zone=global:1m rate=2685r/m;", "limit_req zone=global burst=10 nodelay;"],
    ),
    "one after the other": (
        "global+per-ip",
        ["limit_req zone=global burst=10 nodelay;\n            limit_req zone=per_ip burst=2 nodelay;"],
    ),
    "a rate below one a second": ({"name": "per-ip", "rate_per_s": 0.5}, ["rate=30r/m;"]),
    "exempt ranges": (
        {"name": "per-ip", "exempt": ["10.0.0.0/8", "2001:db8::/32"]},
        ["default 0;\n        10.0.0.0/8 1;\n        2001:db8::/32 1;\n    }"],
    ),
    "dry run": ({"name": "per-ip", "dry_run": True}, ["limit_req_dry_run on;"]),
}


@pytest.mark.parametrize(("limit", "directives"), DIRECTIVES.values(), ids=DIRECTIVES)
def test_a_limit_is_rendered_as_directives(tmp_path: Path, limit: Any, directives: list[str]) -> None:
    text = rendered(tmp_path, limit, "least_conn").read_text(encoding="utf-8")
    assert [line for line in directives if line not in text] == []


def text_with(directory: Path, balance: str = "least_conn", **settings: Any) -> str:
    """The configuration for two pods with these keys of `[edge.nginx]`."""
    table = {"edge": {"nginx": settings}, "gateway": {"balance": balance}}
    pods = ["127.0.0.1:9001", "127.0.0.1:9002"]
    return render(build(table, source="test"), listen="127.0.0.1:18999", pods=pods, directory=directory)


SETTINGS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "workers": ({"workers": 4}, ["worker_processes 4;", "worker_connections 1456;"]),
    "their connections": ({"workers": 4, "worker_connections": 512}, ["worker_connections 512;"]),
    "one connection at a time": ({"multi_accept": False}, ["multi_accept off;"]),
    "a socket for each worker": ({"reuseport": True}, ["listen 127.0.0.1:18999 backlog=4096 reuseport;"]),
    "an end of old workers": ({"worker_shutdown_timeout_s": 4.5}, ["worker_shutdown_timeout 4500ms;"]),
    "timeouts": (
        {"proxy_read_timeout_s": 60, "proxy_connect_timeout_s": 0.5},
        ["proxy_read_timeout 60s;", "proxy_connect_timeout 500ms;"],
    ),
    "ejection": (
        {"max_fails": 3, "fail_timeout_s": 30},
        ["# Ejection: a", "server 127.0.0.1:9002 max_fails=3 fail_timeout=30s;"],
    ),
    "another pod after a failure": (
        {"proxy_next_upstream": ["error", "http_503"]},
        ["proxy_next_upstream error http_503;"],
    ),
    "shared counts": ({"upstream_zone": True}, ["zone gateway 512k;"]),
}


@pytest.mark.parametrize(("settings", "directives"), SETTINGS.values(), ids=SETTINGS)
def test_a_setting_is_rendered_under_its_own_name(
    tmp_path: Path, settings: dict[str, Any], directives: list[str]
) -> None:
    default, text = text_with(tmp_path), text_with(tmp_path, **settings)
    assert [line for line in directives if line not in text] == []
    assert set(directives) - {line.strip() for line in default.splitlines()}
    assert "# No ejection" in default
    assert ("# No ejection" in text) == ("max_fails" not in settings)


@pytest.mark.parametrize("balance", BALANCES)
def test_nginx_accepts_all_settings_together(tmp_path: Path, balance: str) -> None:
    every = {name: value for settings, _ in SETTINGS.values() for name, value in settings.items()}
    assert every.keys() == set(NginxSettings.__struct_fields__)
    path = tmp_path / "gateway.conf"
    path.write_text(text_with(tmp_path, balance, **every), encoding="utf-8")
    assert check_syntax(path) == ""


@given(st.floats(0, 86_400, exclude_min=True))
def test_a_time_is_the_same_to_the_millisecond(seconds: float) -> None:
    text = nginx_time(seconds)
    unit = "ms" if text.endswith("ms") else text[-1]
    millis = int(text.removesuffix(unit)) * {"ms": 1, "s": 1_000, "h": 3_600_000}[unit]
    assert millis == max(1, round(seconds * 1_000))


@pytest.mark.parametrize(("seconds", "text"), [(3_600, "1h"), (60, "60s"), (4.4, "4400ms"), (1e-6, "1ms")])
def test_a_time_has_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert nginx_time(seconds) == text


@pytest.mark.parametrize(
    ("balance", "directives"),
    [
        ("ip_hash", ["ip_hash;"]),
        ("cookie", ["least_conn;", "sticky cookie storm_pod path=/ httponly;"]),
    ],
)
def test_a_sticky_balance_is_rendered_in_order(tmp_path: Path, balance: str, directives: list[str]) -> None:
    lines = [line.strip() for line in text_with(tmp_path, balance).splitlines()]
    place = lines.index("upstream gateway {") + 1
    assert lines[place : place + len(directives)] == directives


def test_a_zone_has_room_for_the_addresses_of_all_clients(tmp_path: Path) -> None:
    text = rendered(tmp_path, "global+per-ip", "least_conn", clients=100_000).read_text(encoding="utf-8")
    assert "zone=per_ip:26m " in text
    assert "zone=global:1m " in text


def test_a_folder_with_an_odd_name_does_not_break_out_of_the_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "with blank;}"
    folder.mkdir()
    try:
        assert check_syntax(rendered(folder, "none", "least_conn")) == ""
    finally:
        shutil.rmtree(folder)


def test_the_access_log_tells_refusals_by_nginx_from_those_by_a_pod(tmp_path: Path) -> None:
    def line(at: float, status: int, limit: str, upstream: str = "-") -> str:
        return "\t".join(
            [f"{at:.3f}", "0.1", "127.1.2.3", "GET", str(status), limit, "-", upstream, "websocket", "-"]
        )

    log = tmp_path / "access.log"
    log.write_text(
        "\n".join(
            [
                line(100.2, 429, "REJECTED"),
                line(100.9, 429, "REJECTED"),
                line(101.5, 101, "PASSED", "101"),
                line(101.6, 101, "REJECTED_DRY_RUN", "101"),
                line(102.0, 429, "REJECTED"),
                line(102.5, 503, "PASSED", "503"),
                line(103.0, 503, "-", "503"),
                line(103.5, 503, "-"),
                "half a li",
            ]
        ),
        encoding="utf-8",
    )
    lines = read_access_log(log)
    assert lines[5] == AccessLine(
        ended_wall_s=102.5,
        remote_address="127.1.2.3",
        status=503,
        limit_status="PASSED",
        upstream_status="503",
        lasted_s=0.1,
    )
    assert refusals_per_second(lines, wall_epoch_s=100.0) == {0: 2, 2: 1}


def test_a_worker_without_room_is_found_in_the_error_log(tmp_path: Path) -> None:
    assert full_workers(tmp_path) == ""
    log = tmp_path / "error.log"
    lines = ["2026/01/31 10:00:00 [warn] 7#7: 9000 worker_connections exceed open file resource limit: 1456"]
    log.write_text("\n".join(lines), encoding="utf-8")
    assert full_workers(tmp_path) == ""
    lines += ["2026/01/31 10:00:01 [alert] 9#9: *3 160 worker_connections are not enough while connecting"]
    log.write_text("\n".join(lines), encoding="utf-8")
    assert full_workers(tmp_path) == "160 worker_connections are not enough"


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert read_access_log(tmp_path / "access.log") == []


def test_only_trusted_networks_may_say_who_a_client_is(tmp_path: Path) -> None:
    scenario = build({"fleet": {"source": "proxy-protocol"}}, source="test")
    path = tmp_path / "gateway.conf"
    text = render(
        scenario,
        listen="0.0.0.0:18999",
        pods=["10.1.0.2:8000"],
        directory=tmp_path,
        trusted=("10.1.0.0/16",),
    )
    path.write_text(text, encoding="utf-8")
    assert check_syntax(path) == ""
    assert [line.split()[-1] for line in text.splitlines() if "set_real_ip_from" in line] == ["10.1.0.0/16;"]

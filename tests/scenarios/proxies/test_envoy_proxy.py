"""Envoy accepts every configuration that we can render, and we read its access log right."""

import itertools
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from scenarios.limits.proxy_support import MOST_RULES
from scenarios.limits.registry import LIMITS as NAMES
from scenarios.proxies import envoy
from scenarios.proxies.access_log import AccessLine, refusals_per_second
from scenarios.proxies.envoy import BOOTSTRAP, PODS, ROUTES, WHOLE, read_access_log, render
from scenarios.scenario.edge.balance import Balance
from scenarios.scenario.edge.envoy import EnvoySettings
from scenarios.scenario.validate import build

LIMITS: list[Any] = [
    *(name for name in NAMES if name not in {"per-ip-delay", "concurrent-per-ip", "sliding-window"}),
    {"name": "per-token", "status": 503, "retry_after_s": 7},
    "per-ip+global+per-ip-strict+per-ip-all-requests+lag-shed",
    {"name": "per-ip", "rate_per_s": 0.5, "burst": 0},
    {"name": "per-ip+global", "dry_run": True, "exempt": ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]},
]
BALANCES = [name for name in get_args(Balance) if name != "ip_hash"]
TWO_PODS = ["127.0.0.1:9001", "127.0.0.1:9002"]


def rendered(directory: Path, limit: Any = "none", **changes: Any) -> dict[str, str]:
    scenario = build({"edge": {"proxy": "envoy", "limit": limit}} | changes, source="test")
    return render(scenario, listen="127.0.0.1:18999", pods=TWO_PODS, directory=directory)


def complaint_about(directory: Path, text: str) -> str:
    path = directory / WHOLE
    path.write_text(text, encoding="utf-8")
    return envoy.check_syntax(path)


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_envoy_accepts_every_limit_that_it_can_carry_out(tmp_path: Path, limit: Any) -> None:
    assert complaint_about(tmp_path, rendered(tmp_path, limit)[WHOLE]) == ""


@pytest.mark.parametrize(
    ("balance", "source"), [*itertools.product(BALANCES, ["bind", "proxy-protocol"])], ids=str
)
def test_envoy_accepts_every_balance_and_source(tmp_path: Path, balance: str, source: str) -> None:
    changes = {"gateway": {"balance": balance}, "fleet": {"source": source}}
    assert complaint_about(tmp_path, rendered(tmp_path, **changes)[WHOLE]) == ""


def test_envoy_accepts_what_it_is_started_with(tmp_path: Path) -> None:
    files = rendered(tmp_path, "per-ip")
    for name in (ROUTES, PODS):
        (tmp_path / name).write_text(files[name], encoding="utf-8")
    assert complaint_about(tmp_path, files[BOOTSTRAP]) == ""


def test_clients_are_told_their_pod_only_where_each_numbers_its_own_ticks(tmp_path: Path) -> None:
    own = rendered(tmp_path, "per-ip", gateway={"command": "node server.js"})[WHOLE]
    assert complaint_about(tmp_path, own) == ""
    assert "X-Storm-Pod" in own
    assert "X-Storm-Pod" not in rendered(tmp_path, "per-ip")[WHOLE]


def test_a_configuration_that_envoy_refuses_is_explained(tmp_path: Path) -> None:
    text = rendered(tmp_path)[WHOLE]
    assert "FULL_MOON" in complaint_about(tmp_path, text.replace("FULL_SCAN", "FULL_MOON"))


def test_a_folder_with_an_odd_name_does_not_break_out_of_the_configuration(tmp_path: Path) -> None:
    folder = tmp_path / 'with "blank}: #\\'
    folder.mkdir()
    assert complaint_about(folder, rendered(folder)[WHOLE]) == ""


def whole(limit: Any = "none", **changes: Any) -> Any:
    return yaml.safe_load(rendered(Path("/run"), limit, **changes)[WHOLE])


def manager_of(config: Any) -> Any:
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def limits_of(routes: Any) -> dict[str, Any]:
    found: dict[str, Any] = routes["virtual_hosts"][0]["routes"][0].get("typed_per_filter_config", {})
    return found


def test_the_parts_say_together_what_the_whole_says() -> None:
    files = rendered(Path("/run"), "per-ip+global")
    config, bootstrap = yaml.safe_load(files[WHOLE]), yaml.safe_load(files[BOOTSTRAP])
    (routes,) = yaml.safe_load(files[ROUTES])["resources"]
    (pods,) = yaml.safe_load(files[PODS])["resources"]
    del routes["@type"], pods["@type"]
    assert manager_of(config).pop("route_config") == routes
    source = manager_of(bootstrap).pop("rds")["config_source"]
    assert source["path_config_source"]["path"] == f"/run/{ROUTES}"
    (theirs,), (ours,) = config["static_resources"]["clusters"], bootstrap["static_resources"]["clusters"]
    assert (theirs.pop("load_assignment"), theirs.pop("type")) == (pods, "STATIC")
    assert ours.pop("type") == "EDS"
    eds = ours.pop("eds_cluster_config")["eds_config"]
    assert eds["path_config_source"]["path"] == f"/run/{PODS}"
    assert config == bootstrap


BUCKETS: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "per-ip": ("per-ip", [{"max_tokens": 3, "tokens_per_fill": 3, "fill_interval": "1s"}]),
    "per-ip-strict": ("per-ip-strict", [{"max_tokens": 1, "tokens_per_fill": 3, "fill_interval": "1s"}]),
    # 300 clients at 5 Hz and 70 µs leave 0.895 of a core; half of it, at 10 ms a handshake.
    "global": ("global", [{"max_tokens": 11, "tokens_per_fill": 2685, "fill_interval": "60s"}]),
    "a rate below one a second": (
        {"name": "per-ip", "rate_per_s": 0.5, "burst": 0},
        [{"max_tokens": 1, "tokens_per_fill": 30, "fill_interval": "60s"}],
    ),
    "one after the other": (
        {"name": "global+per-ip", "global": {"rate_per_s": 7}},
        [
            {"max_tokens": 11, "tokens_per_fill": 7, "fill_interval": "1s"},
            {"max_tokens": 3, "tokens_per_fill": 3, "fill_interval": "1s"},
        ],
    ),
    "none": ("none", []),
}


@pytest.mark.parametrize(("limit", "buckets"), BUCKETS.values(), ids=BUCKETS)
def test_a_limit_is_rendered_as_buckets_in_the_order_of_its_name(
    limit: Any, buckets: list[dict[str, Any]]
) -> None:
    found = limits_of(manager_of(whole(limit))["route_config"])
    assert list(found) == [f"limit_{n}" for n in range(1, len(buckets) + 1)]
    assert [each["descriptors"][0]["token_bucket"] for each in found.values()] == buckets


def test_there_is_a_place_in_the_chain_for_every_rule_that_a_limit_can_have() -> None:
    filters = [each["name"] for each in manager_of(whole())["http_filters"]]
    places = MOST_RULES["envoy"]
    assert filters == [*(f"limit_{n}" for n in range(1, places + 1)), "envoy.filters.http.router"]


def test_with_a_cookie_the_emptiest_pod_gets_a_new_session_and_the_same_one_the_rest_of_it() -> None:
    config = whole(gateway={"balance": "cookie"})
    filters = manager_of(config)["http_filters"]
    assert filters[-2]["typed_config"]["session_state"]["typed_config"]["cookie"]["name"] == "storm_pod"
    (cluster,) = config["static_resources"]["clusters"]
    (plain,) = whole()["static_resources"]["clusters"]
    assert cluster == plain


COUNTED: dict[str, tuple[Any, list[str]]] = {
    "new connections of an address": ("per-ip", ["method", "sid", "masked_remote_address"]),
    "all requests of an address": ("per-ip-all-requests", ["masked_remote_address"]),
    "new connections of everybody": ("global", ["method", "sid", "everybody"]),
    "but for exempt ranges": (
        {"name": "per-ip", "exempt": ["10.0.0.0/8", "2001:db8::/32"]},
        ["method", "sid", "exempt", "masked_remote_address"],
    ),
}


@pytest.mark.parametrize(("limit", "keys"), COUNTED.values(), ids=COUNTED)
def test_what_is_counted_and_what_has_a_bucket_are_the_same(limit: Any, keys: list[str]) -> None:
    (rule,) = limits_of(manager_of(whole(limit))["route_config"]).values()
    assert [entry["key"] for entry in rule["descriptors"][0]["entries"]] == keys
    assert len(rule["rate_limits"][0]["actions"]) == len(keys)
    assert rule["max_dynamic_descriptors"] >= 300
    assert rule["always_consume_default_token_bucket"] is False


def test_exempt_ranges_are_rendered_as_addresses_and_lengths() -> None:
    spec = {"name": "per-ip", "exempt": ["10.0.0.0/8", "2001:db8::/32"]}
    (rule,) = limits_of(manager_of(whole(spec))["route_config"]).values()
    matcher = rule["rate_limits"][0]["actions"][2]["remote_address_match"]["address_matcher"]
    assert matcher == {
        "ranges": [
            {"address_prefix": "10.0.0.0", "prefix_len": 8},
            {"address_prefix": "2001:db8::", "prefix_len": 32},
        ],
        "invert_match": True,
    }


@pytest.mark.parametrize(("dry_run", "enforced"), [(False, 100), (True, 0)])
def test_a_dry_run_is_enabled_and_not_enforced(dry_run: bool, enforced: int) -> None:
    (rule,) = limits_of(manager_of(whole({"name": "per-ip", "dry_run": dry_run}))["route_config"]).values()
    assert rule["filter_enabled"]["default_value"]["numerator"] == 100
    assert rule["filter_enforced"]["default_value"]["numerator"] == enforced
    assert ("request_headers_to_add_when_not_enforced" in rule) == dry_run


EVERY_SETTING = {
    "concurrency": 2,
    "max_connections": 301,
    "max_pending_requests": 302,
    "max_requests": 303,
    "connect_timeout_s": 0.25,
    "stream_idle_timeout_s": 4.5,
    "consecutive_5xx": 4,
    "base_ejection_time_s": 7,
    "max_ejection_percent": 50,
}


def test_settings_are_rendered_under_their_own_names(tmp_path: Path) -> None:
    assert set(EVERY_SETTING) == set(EnvoySettings.__struct_fields__)
    edge = {"proxy": "envoy", "envoy": EVERY_SETTING}
    config, default = whole(edge=edge), whole()
    (cluster,), (clean,) = (each["static_resources"]["clusters"] for each in (config, default))
    (bounds,) = cluster["circuit_breakers"]["thresholds"]
    assert bounds == {"max_connections": 301, "max_pending_requests": 302, "max_requests": 303}
    assert cluster["connect_timeout"] == "0.25s"
    assert manager_of(config)["stream_idle_timeout"] == "4.5s"
    assert cluster["outlier_detection"] == {
        "consecutive_5xx": 4,
        "base_ejection_time": "7s",
        "max_ejection_percent": 50,
    }
    assert (clean["connect_timeout"], manager_of(default)["stream_idle_timeout"]) == ("60s", "0s")
    assert "outlier_detection" not in clean
    assert set(clean["circuit_breakers"]["thresholds"][0].values()) == {2**32 - 1}
    assert complaint_about(tmp_path, rendered(tmp_path, edge=edge)[WHOLE]) == ""


def test_its_own_defaults_are_its_bounds_and_timeouts(tmp_path: Path) -> None:
    edge = {"proxy": "envoy", "defaults": "stock"}
    (cluster,) = whole(edge=edge)["static_resources"]["clusters"]
    assert set(cluster["circuit_breakers"]["thresholds"][0].values()) == {1_024}
    assert cluster["connect_timeout"] == "5s"
    assert manager_of(whole(edge=edge))["stream_idle_timeout"] == "300s"
    assert complaint_about(tmp_path, rendered(tmp_path, edge=edge)[WHOLE]) == ""


@pytest.mark.parametrize("source", ["bind", "proxy-protocol"])
def test_a_proxy_protocol_header_is_read_where_clients_send_one(source: str) -> None:
    listener = whole(fleet={"source": source})["static_resources"]["listeners"][0]
    assert bool(listener.get("listener_filters")) == (source == "proxy-protocol")


def test_the_access_log_tells_refusals_by_envoy_from_those_by_a_pod(tmp_path: Path) -> None:
    def line(at: float, status: int, limit: str = "-/-", details: str = "via_upstream") -> str:
        return "\t".join(
            [f"{at:.6f}", "500", "127.1.2.3", "GET", str(status), limit, "-", details, "websocket", "-"]
        )

    log = tmp_path / "access.log"
    log.write_text(
        "\n".join(
            [
                line(100.2, 429, "RL/-", "local_rate_limited"),
                line(100.9, 429, "DC,RL/-", "local_rate_limited"),
                line(101.5, 101),
                line(101.6, 101, "-/per-ip"),
                line(102.5, 503),
                line(103.5, 502, "UF/-", "upstream_reset_before_response_started"),
                "half a li",
            ]
        ),
        encoding="utf-8",
    )
    lines = read_access_log(log)
    assert [each.limit_status for each in lines] == ["REJECTED"] * 2 + ["-", "REJECTED_DRY_RUN", "-", "-"]
    assert lines[4] == AccessLine(
        ended_wall_s=103.0, remote_address="127.1.2.3", status=503, limit_status="-", upstream_status="503"
    )
    assert lines[5].upstream_status == "-"
    assert refusals_per_second(lines, wall_epoch_s=100.0) == {0: 1, 1: 1}

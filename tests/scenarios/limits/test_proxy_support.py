"""What a proxy cannot do is said when a scenario is loaded, or before anything is started."""

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from scenarios.host.machine import MachineError
from scenarios.limits.proxy_support import limit_at
from scenarios.limits.registry import LIMITS, LimitError, limit
from scenarios.proxies import envoy
from scenarios.proxies.access_log import COLUMNS, refusals_per_second
from scenarios.proxies.registry import PROXIES
from scenarios.runner import deployment
from scenarios.scenario.arms import arms
from scenarios.scenario.edge.edge import Edge
from scenarios.scenario.validate import ScenarioError, build
from scenarios.simulator.edge.limiter import COUNTING

ELSEWHERE = [proxy for proxy in PROXIES if proxy != "nginx"]

REFUSED: dict[str, tuple[Any, list[str], str]] = {
    "requests in flight": (
        "concurrent-per-ip",
        ["envoy"],
        "invalid value 'concurrent-per-ip': expected a limit on new connections with proxy 'envoy'",
    ),
    "a sliding window": (
        "per-ip+sliding-window",
        ["nginx", "envoy"],
        "invalid value 'sliding-window': expected per-ip, which comes near, or pod-window, which is exact",
    ),
    "a cookie": (
        {"name": "per-token", "by": "cookie:sid"},
        ["envoy"],
        "by of limit 'per-token': invalid value 'cookie:sid': expected header:NAME with proxy 'envoy'",
    ),
    "no answer": (
        {"name": "per-ip", "drop": True},
        ["envoy"],
        "drop: invalid value True: expected false with proxy 'envoy'",
    ),
}
"""Limits, the proxies that do not support them, and what these say."""
ANYWHERE = [name for name in LIMITS if name not in {"per-ip-delay", "concurrent-per-ip", "sliding-window"}]


def test_every_proxy_that_a_scenario_may_name_can_be_started_and_simulated() -> None:
    (names,) = [get_args(field.type) for field in msgspec.structs.fields(Edge) if field.name == "proxy"]
    assert set(names) == set(PROXIES) == set(COUNTING)


def test_a_proxy_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(
        ScenarioError, match=r"edge.proxy: invalid value 'apache': expected 'nginx', 'envoy' or 'haproxy'"
    ):
        build({"edge": {"proxy": "apache"}}, source="test")


@pytest.mark.parametrize("proxy", ELSEWHERE)
@pytest.mark.parametrize("name", ANYWHERE)
def test_a_limit_means_the_same_at_every_proxy(proxy: str, name: str) -> None:
    assert limit_at(proxy, name) == limit(name)


@pytest.mark.parametrize("proxy", ELSEWHERE)
@pytest.mark.parametrize(
    "spec", ["per-ip-delay", "global+per-ip-delay", {"name": "per-ip-delay", "burst": 9, "dry_run": True}]
)
def test_a_proxy_that_cannot_hold_anybody_back_says_so(proxy: str, spec: Any) -> None:
    with pytest.raises(LimitError, match=rf"value 'per-ip-delay': expected per-ip with proxy '{proxy}'"):
        limit_at(proxy, spec)
    assert limit_at("nginx", spec) == limit(spec)


@pytest.mark.parametrize(("spec", "refusing", "complaint"), REFUSED.values(), ids=REFUSED)
def test_a_proxy_says_what_it_cannot_do_and_which_one_can(
    spec: Any, refusing: list[str], complaint: str
) -> None:
    for proxy in PROXIES:
        if proxy not in refusing:
            assert limit_at(proxy, spec) == limit(spec)
            continue
        with pytest.raises(LimitError) as error:
            limit_at(proxy, spec)
        assert str(error.value).startswith(complaint)
        assert "'haproxy'" in str(error.value)


def test_envoy_has_a_place_for_four_rules_and_says_so() -> None:
    every = "per-ip+per-ip-strict+per-ip-all-requests+global"
    assert limit_at("envoy", every)
    with pytest.raises(LimitError, match="expected at most 4 rules with proxy 'envoy', got 5"):
        limit_at("envoy", f"{every}+per-token")


@pytest.mark.parametrize("proxy", ELSEWHERE)
@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"edge": {"limit": "per-ip-delay"}}, "edge.limit"),
        (
            {"event": [{"at_s": 5, "do": "set_limit", "limit": "per-ip-delay"}]},
            r"event\[0\].limit",
        ),
    ],
)
def test_the_refusal_names_the_key(proxy: str, table: dict[str, Any], key: str) -> None:
    table = {**table, "edge": {**table.get("edge", {}), "proxy": proxy}}
    with pytest.raises(ScenarioError, match=rf"test: {key}: .*proxy '{proxy}'"):
        build(table, source="test")


def test_haproxy_says_how_many_rules_and_how_large_a_burst_it_can_keep() -> None:
    with pytest.raises(LimitError, match="expected at most 3 rules with proxy 'haproxy', got 4"):
        limit_at("haproxy", "per-ip+per-ip-strict+per-ip-all-requests+global")
    for spec, most in (
        ({"name": "global", "burst": 40_000}, 35_789),
        ({"name": "per-ip", "burst": 40_000, "rate_per_s": 0.5}, 35_789),
    ):
        with pytest.raises(LimitError, match=f"invalid value 40000: expected at most {most} .* 'haproxy'"):
            limit_at("haproxy", spec)
        assert limit_at("haproxy", {**spec, "burst": most})
    assert limit_at("haproxy", {"name": "per-ip", "burst": 100_000})


def test_arms_may_differ_by_proxy_and_each_is_checked() -> None:
    matrix = {"edge.proxy": ["nginx", "envoy"], "edge.limit": ["none", "per-ip"]}
    assert len(arms(build({"matrix": matrix}, source="test"))) == 4
    scenario = build({"matrix": {**matrix, "edge.limit": ["none", "per-ip-delay"]}}, source="test")
    with pytest.raises(ScenarioError, match=r"edge.limit: invalid value 'per-ip-delay': .*proxy 'envoy'"):
        arms(scenario)


def test_without_its_program_a_proxy_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario = build({"edge": {"proxy": "envoy"}}, source="test")
    deployment.check([scenario])
    monkeypatch.setattr(envoy, "find_spec", lambda _name: None)
    with pytest.raises(MachineError, match=r"install the optional extra reconnect-storm\[envoy\]"):
        deployment.check([scenario])
    monkeypatch.setattr("shutil.which", lambda _name, **_: None)
    with pytest.raises(MachineError, match="HAProxy: not on the PATH"):
        deployment.check([build({"edge": {"proxy": "haproxy"}}, source="test")])
    elsewhere = build({"edge": {"proxy": "envoy"}, "target": {"url": "http://127.0.0.1:1"}}, source="test")
    deployment.check([elsewhere])


@pytest.mark.parametrize("proxy", ELSEWHERE)
def test_another_nginx_is_of_no_use_to_another_proxy(proxy: str) -> None:
    with pytest.raises(
        MachineError, match=rf"--nginx: invalid value 'nginx': expected none with edge.proxy = '{proxy}'"
    ):
        deployment.check([build({"edge": {"proxy": proxy}}, source="test")], Path("nginx"))


@pytest.mark.parametrize("proxy", PROXIES)
def test_lines_of_an_access_log_that_cannot_be_read_cost_no_run(proxy: str, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    good = ["100", "200", "127.1.2.3", "GET", "429", "REJECTED", "-", "-", "websocket", "-"]
    bad = [["nan", *good[1:]], [*good[:4], "-", *good[5:]], ["\0\0", *good[1:]], good[:3], ["é"] * COLUMNS]
    log.write_text("\n".join("\t".join(row) for row in (good, *bad, good)), encoding="utf-8")
    lines = PROXIES[proxy].read_access_log(log)
    assert [line.status for line in lines] == [429, 429]
    assert sum(refusals_per_second(lines, wall_epoch_s=0.0).values()) <= 2


@pytest.mark.parametrize("proxy", PROXIES)
def test_an_access_log_that_cannot_be_opened_costs_no_run(proxy: str, tmp_path: Path) -> None:
    assert PROXIES[proxy].read_access_log(tmp_path) == []

"""nginx and the pure rule make the same decisions, request for request, for every limit at the edge."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scenarios.limits.registry import LIMITS, limit
from scenarios.proxies.access_log import refusals_per_second
from scenarios.proxies.nginx import read_access_log
from scenarios.scenario.stability import edge_rules
from tests.e2e.limit_storms import Logged, Request, carried_out, compare, scenario, storm_of

# Milliseconds decide.
pytestmark = [pytest.mark.e2e, pytest.mark.measures, pytest.mark.needs_loopback_range]

AT_EDGE = [name for name in LIMITS if limit(name).rules and name != "per-token"]
NAMES = [*AT_EDGE, "per-ip+global", "global+per-ip-delay"]
STORM = storm_of(["127.11.12.1", "127.21.22.1", "127.31.32.1"])


@pytest.fixture(scope="module")
def storms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Logged]]]:
    folder = tmp_path_factory.mktemp("storms")
    return folder, carried_out(folder, {name: (scenario(name), STORM) for name in NAMES})


def one(tmp_path: Path, spec: Any, requests: Sequence[Request], source: str = "bind") -> list[Logged]:
    return carried_out(tmp_path, {"run": (scenario(spec, source), requests)})["run"]


@pytest.mark.parametrize("name", NAMES)
def test_nginx_refuses_whom_the_rule_refuses(storms: tuple[Path, dict[str, list[Logged]]], name: str) -> None:
    folder, all_lines = storms
    lines = all_lines[name]
    rules = edge_rules(scenario(name))
    differ, certain = compare("nginx", rules, lines)
    assert differ == []
    assert certain > 0.8 * len(lines), "milliseconds decide too often for the comparison to mean anything"

    refused = [line for line in lines if line.limit_status == "REJECTED"]
    assert refused, "the storm has to be one that the limit refuses a part of"
    assert {line.status for line in refused} == {429}
    assert {line.status for line in lines if line.limit_status != "REJECTED"} == {200}
    counted = refusals_per_second(read_access_log(folder / name / "access.log"), wall_epoch_s=0.0)
    assert counted.total() == len(refused)
    if name != "per-ip-all-requests":
        assert {line.limit_status for line in lines if not line.request.new} == {"-"}
    if "delay" in name:
        delayed = [line for line in lines if line.limit_status == "DELAYED"]
        # Whoever is delayed at 3 a second after somebody else has to wait for a good part of 334 ms.
        assert delayed
        assert max(line.took_ms for line in delayed) > 100


def test_polling_clients_never_connect_where_all_requests_count(tmp_path: Path) -> None:
    polling = [
        Request(0.01 * n, "127.11.12.1", method="POST" if n == 1 else "GET", sid="abc" if n else "")
        for n in range(5)
    ]
    cases = {name: (scenario(name), polling) for name in ("per-ip-all-requests", "per-ip")}
    lines = carried_out(tmp_path, cases)
    assert [line.status for line in lines["per-ip-all-requests"]] == [200, 200, 200, 429, 429]
    assert {line.status for line in lines["per-ip"]} == {200}


def test_a_dry_run_refuses_nobody_and_logs_whom_it_would_have_refused(tmp_path: Path) -> None:
    spec = {"name": "per-ip+global", "dry_run": True}
    requests = storm_of(["127.11.12.1", "127.21.22.1"])
    lines = one(tmp_path, spec, requests)
    assert {line.status for line in lines} == {200}
    assert "REJECTED_DRY_RUN" in {line.limit_status for line in lines}
    assert compare("nginx", edge_rules(scenario(spec)), lines)[0] == []
    assert refusals_per_second(read_access_log(tmp_path / "run" / "access.log"), wall_epoch_s=0.0) == {}


def test_exempt_ranges_and_networks_count_as_the_rule_says(tmp_path: Path) -> None:
    spec = {"name": "per-ip", "exempt": ["10.0.0.0/8", "2001:db8:ffff::/48"]}
    exempt = ["10.1.2.3", "2001:db8:ffff:1::1"]
    one_network = ["2001:db8::1", "2001:db8::a:b:c:d"]
    one_address = ["192.0.2.1", "::ffff:192.0.2.1"]
    others = ["2001:db8:0:1::1", "2001:db8:1:0:1::", "192.0.2.2", "::1"]
    requests = storm_of([*exempt, *one_network, *one_address, *others])
    lines = one(tmp_path, spec, requests, "proxy-protocol")
    assert {line.limit_status for line in lines if line.request.address in exempt} == {"-"}
    assert compare("nginx", edge_rules(scenario(spec)), lines)[0] == []
    for shared in (one_network, one_address):
        first_ms = min(line.start_ms for line in lines if line.request.address in shared)
        passed = [line for line in lines if line.request.address in shared and line.limit_status == "PASSED"]
        early = [line for line in passed if line.start_ms < first_ms + 200]
        assert early
        assert len(early) <= 4, "two ways to write one address share one allowance"


def test_a_rule_is_not_charged_for_what_a_later_rule_refuses(tmp_path: Path) -> None:
    spec = {
        "name": "per-ip-strict+global",
        "per-ip-strict": {"rate_per_s": 1 / 60},
        "global": {"rate_per_s": 1, "burst": 2},
    }
    crowd = [Request(0.01 * n, f"127.{20 + n}.1.1") for n in range(3)]
    late = [Request(at_s, "127.11.12.1") for at_s in (0.1, 2.4, 4.8)]
    lines = one(tmp_path, spec, [*crowd, *late])
    assert {line.status for line in lines[:3]} == {200}
    # All together refuse the first; the address itself, with one a minute, lets one in and then no more.
    assert [line.status for line in lines[3:]] == [429, 200, 429]
    assert compare("nginx", edge_rules(scenario(spec)), lines)[0] == []

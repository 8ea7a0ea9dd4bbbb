"""Envoy, HAProxy and their pure rule make the same decisions, request for request, for all they take."""

from pathlib import Path

import pytest

from scenarios.proxies.access_log import refusals_per_second
from scenarios.proxies.registry import PROXIES
from scenarios.scenario.stability import edge_rules
from tests.e2e.limit_storms import OTHER_PROXIES, Logged, Request, carried_out, compare, scenario, storm_of

# Milliseconds decide.
pytestmark = [pytest.mark.e2e, pytest.mark.measures, pytest.mark.needs_loopback_range]

NAMES = ["per-ip", "per-ip-strict", "per-ip-all-requests", "global", "per-ip+global", "global+per-ip"]
STORM = storm_of(["127.11.12.1", "127.21.22.1", "127.31.32.1"])

EXEMPT = ["10.1.2.3", "2001:db8:ffff:1::1"]
ONE_NETWORK = ["2001:db8::1", "2001:db8::a:b:c:d"]
MAPPED = ["::ffff:192.0.2.1", "::ffff:10.1.2.3"]
OTHERS = ["2001:db8:0:1::1", "192.0.2.1"]
ONE_A_MINUTE = {
    "name": "per-ip-strict+global",
    "per-ip-strict": {"rate_per_s": 1 / 60},
    "global": {"rate_per_s": 1, "burst": 2},
}
OTHER_STORMS = {
    "dry run": ({"name": "per-ip+global", "dry_run": True}, "bind", STORM),
    "exempt": (
        {"name": "per-ip", "exempt": ["10.0.0.0/8", "2001:db8:ffff::/48"]},
        "proxy-protocol",
        storm_of([*EXEMPT, *ONE_NETWORK, *MAPPED, *OTHERS]),
    ),
    "one a minute": (
        ONE_A_MINUTE,
        "bind",
        [
            *(Request(0.01 * n, f"127.{20 + n}.1.1") for n in range(3)),
            *(Request(at_s, "127.11.12.1") for at_s in (0.1, 2.4)),
        ],
    ),
}


class Storms:
    """What a proxy did with all of them."""

    def __init__(self, proxy: str, folder: Path) -> None:
        self.proxy = proxy
        self.folder = folder
        cases = {name: (scenario(name, proxy=proxy), STORM) for name in NAMES}
        for name, (spec, source, requests) in OTHER_STORMS.items():
            cases[name] = (scenario(spec, source, proxy), requests)
        self._rules = {name: edge_rules(chosen) for name, (chosen, _) in cases.items()}
        self.lines: dict[str, list[Logged]] = carried_out(folder, cases)

    def compared(self, name: str) -> tuple[list[Logged], int]:
        return compare(self.proxy, self._rules[name], self.lines[name])


@pytest.fixture(scope="module", params=OTHER_PROXIES)
def storms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Storms:
    return Storms(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("name", NAMES)
def test_a_proxy_refuses_whom_the_rule_refuses(storms: Storms, name: str) -> None:
    differ, certain = storms.compared(name)
    lines = storms.lines[name]
    assert differ == []
    assert certain > 0.8 * len(lines), "milliseconds decide too often for the comparison to mean anything"

    refused = [line for line in lines if line.limit_status == "REJECTED"]
    assert refused, "the storm has to be one that the limit refuses a part of"
    assert {line.status for line in refused} == {429}
    assert {line.status for line in lines if line.limit_status != "REJECTED"} == {200}
    log = PROXIES[storms.proxy].read_access_log(storms.folder / name / "access.log")
    assert refusals_per_second(log, wall_epoch_s=0.0).total() == len(refused)
    if name != "per-ip-all-requests":
        assert {line.status for line in lines if not line.request.new} == {200}


def test_a_dry_run_refuses_nobody_and_logs_whom_it_would_have_refused(storms: Storms) -> None:
    assert {line.status for line in storms.lines["dry run"]} == {200}
    assert "REJECTED_DRY_RUN" in {line.limit_status for line in storms.lines["dry run"]}
    assert storms.compared("dry run")[0] == []


def test_exempt_ranges_and_networks_count_as_the_rule_says(storms: Storms) -> None:
    lines = storms.lines["exempt"]
    assert {line.limit_status for line in lines if line.request.address in EXEMPT} == {"-"}
    assert storms.compared("exempt")[0] == []


def test_whether_a_rule_is_charged_for_what_a_later_one_refuses_depends_on_the_proxy(storms: Storms) -> None:
    *crowd, first, second = [line.status for line in storms.lines["one a minute"]]
    assert set(crowd) == {200}
    # All together refuse the first try; at Envoy it has cost the address its one try a minute all the same.
    assert [first, second] == [429, 429 if storms.proxy == "envoy" else 200]
    assert storms.compared("one a minute")[0] == []

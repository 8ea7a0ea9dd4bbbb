"""Hosts of a site: read from the environment, looked at, and refused where they will not do."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from scenarios.host.cpu_account import boot_id
from scenarios.host.dns import addresses, parse
from scenarios.host.machine import MachineError
from scenarios.host.token import TOKEN_VARIABLE
from scenarios.runner.deployment import check
from scenarios.scenario.loader import load
from scenarios.stack.remote.deployment import SitePlace
from scenarios.stack.remote.site import (
    GATEWAYS,
    GENERATOR,
    NGINX,
    TARGET,
    Site,
    site_from_environment,
)
from scenarios.stack.remote.survey import (
    ClockDifference,
    Exchange,
    Survey,
    Surveyed,
    clock_here,
    difference,
)
from scenarios.wire.agent import HostInfo

TOKEN = "a-token-for-tests"


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    for name in (GATEWAYS, NGINX, GENERATOR, TARGET):
        monkeypatch.delenv(name, raising=False)


def test_without_gateways_there_is_no_site() -> None:
    assert site_from_environment({}) is None


def test_a_site_is_what_the_environment_names() -> None:
    found = site_from_environment(
        {
            GATEWAYS: "gateway:8100, 10.0.0.5:8101",
            NGINX: "nginx:8100",
            GENERATOR: "locust-master:8090",
            TARGET: "http://bench.example:8080",
        }
    )
    assert found == Site(
        gateways=(("gateway", 8100), ("10.0.0.5", 8101)),
        nginx=("nginx", 8100),
        generator=("locust-master", 8090),
        target_url="http://bench.example:8080",
        token=TOKEN,
    )


MISTAKES: dict[str, tuple[dict[str, str], str]] = {
    "no nginx": ({GATEWAYS: "gateway:8100"}, f"variable {NGINX}: invalid value '': expected host:port"),
    "nginx alone": ({NGINX: "n:1"}, f"variable {NGINX}: expected {GATEWAYS} with it"),
    "a generator alone": ({GENERATOR: "g:1"}, f"variable {GENERATOR}: expected {GATEWAYS} with it"),
    "a target alone": ({TARGET: "http://n:1"}, f"variable {TARGET}: expected {GATEWAYS} with it"),
    "no port": (
        {GATEWAYS: "gateway", NGINX: "n:1"},
        f"variable {GATEWAYS}: invalid value 'gateway': expected",
    ),
    "a comma too many": ({GATEWAYS: "gateway:8100,", NGINX: "n:1"}, "invalid value ''"),
    "a URL": ({GATEWAYS: "http://gateway:8100", NGINX: "n:1"}, "invalid value 'http://gateway:8100'"),
    "a port out of range": ({GATEWAYS: "g:99999", NGINX: "n:1"}, "invalid value 'g:99999'"),
    "two generators": ({GATEWAYS: "g:1", NGINX: "n:1", GENERATOR: "a:1,b:2"}, GENERATOR),
}


@pytest.mark.parametrize(("environment", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_names_the_variable_and_what_is_allowed(environment: dict[str, str], message: str) -> None:
    with pytest.raises(MachineError, match=message):
        site_from_environment(environment)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (GATEWAYS, "http://me:open-sesame@gateway:8100"),
        (GATEWAYS, "gateway:8100,me:open-sesame@gateway:8100"),
        (NGINX, "nginx:8100?token=open-sesame"),
        (GENERATOR, "open-sesame@locust-master:8090"),
        (TARGET, "http://me:open-sesame@nginx:8080"),
        (TARGET, "http://nginx:8080/?token=open-sesame"),
        (TARGET, "http://nginx:8080/#open-sesame"),
    ],
)
def test_a_mistake_in_the_environment_shows_no_secret(variable: str, value: str) -> None:
    environment = {GATEWAYS: "g:1", NGINX: "n:1", variable: value}
    with pytest.raises(MachineError, match=variable) as refused:
        site_from_environment(environment)
    assert "open-sesame" not in str(refused.value)


def test_a_token_that_will_not_do_is_a_mistake_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    with pytest.raises(MachineError, match="invalid token of 5 characters"):
        site_from_environment({GATEWAYS: "gateway:8100", NGINX: "nginx:8100"})


def test_an_address_with_an_ipv6_host_is_read() -> None:
    assert parse("[::1]:8100") == ("::1", 8100)


def test_addresses_come_once_each_and_in_the_order_of_their_numbers() -> None:
    named = [("127.0.0.10", 1), ("127.0.0.9", 1), ("127.0.0.10", 1), ("nobody.invalid", 1)]
    assert asyncio.run(addresses(named)) == [("127.0.0.9", 1), ("127.0.0.10", 1)]


def host(role: Any = "gateway", **changes: Any) -> Surveyed:
    info = HostInfo(
        role=role,
        version="1",
        boot_id=boot_id(),
        listen="0.0.0.0",
        port=8000,
        control_port=8001,
        cpu_from="cgroup v2",
        descriptors=10_000,
    )
    return Surveyed(agent=("10.0.0.2", 8100), info=replace(info, **changes), clock=ClockDifference(0, 0))


def place(*gateways: Surveyed, nginx: Surveyed | None = None) -> SitePlace:
    site = Site(gateways=(("gateway", 8100),), nginx=("nginx", 8100), token=TOKEN)
    return SitePlace(site, Survey(gateways=gateways, nginx=nginx or host("nginx", port=8080)))


REFUSED: dict[str, tuple[list[str], Path | None, str]] = {
    "too many pods": (
        ["gateway.pods=3"],
        None,
        "needs 3 gateway hosts, 2 are running; .*set GATEWAYS=3 in .env",
    ),
    "a scale beyond them": (
        ['event=[{at_s=3, do="drop_all"}, {at_s=5, do="scale", pods=9}]'],
        None,
        "needs 9 gateway hosts, 2 are running",
    ),
    "another nginx": ([], Path("/opt/nginx"), "--nginx: invalid value '/opt/nginx'"),
    "sidecars": (["mesh.sidecar=envoy"], None, "mesh.sidecar: invalid value 'envoy': expected 'none'"),
    "another port": (["edge.port=9000"], None, "edge.port: invalid value 9000: expected 0, or 8080"),
    "another proxy": (["edge.proxy=envoy"], None, "edge.proxy: invalid value 'envoy': expected 'nginx'"),
    "addresses of this machine": (['fleet.source="bind"'], None, "fleet.source: invalid value 'bind'"),
    "more clients than descriptors": (
        ["fleet.clients=5000"],
        None,
        "invalid value 5000: .* need 20256 file descriptors, the limit at 10.0.0.2 is 10000",
    ),
}


@pytest.mark.parametrize(("sets", "binary", "message"), REFUSED.values(), ids=REFUSED)
def test_a_scenario_that_the_site_cannot_carry_out_is_refused(
    sets: list[str], binary: Path | None, message: str
) -> None:
    with pytest.raises(MachineError, match=message):
        place(host(), host()).check(load("mass-drop", sets), binary)


def test_a_scenario_that_fits_is_not() -> None:
    place(host(), host()).check(load("mass-drop", ["gateway.pods=2", "edge.port=8080"]), None)


def test_a_site_tells_source_addresses_by_proxy_protocol_unless_told_otherwise() -> None:
    assert place(host()).fitted(load("mass-drop", [])).fleet.source == "proxy-protocol"
    assert place(host()).fitted(load("mass-drop", ['fleet.source="same"'])).fleet.source == "same"


def test_a_pods_ceiling_is_its_quota_where_all_have_one() -> None:
    assert place(host(quota_cores=0.5), host(quota_cores=0.25)).pod_cores == 0.375
    assert place(host(quota_cores=0.5), host()).pod_cores is None


def test_the_machine_says_where_cpu_comes_from_and_how_many_kernels_there_are() -> None:
    found = place(host(quota_cores=0.5), nginx=host("nginx", cpu_from="processes", boot_id="other"))
    assert found.machine["cpu_from"] == "cgroup v2 and processes"
    assert found.machine["pod_cores"] == 0.5
    assert found.machine["kernels"] == 2
    assert found.machine["pinned"] is False
    (clock,) = found.clocks
    assert clock.process == "nginx host 10.0.0.2"


def test_a_clock_is_told_by_the_quickest_exchange() -> None:
    slow, quick = Exchange(0, 900_000, 1_000_000, 9), Exchange(2_000_000, 2_600_100, 2_000_200, 7)
    assert difference([slow, quick]) == ClockDifference(600_000, 100, 7)


def test_one_kernel_has_one_clock_but_for_time_namespaces() -> None:
    assert clock_here(ClockDifference(-900, 1_000, 70)) == ClockDifference(0, 0)
    other = ClockDifference(5_000_000_000, 1_000, 70)
    assert clock_here(other) == other


def test_a_host_of_this_kernel_with_another_clock_is_listed_with_it() -> None:
    other = replace(host(), clock=ClockDifference(5_000_000_000, 1_000))
    (clock,) = place(host(), other).clocks
    assert (clock.process, clock.offset_ns, clock.error_ns) == ("gateway host 10.0.0.2", 5 * 10**9, 1_000)


def test_logs_of_nginx_are_read_by_the_wall_clock_of_its_host() -> None:
    an_hour_behind = ClockDifference(5, 1, -3_600_000_000_000)
    nginx = replace(host("nginx", port=8080, boot_id="other"), clock=an_hour_behind)
    assert place(host(), nginx=nginx).proxy_wall_ahead_s == -3_600
    assert place(host()).proxy_wall_ahead_s == 0


def test_a_site_of_which_nobody_answers_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(GATEWAYS, "gateway.invalid:8100")
    monkeypatch.setenv(NGINX, "nginx.invalid:8100")
    with pytest.raises(MachineError, match=f"{GATEWAYS}: cannot resolve gateway.invalid"):
        check([load("mass-drop", [])])


def test_somebody_elses_target_needs_nothing_of_a_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GATEWAYS, "gateway.invalid:8100")
    monkeypatch.setenv(NGINX, "nginx.invalid:8100")
    check([load("mass-drop", ['target.url="http://127.0.0.1:3000"', "fleet.clients=10"])])

"""Envoy accepts every sidecar that we can render, and it says what the scenario says."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from scenarios.proxies.envoy import check_syntax
from scenarios.proxies.sidecar import UNBOUNDED, Ports, Sidecar, render, switch_of
from tests.scenarios.scenario.test_mesh import ACCEPTED, ENVOY, built

LIMITS: dict[str, dict[str, Any]] = {
    name: {**ENVOY, "limit": limit}
    for name, limit in (
        ("per-ip", "per-ip"),
        ("every request of an address", "per-ip-all-requests"),
        ("a rate by the minute, and nobody refused", {"name": "per-ip", "rate_per_s": 0.5, "dry_run": True}),
    )
}
SIDECARS = {name: mesh for name, mesh in {**ACCEPTED, **LIMITS}.items() if mesh}


def text(mesh: dict[str, Any], directory: Path = Path("/run")) -> str:
    return render(
        built(mesh),
        name="sidecar-1",
        pod="127.0.0.1:9001",
        ports=Ports(traffic=9101, admin=9201),
        directory=directory,
    )


class Rendered:
    """The parts of a configuration that the tests ask for."""

    def __init__(self, mesh: dict[str, Any]) -> None:
        self.whole = yaml.safe_load(text(mesh))
        resources = self.whole["static_resources"]
        (self.listener,) = resources["listeners"]
        (self.cluster,) = resources["clusters"]
        (filters,) = self.listener["filter_chains"]
        self.manager = filters["filters"][0]["typed_config"]
        self.route = self.manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
        (self.breaker,) = self.cluster["circuit_breakers"]["thresholds"]
        self.limit = next(
            (
                one["typed_config"]
                for one in self.manager["http_filters"]
                if one["name"] == "envoy.filters.http.local_ratelimit"
            ),
            None,
        )


@pytest.mark.parametrize("mesh", SIDECARS.values(), ids=SIDECARS)
def test_envoy_accepts_what_we_render(tmp_path: Path, mesh: dict[str, Any]) -> None:
    file = tmp_path / "sidecar-1.yaml"
    switch_of(tmp_path).touch()
    file.write_text(text(mesh, tmp_path), encoding="utf-8")
    assert check_syntax(file) == ""


def test_a_sidecar_passes_on_what_comes_without_any_bound_of_its_own() -> None:
    found = Rendered(ENVOY)
    assert found.listener["address"]["socket_address"]["port_value"] == 9101
    endpoint = found.cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    assert endpoint["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 9001}
    assert found.manager["upgrade_configs"] == [{"upgrade_type": "websocket"}]
    assert (found.manager["stream_idle_timeout"], found.route["timeout"]) == ("0s", "0s")
    assert found.cluster["connect_timeout"] == "60.0s"
    assert "retry_policy" not in found.route
    assert "outlier_detection" not in found.cluster
    bounds = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    assert {found.breaker[name] for name in bounds} == {UNBOUNDED}
    assert found.limit is None
    assert "layered_runtime" not in found.whole


def test_its_admin_port_is_for_reading_on_this_machine() -> None:
    admin = Rendered(ENVOY).whole["admin"]
    assert admin["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 9201}
    assert admin["allow_paths"] == [{"exact": "/ready"}, {"exact": "/runtime"}, {"prefix": "/stats"}]


def test_retries_are_bounded_by_their_number_their_time_and_their_budget() -> None:
    retrying = {**ENVOY, "retries": 3, "retry_on": ["reset", "503"], "per_try_timeout_s": 0.25}
    found = Rendered(retrying)
    assert found.route["retry_policy"] == {
        "retry_on": "reset,retriable-status-codes",
        "retriable_status_codes": [503],
        "num_retries": 3,
        "per_try_timeout": "0.25s",
    }
    budget = {"retry_budget_percent": 20, "retry_budget_min_concurrency": 5}
    breaker = Rendered({**retrying, **budget}).breaker
    assert breaker["retry_budget"] == {"budget_percent": {"value": 20.0}, "min_retry_concurrency": 5}
    assert "max_retries" not in breaker, "a budget takes its place"


def test_a_time_out_alone_makes_nobody_try_again() -> None:
    policy = Rendered({**ENVOY, "per_try_timeout_s": 0.5}).route["retry_policy"]
    assert (policy["num_retries"], policy["per_try_timeout"]) == (0, "0.5s")


def test_a_circuit_breaker_bounds_what_it_is_told_to() -> None:
    breaker = Rendered({**ENVOY, "max_connections": 200, "max_pending": 7}).breaker
    assert (breaker["max_connections"], breaker["max_pending_requests"]) == (200, 7)
    assert breaker["max_requests"] == UNBOUNDED


@pytest.mark.parametrize(("on", "enforced"), [("5xx", (100, 0)), ("gateway-failure", (0, 100))])
def test_the_only_pod_behind_a_sidecar_can_be_ejected(on: str, enforced: tuple[int, int]) -> None:
    found = Rendered({**ENVOY, "outlier_failures": 4, "outlier_on": on, "outlier_ejection_s": 2})
    outlier = found.cluster["outlier_detection"]
    assert (outlier["consecutive_5xx"], outlier["consecutive_gateway_failure"]) == (4, 4)
    kinds = ("enforcing_consecutive_5xx", "enforcing_consecutive_gateway_failure")
    assert tuple(outlier[kind] for kind in kinds) == enforced
    assert (outlier["base_ejection_time"], outlier["max_ejection_percent"]) == ("2.0s", 100)
    assert found.cluster["common_lb_config"] == {"healthy_panic_threshold": {"value": 0}}


def test_an_ejection_may_be_longer_than_envoys_longest() -> None:
    found = Rendered({**ENVOY, "outlier_failures": 1, "outlier_ejection_s": 600})
    assert found.cluster["outlier_detection"]["max_ejection_time"] == "600.0s"


COUNTED: dict[str, tuple[Any, list[dict[str, str]], tuple[int, int, str]]] = {
    "per-ip": (
        "per-ip",
        [
            {"key": "masked_remote_address"},
            {"key": "method", "value": "GET"},
            {"key": "session", "value": "none"},
        ],
        (3, 3, "1s"),
    ),
    "per-ip-strict": (
        {"name": "per-ip-strict", "rate_per_s": 0.5},
        [
            {"key": "masked_remote_address"},
            {"key": "method", "value": "GET"},
            {"key": "session", "value": "none"},
        ],
        (1, 30, "60s"),
    ),
    "every request of an address": (
        "per-ip-all-requests",
        [{"key": "masked_remote_address"}],
        (3, 3, "1s"),
    ),
    "everybody together": (
        {"name": "global", "rate_per_s": 40, "burst": 9},
        [{"key": "method", "value": "GET"}, {"key": "session", "value": "none"}],
        (10, 40, "1s"),
    ),
}


@pytest.mark.parametrize(("limit", "entries", "bucket"), COUNTED.values(), ids=COUNTED)
def test_a_limit_counts_what_nginx_would_count_in_buckets_of_the_same_size(
    limit: Any, entries: list[dict[str, str]], bucket: tuple[int, int, str]
) -> None:
    found = Rendered({**ENVOY, "limit": limit})
    assert found.limit is not None
    (descriptor,) = found.limit["descriptors"]
    assert descriptor["entries"] == entries
    tokens, refill, interval = bucket
    assert descriptor["token_bucket"] == {
        "max_tokens": tokens,
        "tokens_per_fill": refill,
        "fill_interval": interval,
    }
    (rate_limit,) = found.route["rate_limits"]
    assert len(rate_limit["actions"]) == len(entries)
    assert found.limit["max_dynamic_descriptors"] == 301, "one for each of the default 300 clients, and one"
    assert found.whole["layered_runtime"]["layers"][0]["rtds_layer"]["name"] == "limit"


@pytest.mark.parametrize(("source", "peer"), [("forwarded", False), ("peer", True)])
def test_the_source_is_whom_the_proxy_names_or_the_proxy(source: str, peer: bool) -> None:
    found = Rendered({**ENVOY, "limit": "per-ip", "source": source})
    assert found.manager["use_remote_address"] is peer


@pytest.mark.parametrize(("dry_run", "share"), [(False, 100), (True, 0)])
def test_a_dry_run_counts_and_refuses_nobody(dry_run: bool, share: int) -> None:
    found = Rendered({**ENVOY, "limit": {"name": "per-ip", "dry_run": dry_run}})
    assert found.limit is not None
    assert found.limit["filter_enforced"]["default_value"]["numerator"] == share
    assert found.limit["filter_enabled"]["default_value"]["numerator"] == 0, "until the fleet is up"


NO_STATISTICS = {
    "nothing": b"",
    "no JSON": b"busy",
    "no text": b"\xff\xfe",
    "null": b"null",
    "a list": b"[]",
    "a number for the statistics": b'{"stats": 7}',
    "numbers in them": b'{"stats": [7]}',
    "a name that is none": b'{"stats": [{"name": [], "value": 1}]}',
    "no value": b'{"stats": [{"name": "cluster.pod.upstream_rq_retry"}]}',
    "a table for a value": b'{"stats": [{"name": "cluster.pod.upstream_rq_retry", "value": {}}]}',
    "more than there are": b'{"stats": [{"name": "cluster.pod.upstream_rq_retry", "value": 1e999}]}',
    "nested without end": b"[" * 100_000,
}


@pytest.mark.parametrize("body", NO_STATISTICS.values(), ids=NO_STATISTICS)
def test_a_sidecar_whose_answers_mean_nothing_is_read_on(tmp_path: Path, body: bytes) -> None:
    async def readings() -> list[Any]:
        async def answer(_request: web.Request) -> web.Response:
            return web.Response(body=body, content_type="application/json")

        app = web.Application()
        app.add_routes([web.get("/{path}", answer)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as http:
            sidecar = Sidecar(
                built(ENVOY),
                pod=1,
                pod_address="127.0.0.1:9001",
                ports=Ports(traffic=9101, admin=runner.addresses[0][1]),
                directory=tmp_path,
                http=http,
            )
            # Only its process id is asked for.
            sidecar.child = SimpleNamespace(pid=os.getpid())  # type: ignore[assignment]
            found = [await sidecar.read() for _ in range(2)]
        await runner.cleanup()
        return found

    for line in asyncio.run(readings()):
        assert line is not None
        assert line.counts is None

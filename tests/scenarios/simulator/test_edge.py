"""The modelled edge decides as nginx's rule does, and balances as nginx does."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from scenarios.clients.addresses import first_octets, source_address
from scenarios.limits import token_bucket, window
from scenarios.limits.leaky_bucket import EdgeRule, LeakyBucket, decide
from scenarios.limits.registry import Limits, limit
from scenarios.limits.token_bucket import TokenBucket, token_rule
from scenarios.simulator.edge.balancer import homes
from scenarios.simulator.edge.limiter import COUNTING
from scenarios.simulator.loop.edge import limits as edge
from scenarios.simulator.loop.edge.balance import FIRST_HASH, ip_hash
from tests.scenarios.simulator.test_oracles import engine, joined_by, outcomes, run_until
from tests.support.loop_parts import Parts

ADDRESSES = 4
BURSTS = st.lists(
    st.tuples(st.integers(0, 900), st.lists(st.integers(0, ADDRESSES - 1), max_size=12)), max_size=8
)


def rules_of(name: str) -> tuple[EdgeRule, ...]:
    return tuple(
        replace(rule, rate_per_s=10.0) if rule.rate_per_s is None else rule for rule in limit(name).rules
    )


@cache
def asked() -> Parts:
    """One edge for all tests: compiled parts are asked faster than a new run is made."""
    return Parts.of(16, 2)


def limited(limits: Limits, proxy: str = "nginx", addresses: int = ADDRESSES) -> Parts:
    """The edge with that limit, and nothing remembered."""
    parts = asked()
    parts.limit(Limits(), proxy, addresses=addresses)
    parts.limit(limits, proxy, addresses=addresses)
    return parts


@pytest.mark.parametrize("name", ["per-ip", "per-ip-strict", "global", "per-ip+global", "per-ip-delay"])
@given(bursts=BURSTS)
def test_nginx_decides_on_each_request_as_its_rule_does(
    name: str, bursts: list[tuple[int, list[int]]]
) -> None:
    rules = rules_of(name)
    parts = limited(Limits(rules))
    buckets: dict[tuple[int, int], LeakyBucket] = {}
    now_ms = 0
    for pause_ms, addresses in bursts:
        now_ms += pause_ms
        expected = []
        for address in addresses:
            keys = [(n, address if rule.per_address else 0) for n, rule in enumerate(rules)]
            mine = [buckets.get(key, LeakyBucket()) for key in keys]
            decision, after = decide([rule.bucket for rule in rules], mine, now_ms)
            verdict = edge.LET_IN if decision.refused_by is None else edge.REFUSED
            expected.append((verdict, decision.delay_ms * 1_000_000))
            buckets.update({key: bucket for key, bucket in zip(keys, after, strict=True) if bucket})
        assert parts.ask(addresses, now_ms) == expected


@pytest.mark.parametrize("proxy", ["nginx", "envoy"])
def test_a_polling_client_is_let_in_whole_or_refused_at_a_later_request(proxy: str) -> None:
    parts = limited(limit("per-ip-all-requests"), proxy, addresses=2)
    found = parts.ask([0, 1], 10_000, polls=True)
    # The first of five requests gets through, and costs a handshake.
    assert [verdict for verdict, _ in found] == [edge.BEGUN, edge.BEGUN]
    assert parts.let_in([0], 10_334) == [True], "three of them were charged"
    assert parts.let_in([0], 10_335) == [False]


def test_a_dry_run_refuses_nobody() -> None:
    rule = limit({"name": "per-ip-strict", "dry_run": True})
    assert all(limited(rule, addresses=1).let_in([0] * 9, 0))


def test_without_rules_everybody_passes() -> None:
    assert limited(Limits(), addresses=1).ask([0] * 3, 0) == [(edge.LET_IN, 0)] * 3


@given(changes=st.lists(st.integers(0, 3), max_size=60), clients=st.integers(0, 15))
def test_least_conn_sends_each_newcomer_to_a_pod_with_the_fewest_connections(
    changes: list[int], clients: int
) -> None:
    parts = Parts(Parts.of(60, 4).engine)
    engine = parts.engine
    engine.route([0, 1, 3])
    connections = [0, 0, 0, 0]
    for change in changes:
        if connections[change]:
            parts.connect(change, -1)
            connections[change] -= 1
        else:
            (pod,) = parts.send([0])
            assert connections[pod] == min(connections[index] for index in (0, 1, 3))
            connections[pod] += 1
    assert engine.pods["connections"].tolist() == connections
    engine.route([2, 0])
    assert parts.send([0]) == [2]


def test_equals_have_their_turn_one_after_the_other() -> None:
    parts = Parts.of(12, 3)
    parts.engine.route([0, 1, 2])
    assert parts.send(range(7)) == [0, 1, 2, 0, 1, 2, 0]


def sent(balance: str, pods: list[int], clients: list[int], parts: Parts | None = None) -> list[int]:
    parts = parts or Parts.of(max(clients) + 1, 8, gateway={"balance": balance})
    parts.engine.route(pods)
    return parts.send(clients)


def test_round_robin_goes_on_where_it_stopped() -> None:
    parts = Parts.of(8, 4, gateway={"balance": "round_robin"})
    assert sent("round_robin", [0, 2, 3], [0, 0, 0, 0], parts) == [0, 2, 3, 0]
    assert parts.send([0, 0]) == [2, 3]


def test_a_hash_keeps_most_addresses_where_they_are_when_a_pod_joins() -> None:
    before, after = (homes("hash", 10_000, pods, 1) for pods in ([0, 1, 2, 3], [0, 1, 2, 3, 5]))
    assert np.bincount(before) == pytest.approx([2_500] * 4, rel=0.05)
    assert (after[after != before] == 5).all(), "who moves, moves to the new one"
    assert (after != before).mean() == pytest.approx(1 / 5, abs=0.02)
    parts = Parts.of(50, 8, gateway={"balance": "hash"})
    expected = homes("hash", parts.engine.table.addresses, [0, 1, 2, 3], 1)
    assert sent("hash", [0, 1, 2, 3], [*range(50)], parts) == expected[parts.engine.table.address].tolist()


@given(index=st.integers(0, 7_999_999))
def test_addresses_of_one_network_have_one_home_with_ip_hash(index: int) -> None:
    octets = list(map(int, source_address(index).split(".")[:3]))
    neighbour = index % 40_000
    hashed = [
        ip_hash(FIRST_HASH, *same)
        for same in (octets, first_octets(neighbour), first_octets(np.array([index])))
    ]
    assert hashed[0] == hashed[1] == hashed[2][0]  # type: ignore[index] # of an array


def test_ip_hash_moves_most_addresses_when_a_pod_joins() -> None:
    before, after = (homes("ip_hash", 10_000, pods, 1) for pods in ([0, 1, 2, 3], [0, 1, 2, 3, 5]))
    assert np.bincount(before) == pytest.approx([2_500] * 4, rel=0.1)
    assert set(after.tolist()) == {0, 1, 2, 3, 5}
    assert (after != before).mean() == pytest.approx(4 / 5, abs=0.05)


def test_with_a_cookie_new_sessions_go_to_the_emptiest_pod() -> None:
    parts = Parts.of(8, 2, gateway={"balance": "cookie"})
    parts.engine.route([0, 1])
    for pod in (0, 0, 0, 1):
        parts.connect(pod, 1)
    assert sorted(parts.send(range(4))) == [0, 1, 1, 1]


def test_an_upstream_without_pods_has_nowhere_to_send_anybody() -> None:
    assert sent("least_conn", [], [0, 0]) == [-1, -1]


@pytest.mark.parametrize("name", ["per-ip", "per-ip-strict", "global", "per-ip+global", "global+per-ip"])
@given(bursts=BURSTS)
def test_envoy_decides_on_each_request_as_its_rule_does(
    name: str, bursts: list[tuple[int, list[int]]]
) -> None:
    rules = rules_of(name)
    own = [token_rule(rule) for rule in rules]
    parts = limited(Limits(rules), "envoy")
    buckets: dict[tuple[int, int], TokenBucket] = {}
    now_ms = 0
    for pause_ms, addresses in bursts:
        now_ms += pause_ms
        passed = []
        for address in addresses:
            keys = [(n, address if rule.per_address else 0) for n, rule in enumerate(rules)]
            mine = [buckets.get(key, TokenBucket()) for key in keys]
            decision, after = token_bucket.decide(own, mine, now_ms)
            passed.append(decision.refused_by is None)
            buckets.update({key: bucket for key, bucket in zip(keys, after, strict=True) if bucket})
        assert parts.let_in(addresses, now_ms) == passed


def test_at_envoy_a_rule_is_charged_for_what_a_later_one_refuses() -> None:
    spec = {"name": "per-ip-strict+global", "global": {"rate_per_s": 1, "burst": 0}}
    asked_at = ((0, 0), (1, 900), (1, 1000))
    found = {}
    for proxy in ("nginx", "envoy"):
        parts = limited(limit(spec), proxy, addresses=2)
        found[proxy] = [parts.let_in([address], now_ms) for address, now_ms in asked_at]
    assert found["nginx"] == [[True], [False], [True]]
    assert found["envoy"] == [[True], [False], [False]]


def per_ip(burst: int, *, dry_run: bool = False) -> dict[str, Any]:
    """So slow that nothing comes back during a test."""
    return {"name": "per-ip", "rate_per_s": 1 / 60, "burst": burst, "dry_run": dry_run}


BOTH = {"name": "per-ip+global", "per-ip": {"rate_per_s": 1 / 60, "burst": 2}, "global": {"rate_per_s": 1}}
STRICT = {"name": "per-ip-strict", "rate_per_s": 1 / 60}
SAME_AS_WRITTEN = {**per_ip(2), "rate_per_s": 1.001 / 60}


@pytest.mark.parametrize(
    ("specs", "nginx", "envoy", "haproxy"),
    [
        pytest.param([per_ip(2), per_ip(2)], [3, 0], [3, 0], [3, 3], id="the same again"),
        pytest.param([per_ip(2), SAME_AS_WRITTEN], [3, 0], [3, 0], [3, 3], id="a rate that is rounded"),
        pytest.param([per_ip(2), per_ip(4)], [3, 2], [3, 5], [3, 5], id="a larger burst"),
        pytest.param([per_ip(2), BOTH], [3, 0], [3, 3], [3, 3], id="another one as well"),
        pytest.param([BOTH, per_ip(2)], [3, 0], [3, 3], [3, 3], id="another one no more"),
        pytest.param([per_ip(2), STRICT], [3, 1], [3, 1], [3, 1], id="another one instead"),
        pytest.param([per_ip(2), "none", per_ip(2)], [3, 6, 3], [3, 6, 3], [3, 6, 3], id="off in between"),
        pytest.param(
            [per_ip(2, dry_run=True), per_ip(2)], [6, 0], [6, 3], [6, 3], id="in earnest after a dry run"
        ),
        pytest.param([per_ip(2), per_ip(3), per_ip(5)], [3, 1, 2], [3, 4, 6], [3, 4, 6], id="twice more"),
    ],
)
def test_a_reload_leaves_in_the_buckets_what_the_proxy_keeps(
    specs: list[Any], nginx: list[int], envoy: list[int], haproxy: list[int]
) -> None:
    for proxy, expected in {"nginx": nginx, "envoy": envoy, "haproxy": haproxy}.items():
        parts, let_in = limited(Limits(), proxy, addresses=1), []
        for number, spec in enumerate(specs):
            parts.limit(limit(spec), proxy, addresses=1)
            let_in.append(sum(parts.let_in([0] * 6, 300 * number)))
        assert let_in == expected, proxy


def test_another_cap_of_the_same_name_counts_what_is_in_flight() -> None:
    parts = limited(limit(capped(2)), addresses=1)
    parts.engine.table.records["address"] = 0
    assert [parts.ask_for(client, 0) for client in (0, 1, 2)] == [True, True, False]
    parts.limit(limit(capped(3)), addresses=1)
    assert [parts.ask_for(client, 0) for client in (2, 3)] == [True, False]
    parts.end_of_request(0)
    parts.end_of_request(5)
    assert [parts.ask_for(client, 0) for client in (3, 4)] == [True, False]


def test_a_proxy_that_is_started_has_empty_buckets() -> None:
    for proxy in COUNTING:
        made = engine(fleet={"clients": 6, "clients_per_ip": 6, "policy": "naive"}, edge={"proxy": proxy})
        made.set_limits(limit(per_ip(2)))
        for at_s, joined in ((1, 3), (2, 3)):
            run_until(made, at_s)
            made.end_edge()
            made.edge_is_up = True
            assert joined_by(made, at_s + 0.5) == joined, proxy


def capped(connections: int, **more: Any) -> dict[str, Any]:
    return {"name": "concurrent-per-ip", "connections": connections, **more}


FIVE_BEHIND_ONE = {
    "clients": 10,
    "clients_per_ip": 5,
    "policy": {"name": "grpc", "base_s": 0.3, "factor": 1, "jitter": 0},
}


@pytest.mark.parametrize("proxy", ["nginx", "haproxy"])
def test_no_address_has_more_connections_than_a_cap_allows_and_who_leaves_makes_room(proxy: str) -> None:
    made = engine(fleet=FIVE_BEHIND_ONE, edge={"proxy": proxy}, gateway={"handshake_cpu_ms": 1})
    made.set_limits(limit(capped(3)))
    run_until(made, 1)
    assert made.joined.sum() == 10, "those who were in before do not count"
    made.drop(1.0)
    assert joined_by(made, 3) == 6, "three of each address"
    made.drop(1.0)
    assert joined_by(made, 6) == 6


def test_a_dry_run_of_a_cap_lets_everybody_in() -> None:
    for proxy in ("nginx", "haproxy"):
        made = engine(fleet=FIVE_BEHIND_ONE, edge={"proxy": proxy}, gateway={"handshake_cpu_ms": 1})
        made.set_limits(limit(capped(3, dry_run=True)))
        made.drop(1.0)
        assert joined_by(made, 3) == 10


def test_a_cap_per_address_is_a_cap_for_everybody_where_the_proxy_sees_one_address() -> None:
    made = engine(fleet={**FIVE_BEHIND_ONE, "source": "same"}, gateway={"handshake_cpu_ms": 1})
    made.set_limits(limit(capped(3)))
    made.drop(1.0)
    assert joined_by(made, 3) == 3


def test_exempt_ranges_are_not_counted() -> None:
    # Both addresses, 127.10.10.1 and 127.10.11.1; one of them is exempt.
    for spec in ({"name": "per-ip", "rate_per_s": 1 / 60, "burst": 0}, capped(1)):
        made = engine(fleet=FIVE_BEHIND_ONE, gateway={"handshake_cpu_ms": 1})
        made.set_limits(limit({**spec, "exempt": ["127.10.10.0/24"]}))
        made.drop(1.0)
        assert joined_by(made, 3) == 6, spec


def test_who_is_refused_for_its_connections_has_paid_its_rate_at_nginx_and_not_at_haproxy() -> None:
    spec = {"name": "per-ip+concurrent-per-ip", "per-ip": {"rate_per_s": 1, "burst": 1}}
    spec |= {"concurrent-per-ip": {"connections": 1}}
    found = {}
    for proxy in ("nginx", "haproxy"):
        parts = limited(limit(spec), proxy, addresses=1)
        parts.engine.table.records["address"] = 0
        found[proxy] = [parts.ask_for(client, 0) for client in (0, 1)]
        parts.end_of_request(0)
        found[proxy].append(parts.ask_for(2, 0))
    assert found == {"nginx": [True, False, False], "haproxy": [True, False, True]}


@given(
    charge=st.booleans(),
    bursts=st.lists(
        st.tuples(st.integers(0, 4_000), st.lists(st.integers(0, ADDRESSES - 1), max_size=9)), max_size=9
    ),
)
def test_windows_are_asked_for_requests_of_one_moment_like_one_after_the_other(
    charge: bool, bursts: list[tuple[int, list[int]]]
) -> None:
    spec = {"name": "sliding-window", "connections": 3, "window_s": 5, "charge_refusals": charge}
    limits = limit(spec)
    parts = limited(limits, "haproxy")
    counters: dict[int, window.Counter] = {}
    now_ms = 0
    for pause_ms, addresses in bursts:
        now_ms += pause_ms
        passed = []
        for address in addresses:
            counter = counters.get(address, window.Counter())
            let, counters[address] = window.decide(limits.windows[0], counter, now_ms)
            passed.append(let)
        assert parts.let_in(addresses, now_ms) == passed


def test_whoever_retries_every_second_never_gets_in_where_refusals_are_charged() -> None:
    policy = {"name": "grpc", "base_s": 1, "factor": 1, "jitter": 0}
    joined = {}
    for charge in (False, True):
        made = engine(
            fleet={"clients": 2, "clients_per_ip": 2, "policy": policy},
            edge={"proxy": "haproxy"},
            gateway={"handshake_cpu_ms": 1},
        )
        spec = {"name": "sliding-window", "connections": 1, "window_s": 3, "charge_refusals": charge}
        made.set_limits(limit(spec))
        made.drop(1.0)
        joined[charge] = joined_by(made, 12)
    assert joined == {False: 2, True: 1}


def test_forty_clients_behind_one_address_that_ask_every_second_fail_in_95_of_100_attempts() -> None:
    # One new connection a second, 503 above: of n that wait, n - 1 fail in each second.
    every_second = {"name": "grpc", "base_s": 1, "factor": 1, "jitter": 0}
    fleet = {"clients": 40, "clients_per_ip": 40, "policy": every_second}
    made = engine(fleet=fleet, gateway={"handshake_cpu_ms": 1})
    made.set_limits(limit({"name": "per-ip", "rate_per_s": 1, "burst": 0, "status": 503}))
    made.drop(1.0)
    assert joined_by(made, 50) == 40
    attempts = outcomes(made).total()
    assert outcomes(made)["limited"] / attempts == pytest.approx(0.95, abs=0.01)


def test_clients_that_ask_at_once_never_get_in_again_where_a_minute_has_ten_attempts_and_refusals_count() -> (
    None
):
    spec = {"name": "concurrent-per-ip+sliding-window", "retry_after_s": 60}
    spec |= {"concurrent-per-ip": {"connections": 5}}
    spec |= {"sliding-window": {"connections": 10, "window_s": 6, "charge_refusals": True}}
    found = {}
    for delay_s in (0.2, 7):
        policy = {"name": "grpc", "base_s": delay_s, "factor": 1, "jitter": 0}
        made = engine(
            fleet={"clients": 5, "clients_per_ip": 5, "policy": policy},
            edge={"proxy": "haproxy"},
            gateway={"handshake_cpu_ms": 1},
        )
        made.set_limits(limit(spec))
        made.end_pod(0)
        run_until(made, 3)
        made.start_pod(0)
        found[delay_s] = joined_by(made, 14)
    assert found == {0.2: 0, 7: 5}, "who waits for a whole window gets in"

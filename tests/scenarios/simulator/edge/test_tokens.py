"""Clients of the model show the tokens that clients of a run would."""

from typing import Any

import numpy as np
import pytest

from scenarios.limits.registry import limit
from scenarios.scenario.model import Target
from scenarios.scenario.validate import build
from scenarios.simulator.edge.tokens import NOT_COUNTED, token_complaint, tokens_shown, value_shown
from tests.scenarios.simulator.test_oracles import engine, joined_by
from tests.support.loop_parts import Parts

OWN = {"function": "gateway_stub.tokens:issue", "when": "start"}
PER_TOKEN = {"name": "per-token", "rate_per_s": 1 / 60, "burst": 1}
SIX_BEHIND_ONE = {"clients": 6, "clients_per_ip": 6, "policy": "naive", "rtt_ms": 20}


def target(**table: Any) -> Target:
    return build({"target": table}, source="test").target


@pytest.mark.parametrize(
    ("by", "table", "value"),
    [
        ("header:X-Key", {"headers": {"x-key": "a"}}, "a"),
        ("header:X-Key", {"headers": {"X-Other": "a"}}, ""),
        ("cookie:sid", {"cookies": {"sid": "a"}}, "a"),
        ("cookie:sid", {"headers": {"Cookie": "other=1; sid=b"}, "cookies": {"more": "c"}}, "b"),
        ("cookie:Sid", {"cookies": {"sid": "a"}}, ""),
    ],
)
def test_a_token_is_what_the_target_says(by: str, table: dict[str, Any], value: str) -> None:
    assert value_shown(by, target(**table)) == value


@pytest.mark.parametrize(
    ("table", "tokens"),
    [
        pytest.param({}, [NOT_COUNTED] * 3, id="no header"),
        pytest.param({"headers": {"Authorization": "a"}}, [0, 0, 0], id="one for all"),
        pytest.param(
            {"headers": {"Authorization": "Bearer {token}"}, "credentials": OWN}, [0, 1, 2], id="one for each"
        ),
        pytest.param(
            {"headers": {"Authorization": "{token}"}, "credentials": {**OWN, "when": "attempt"}},
            [NOT_COUNTED] * 3,
            id="another one at each attempt",
        ),
    ],
)
def test_who_shares_a_token(table: dict[str, Any], tokens: list[int]) -> None:
    assert tokens_shown("header:Authorization", target(**table), 3).tolist() == tokens


def test_headers_that_http_makes_are_not_known() -> None:
    assert token_complaint("header:Host", target()).startswith("a header that target.headers has")
    assert token_complaint("header:Cookie", target()).startswith("cookie:NAME")
    assert not token_complaint("header:Host", target(headers={"Host": "gateway"}))
    assert not token_complaint("header:Authorization", target())


def limited(spec: dict[str, Any], tokens: list[int], proxy: str = "nginx") -> Parts:
    """The proxy with that limit, for clients with these tokens."""
    parts = Parts.of(len(tokens))
    parts.tokens = {by: np.array(tokens) for by in ("header:Authorization", "header:X-Key")}
    parts.engine.table.records["address"] = 0
    parts.limit(limit(spec), proxy, addresses=1)
    return parts


@pytest.mark.parametrize("proxy", ["nginx", "envoy", "haproxy"])
def test_each_token_has_an_allowance_and_a_request_without_one_is_not_counted(proxy: str) -> None:
    # As at the real proxies, in tests/e2e/test_other_limits.py: four requests of each of two tokens get
    # 200, 200, 429, 429, and four without one 200.
    parts = limited(PER_TOKEN, [0] * 4 + [1] * 4 + [NOT_COUNTED] * 4, proxy)
    admitted = [parts.ask_for(client, client) for client in range(12)]
    assert admitted == [True, True, False, False] * 2 + [True] * 4


def test_buckets_of_another_header_are_other_buckets() -> None:
    parts, found = limited(PER_TOKEN, [0] * 8), []
    for by in ("header:Authorization", "header:X-Key", "header:X-Key"):
        parts.limit(limit({**PER_TOKEN, "by": by}), addresses=1)
        found.append(sum(parts.ask_for(client, 0) for client in range(4)))
    assert found == [2, 2, 0]


def test_an_address_that_is_exempt_is_not_counted_by_its_token_either() -> None:
    parts = limited({**PER_TOKEN, "exempt": ["127.10.10.0/24"]}, [0] * 8)
    assert all(parts.ask_for(client, 0) for client in range(4))


@pytest.mark.parametrize(
    ("table", "joined"),
    [
        pytest.param({}, 6, id="none"),
        pytest.param({"headers": {"Authorization": "a"}}, 2, id="one for all"),
        pytest.param({"headers": {"Authorization": "{token}"}, "credentials": OWN}, 6, id="one for each"),
    ],
)
def test_a_storm_of_clients_behind_one_address_by_their_tokens(table: dict[str, Any], joined: int) -> None:
    made = engine(fleet=SIX_BEHIND_ONE, target=table, gateway={"handshake_cpu_ms": 1})
    made.set_limits(limit(PER_TOKEN))
    made.drop(1.0)
    assert joined_by(made, 5) == joined

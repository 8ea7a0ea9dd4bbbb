"""Settings ready to paste."""

import ast
import random
from collections.abc import Iterator
from itertools import islice, repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.fields import NameOrTable
from scenarios.policies.registry import policy
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.tuning.candidate import Candidate, with_candidate
from scenarios.tuning.export import (
    javascript_options,
    python_options,
    settings,
    text,
)
from scenarios.tuning.space import NOW, POLICY_FAMILIES, anchors

SCENARIO = load("mass-drop", ["matrix={}", "fleet.connect_timeout_s=2.5"])
MS = st.integers(1, 100_000)
SECONDS = st.floats(0, 1_000)


def candidate(spec: NameOrTable, limit: NameOrTable = "none", reset: Any = "open") -> Candidate:
    return Candidate(name="c", policy=spec, limit=limit, reset_backoff=reset)


@given(MS, MS, st.floats(0, 1))
def test_javascript_options_read_back_as_the_same_policy(low: int, high: int, jitter: float) -> None:
    spec: NameOrTable = {"name": "socketio-js", "min_ms": low, "max_ms": high, "jitter": jitter}
    options = javascript_options(spec)
    assert options is not None
    assert policy({"name": "socketio-js", **options}) == policy(spec)


@given(SECONDS, SECONDS, SECONDS)
def test_python_options_read_back_as_the_same_policy(low: float, high: float, jitter: float) -> None:
    spec: NameOrTable = {"name": "socketio-python", "min_s": low, "max_s": high, "jitter_s": jitter}
    options = python_options(spec)
    assert options is not None
    assert policy({"name": "socketio-python", **options}) == policy(spec)


def test_the_incidents_own_fix_is_options_of_the_stock_client() -> None:
    found = settings(candidate("incident", "per-ip"), SCENARIO, "limit_req zone=per_ip burst=2 nodelay;")
    assert found.javascript.splitlines() == [
        "const socket = io(url, {",
        "  reconnectionDelay: 200,",
        "  reconnectionDelayMax: 30000,",
        "  randomizationFactor: 0.5,",
        "  timeout: 2500,",
        "});",
    ]
    assert "limit_req zone=per_ip" in text(found)
    assert any("wait exactly the maximum" in line for line in found.cannot)


def test_the_limit_is_for_the_proxy_in_use() -> None:
    scenario = load("mass-drop", ["matrix={}", "edge.proxy=haproxy"])
    found = text(settings(candidate("incident", "per-ip"), scenario, "backend per_ip"))
    assert "HAProxy:\n\n    backend per_ip" in found
    assert "nginx" not in found


def test_a_python_policy_is_options_of_the_python_client_and_code_for_the_other() -> None:
    found = settings(candidate("socketio-python"), SCENARIO, "")
    assert found.python == (
        "client = socketio.AsyncClient("
        "reconnection_delay=1, reconnection_delay_max=5, randomization_factor=0.5)"
    )
    assert "manager.reconnectionDelay(last)" in found.javascript
    assert "nginx" not in text(found)


NAMES = ["naive", "incident", "grpc", *(family.policy for family in POLICY_FAMILIES)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reset", ["open", "joined", "stable", "never"])
def test_every_policy_has_code_that_is_whole(name: str, reset: str) -> None:
    found = settings(candidate(name, reset=reset), SCENARIO, "")
    ast.parse(found.python)
    for left, right in ("()", "{}", "[]"):
        assert found.javascript.count(left) == found.javascript.count(right)
    assert "{" + "formula}" not in found.javascript
    assert any("resets its back-off at the open" in line for line in found.cannot) == (reset != "open")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "grpc"])
def test_the_python_code_waits_as_the_policy_does(name: str) -> None:
    source = settings(candidate(name, reset="stable"), SCENARIO, "").python
    function = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    scope: dict[str, Any] = {}
    exec("import itertools, random\n" + ast.unparse(function), scope)
    ours = policy(name).delays(random.Random(7))
    scope["random"].seed(7)
    theirs = scope["delays"]()
    for mine, its in zip(islice(ours, 30), islice(theirs, 30), strict=True):
        assert its == pytest.approx(mine, abs=1.1e-3)


def test_a_policy_without_a_formula_here_says_so_in_its_code() -> None:
    found = settings(candidate("grpc", reset="stable"), SCENARIO, "")
    assert "write the policy grpc here" in found.javascript
    assert "write the policy grpc here" in found.python


def test_limits_at_the_pods_are_said_in_words() -> None:
    found = settings(candidate("spread", "lag-shed+handshake-slots"), SCENARIO, "")
    assert "later than 250 ms" in found.pods
    assert "at most 2 concurrent handshakes per pod" in found.pods
    assert "the pods:" in text(found)


def lasting(rng: random.Random) -> Iterator[float]:
    """A policy of a user's own that starts over after a session of half a minute."""
    return repeat(1.0)


lasting.reset = 30  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("spec", "reset"),
    [("socketio-python", "joined"), (f"{__name__}:lasting", "policy")],
    ids=["named", "own"],
)
def test_what_there_is_now_resets_as_its_policy_says(spec: str, reset: str) -> None:
    scenario = load("mass-drop", ["matrix={}", f"fleet.policy={spec}"])
    (now,) = (one for one in anchors(scenario, {"window_s": 8.0}) if NOW in one.origin)
    assert now.reset_backoff == reset
    assert with_candidate(scenario, now).fleet.reset_backoff == reset


def test_a_policy_that_resets_after_a_time_of_its_own_has_code_with_that_time() -> None:
    found = settings(candidate(f"{__name__}:lasting", reset="policy"), SCENARIO, "")
    assert ">= 30000)" in found.javascript
    assert ">= 30:" in found.python


def test_a_stable_session_is_as_long_as_the_scenario_says() -> None:
    scenario: Scenario = load("mass-drop", ["matrix={}", "fleet.stable_after_s=7"])
    found = settings(candidate("spread", reset="stable"), scenario, "")
    assert ">= 7000)" in found.javascript
    assert ">= 7:" in found.python

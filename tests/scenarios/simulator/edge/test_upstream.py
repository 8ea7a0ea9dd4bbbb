"""Pods that fail get no more requests in the model for as long as at nginx."""

from collections import Counter
from typing import Any

import pytest

from scenarios.simulator.edge.balancer import homes
from tests.scenarios.simulator.test_oracles import engine, joined_by, outcomes, run_until
from tests.support.failing_pods import ANSWERS, ASKED, BAD_GATEWAY, BUSY, DEAD, SHEDS, UP
from tests.support.loop_parts import Parts

TEN_S = 10
STEADY = {"name": "grpc", "base_s": 0.2, "factor": 1, "jitter": 0}


def upstream(pods: int = 3, **nginx: Any) -> Parts:
    parts = Parts.of(ASKED, pods, edge={"nginx": nginx}, gateway={"balance": "round_robin"})
    parts.engine.route([*range(pods)])
    return parts


def test_a_pod_is_out_for_whole_seconds_and_then_gets_a_single_request() -> None:
    parts = upstream(max_fails=2, fail_timeout_s=TEN_S)
    parts.fail(1, 5)
    assert parts.out(5) == set()
    parts.fail(1, 6)
    assert parts.out(6) == {1}
    assert parts.out(16) == {1}, "nginx counts whole seconds"
    assert parts.out(17) == set()
    parts.sent(1, 17)
    assert parts.out(17) == {1}, "the one request that it gets now is under way"
    parts.ended(1)
    assert parts.out(17) == set()


def test_what_ends_before_the_pod_is_asked_again_proves_nothing() -> None:
    parts = upstream(max_fails=1)
    parts.fail(0, 1)
    parts.ended(0)
    assert parts.out(2) == {0}


def test_a_pod_that_is_alone_is_never_out() -> None:
    parts = upstream(max_fails=1)
    parts.engine.route([2])
    parts.fail(2, 0)
    assert parts.out(0) == set()


def test_a_reload_forgets_failures() -> None:
    parts = upstream(max_fails=1)
    parts.fail(0, 1)
    parts.engine.set_limits(parts.engine.edge.limits)
    assert parts.out(1) == set()


@pytest.mark.parametrize("balance", ["least_conn", "round_robin", "hash", "ip_hash"])
def test_pods_that_are_out_get_nothing_and_the_others_everything(balance: str) -> None:
    parts = Parts.of(200, 5, edge={"nginx": {"max_fails": 1}}, gateway={"balance": balance})
    parts.engine.route([0, 1, 3, 4])
    before = parts.send(range(200))
    for pod in (1, 3):
        parts.fail(pod, 0)
    after = parts.send(range(200))
    assert set(before) == {0, 1, 3, 4}
    assert set(after) == {0, 4}
    if balance in {"hash", "ip_hash"}:
        assert [new for old, new in zip(before, after, strict=True) if old in {0, 4}] == [
            old for old in before if old in {0, 4}
        ], "who is at a pod that is there stays"
    for pod in (0, 4):
        parts.fail(pod, 0)
    assert set(parts.send(range(200))) == {-1}


def test_a_hash_sends_those_of_a_pod_that_is_out_where_they_go_without_it() -> None:
    parts = Parts.of(200, 5, edge={"nginx": {"max_fails": 1}}, gateway={"balance": "hash"})
    parts.engine.route([0, 1, 3, 4])
    parts.fail(3, 0)
    found = parts.send(range(200))
    assert (
        found
        == homes("hash", parts.engine.table.addresses, [0, 1, 4], 1)[parts.engine.table.address].tolist()
    )


def statuses(pods: tuple[str, ...], nginx: dict[str, Any]) -> Counter[int]:
    """What requests are answered, one after the other."""
    parts = upstream(len(pods), **nginx)
    for pod, kind in enumerate(pods):
        if kind != DEAD:
            parts.engine.start_pod(pod)
    sheds = {pod for pod, kind in enumerate(pods) if kind == SHEDS}
    words = {"up": UP, "limited": BUSY, "refused": BAD_GATEWAY}
    return Counter(words[parts.request(client, sheds)] for client in range(ASKED))


@pytest.mark.parametrize(("pods", "nginx", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_failures_do_to_the_next_requests_what_they_do_at_nginx(
    pods: tuple[str, ...], nginx: dict[str, Any], expected: dict[int, int]
) -> None:
    # tests/e2e/test_nginx_settings.py asks nginx the same.
    assert statuses(pods, nginx) == expected


@pytest.mark.parametrize("balance", ["least_conn", "round_robin", "hash", "ip_hash"])
def test_of_a_storm_that_comes_at_once_one_attempt_finds_out_that_a_pod_is_dead(balance: str) -> None:
    fleet = {"clients": 40, "policy": STEADY}
    nginx = {"max_fails": 1, "fail_timeout_s": TEN_S}
    made = engine(
        fleet=fleet,
        edge={"nginx": nginx},
        gateway={"pods": 2, "balance": balance, "handshake_cpu_ms": 1},
    )
    run_until(made, 1)
    made.end_pod(1)
    made.drop(1.0)
    assert joined_by(made, 3) == 40
    assert outcomes(made) == {"refused": 1, "joined": 40}


def test_who_waits_at_a_pod_that_ends_is_answered_502_or_goes_to_the_next_one() -> None:
    found = {}
    for conditions in ([], ["error"]):
        made = engine(
            fleet={"clients": 40, "policy": STEADY, "connect_timeout_s": 9},
            edge={"nginx": {"proxy_next_upstream": conditions}},
            gateway={"pods": 2, "balance": "round_robin", "handshake_cpu_ms": 50},
        )
        run_until(made, 1)
        made.drop(1.0)
        run_until(made, 1.5)
        before = outcomes(made)["joined"]
        made.end_pod(1)
        made.route([0])
        assert joined_by(made, 9) == 40
        found[tuple(conditions)] = outcomes(made)["refused"], before
    (answered, before), (passed_on, _) = found.values()
    assert answered > 5
    assert before < 40
    assert passed_on == 0


def test_pods_that_shed_are_ejected_where_503_is_a_failure() -> None:
    from gateway_stub.protocol import Admission

    found = {}
    for conditions in ([], ["http_503"]):
        made = engine(
            fleet={"clients": 100, "policy": STEADY, "connect_timeout_s": 9},
            edge={"nginx": {"proxy_next_upstream": conditions, "max_fails": 1}},
            gateway={"pods": 2, "handshake_cpu_ms": 20},
        )
        made.admission = Admission(shed_above_lag_ms=200)
        run_until(made, 1)
        made.drop(1.0)
        run_until(made, 6)
        found[bool(conditions)] = outcomes(made)
    assert found[False]["refused"] == 0
    assert found[True]["refused"] > 100, "once all pods are out, nginx answers 502 by itself"

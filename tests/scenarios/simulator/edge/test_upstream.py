"""Pods that fail get no more requests in the model for as long as at nginx."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from scenarios.scenario.edge.nginx import NginxSettings
from scenarios.simulator.edge.upstream import Upstream
from tests.scenarios.simulator.test_oracles import engine, joined_by, run_until
from tests.support.failing_pods import ANSWERS, ASKED, BAD_GATEWAY, BUSY, DEAD, SHEDS, UP

TEN_S = 10
STEADY = {"name": "grpc", "base_s": 0.2, "factor": 1, "jitter": 0}


def upstream(**settings: Any) -> Upstream:
    made = Upstream(NginxSettings(**settings), 3)
    made.route(np.arange(3))
    return made


def test_a_pod_is_out_for_whole_seconds_and_then_gets_a_single_request() -> None:
    made = upstream(max_fails=2, fail_timeout_s=TEN_S)
    pod = np.array([1])
    made.sent(pod, 5.9)
    made.failed(pod, 5.9)
    assert made.out(5.9) == frozenset()
    made.failed(pod, 6.1)
    assert made.out(6.2) == {1}
    assert made.out(16.9) == {1}, "nginx counts whole seconds"
    assert made.out(17.0) == frozenset()
    made.sent(pod, 17.0)
    assert made.out(17.0) == {1}, "the one request that it gets now is under way"
    made.ended(pod)
    assert made.out(17.0) == frozenset()


def test_what_ends_before_the_pod_is_asked_again_proves_nothing() -> None:
    made = upstream(max_fails=1)
    pod = np.array([0])
    made.sent(pod, 1)
    made.failed(pod, 1)
    made.ended(pod)
    assert made.out(2) == {0}


def test_of_requests_at_one_moment_a_dead_pod_gets_those_that_it_takes_to_be_out() -> None:
    made = upstream(max_fails=3)
    alive = np.array([True, False, True])
    assert made.room(alive)[1] == 3
    made.failed(np.array([1]), 0)
    assert made.room(alive)[1] == 2
    made.failed(np.array([1, 1]), 0)
    assert made.room(alive).tolist()[1] == 1, "once it gets anything again"
    assert made.room(alive)[0] > 10**9


def test_a_pod_that_is_alone_is_never_out() -> None:
    made = upstream(max_fails=1)
    made.route(np.array([2]))
    made.failed(np.array([2]), 0)
    assert made.out(0) == frozenset()
    assert made.room(np.ones(3, bool))[2] > 10**9


def statuses(pods: tuple[str, ...], settings: dict[str, Any]) -> Counter[int]:
    """What requests are answered, one after the other."""
    made = engine(
        fleet={"clients": ASKED},
        gateway={"pods": len(pods), "balance": "round_robin"},
        edge={"nginx": settings},
    )
    made.pods.alive[:] = [pod != DEAD for pod in pods]
    edge, table, found = made.edge, made.table, Counter[int]()
    edge.end(np.arange(ASKED))
    for client in range(ASKED):
        one, at_s = np.array([client]), np.zeros(1)
        sent = edge.take(one, at_s, 0.0, 0.0)
        while True:
            if not len(sent.clients):
                found[BAD_GATEWAY] += 1
                break
            table.pod[one] = sent.pods
            if pods[sent.pods[0]] != SHEDS:
                found[UP] += 1
                break
            if not edge.goes_on(one, BUSY, 0.0)[0]:
                found[BUSY] += 1
                break
            sent = edge.send(one, at_s, 0.0)
        if found[UP] + found[BUSY] + found[BAD_GATEWAY] > client + 1:
            raise AssertionError("one answer for each")
    return found


@pytest.mark.parametrize(("pods", "settings", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_failures_do_to_the_next_requests_what_they_do_at_nginx(
    pods: tuple[str, ...], settings: dict[str, Any], expected: dict[int, int]
) -> None:
    # tests/e2e/test_nginx_settings.py asks nginx the same.
    assert statuses(pods, settings) == expected


@pytest.mark.parametrize("balance", ["least_conn", "round_robin", "hash", "ip_hash"])
def test_of_a_storm_that_comes_at_once_one_attempt_finds_out_that_a_pod_is_dead(balance: str) -> None:
    fleet = {"clients": 40, "policy": STEADY}
    nginx = {"max_fails": 1, "fail_timeout_s": TEN_S}
    made = engine(
        0.02,
        fleet=fleet,
        edge={"nginx": nginx},
        gateway={"pods": 2, "balance": balance, "handshake_cpu_ms": 1},
    )
    run_until(made, 1)
    made.end_pod(1)
    made.drop(1.0)
    assert joined_by(made, 3) == 40
    assert made.recorder.outcomes == {"refused": 1, "joined": 40}


def test_who_waits_at_a_pod_that_ends_is_answered_502_or_goes_to_the_next_one() -> None:
    found = {}
    for conditions in ([], ["error"]):
        made = engine(
            0.02,
            fleet={"clients": 40, "policy": STEADY, "connect_timeout_s": 9},
            edge={"nginx": {"proxy_next_upstream": conditions}},
            gateway={"pods": 2, "balance": "round_robin", "handshake_cpu_ms": 50},
        )
        run_until(made, 1)
        made.drop(1.0)
        run_until(made, 1.5)
        before = made.recorder.outcomes["joined"]
        made.end_pod(1)
        made.route([0])
        assert joined_by(made, 9) == 40
        found[tuple(conditions)] = made.recorder.outcomes["refused"], before
    (answered, before), (passed_on, _) = found.values()
    assert answered > 5
    assert before < 40
    assert passed_on == 0


def test_pods_that_shed_are_ejected_where_503_is_a_failure() -> None:
    from gateway_stub.protocol import Admission

    found = {}
    for conditions in ([], ["http_503"]):
        made = engine(
            0.01,
            fleet={"clients": 100, "policy": STEADY, "connect_timeout_s": 9},
            edge={"nginx": {"proxy_next_upstream": conditions, "max_fails": 1}},
            gateway={"pods": 2, "handshake_cpu_ms": 20},
        )
        made.admission = Admission(shed_above_lag_ms=200)
        run_until(made, 1)
        made.drop(1.0)
        run_until(made, 6)
        found[bool(conditions)] = made.recorder.outcomes
    assert found[False]["refused"] == 0
    assert found[True]["refused"] > 100, "once all pods are out, nginx answers 502 by itself"

"""What a refusal of a pod looks like to clients of the model."""

from typing import Any

import pytest

from scenarios.limits.registry import limit
from scenarios.policies.outcome import OutcomeKind
from scenarios.simulator.admission.refusals import TRY_AGAIN, refusal_cpu_s
from scenarios.simulator.costs import Costs
from tests.scenarios.simulator.test_oracles import engine, outcomes, run_until

STEADY = {"name": "grpc", "base_s": 0.5, "factor": 1, "jitter": 0}


def refused(*, close: bool, **fleet: Any) -> Any:
    """The outcomes of ten clients of which two get in."""
    made = engine(
        fleet={"clients": 10, "clients_per_ip": 10, "policy": STEADY, **fleet},
        gateway={"handshake_cpu_ms": 1},
    )
    made.admission = limit({"name": "pod-window", "connections": 2, "close_1013": close}).admission
    made.drop(1.0)
    return outcomes(run_until(made, 0.9))


def test_a_websocket_that_is_closed_with_1013_has_been_reset_and_not_limited() -> None:
    assert refused(close=False) == {"joined": 2, "limited": 8}
    assert refused(close=True) == {"joined": 2, "reset": 8}


def test_a_polling_client_gets_the_status_all_the_same() -> None:
    assert refused(close=True, transport="polling-upgrade") == {"joined": 2, "limited": 8}


def test_clients_are_told_the_code_and_the_reason() -> None:
    outcome = TRY_AGAIN.outcome
    assert (outcome.kind, outcome.close_code) == (OutcomeKind.CLOSED, 1013)
    assert outcome.reason == "try again later"


@pytest.mark.parametrize("close", [False, True])
def test_a_refusal_costs_what_it_costs(close: bool) -> None:
    rules, costs = limit({"name": "handshake-slots", "close_1013": close}).admission, Costs()
    assert refusal_cpu_s(rules, costs) == (costs.close_1013_cpu_s if close else costs.shed_cpu_s)

"""The comparison of a real client with its model finds what differs, and nothing else."""

import random
from collections.abc import Callable
from itertools import islice

import pytest

from scenarios.policies.registry import policy
from tests.conformance.comparison import Chains, differences


def chains(spec: str | dict[str, object], clients: int, seed: int, attempts: int = 12) -> list[list[float]]:
    return [
        [delay_s * 1000 for delay_s in islice(policy(spec).delays(random.Random(seed + n)), attempts)]
        for n in range(clients)
    ]


REAL = chains("socketio-js", 200, 1_000_000)

CHANGES: dict[str, tuple[Chains, str]] = {
    "another cap": (
        chains({"name": "socketio-js", "reconnectionDelayMax": 5001}, 500, 0),
        "attempt 5: 5000 to 5000 ms, exactly 5001 ms in the model",
    ),
    "another first delay": (
        chains({"name": "socketio-js", "reconnectionDelay": 1200}, 500, 0),
        "attempt 0: 553 to 1497 ms, 6",
    ),
    "less jitter": (
        chains({"name": "socketio-js", "randomizationFactor": 0.4}, 500, 0),
        "attempt 0: other delays",
    ),
    "a lower bound": (chains("socketio-java", 500, 0), "attempt 0: 0.0% wait exactly 1000 ms"),
    "jitter after the cap": (
        chains("socketio-python", 500, 0),
        "attempt 5: 100.0% wait exactly 5000 ms, 0.0% in the model",
    ),
    "an end": (
        chains({"name": "socketio-js", "reconnectionAttempts": 11}, 500, 0),
        "attempt 11: 100.0% of the clients make it, 0.0% in the model",
    ),
}


def test_two_samples_of_one_model_do_not_differ() -> None:
    assert differences(REAL, chains("socketio-js", 1_000, 0)) == []


@pytest.mark.parametrize(("model", "line"), CHANGES.values(), ids=CHANGES)
def test_a_model_that_is_wrong_is_found_out(model: Chains, line: str) -> None:
    assert any(found.startswith(line) for found in differences(REAL, model))


@pytest.mark.parametrize("change", [lambda ms: ms * 1.05, lambda ms: ms + 150], ids=["5 %", "150 ms"])
def test_a_small_difference_of_a_distribution_is_found(change: Callable[[float], float]) -> None:
    model = chains("socketio-python", 1_000, 0)
    assert differences([[change(ms) for ms in chain] for chain in model[:400]], model)

"""Clients that wait exactly the same time before an attempt."""

import pytest

from scenarios.policies.collapse import atoms, by_attempt, collapses, duration, outages, sentence
from scenarios.policies.registry import policy

DURATIONS = {
    "nothing": (0, "0"),
    "milliseconds": (0.04, "40 ms"),
    "nearly a second": (0.9996, "1 s"),
    "seconds": (1.5, "1.5 s"),
    "two minutes": (120, "120 s"),
    "many minutes": (660, "11 min"),
}


@pytest.mark.parametrize(("seconds", "text"), DURATIONS.values(), ids=DURATIONS)
def test_a_duration_reads_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


SENTENCES: dict[str, tuple[list[list[float]], str]] = {
    "no jitter": ([[1.0] * 13] * 4, "No jitter: clients that lose their connections together"),
    "an end": (
        [[0.0, 2.0]] * 4,
        "at 0 s, 2 s after the loss. After 2 attempts, 2 s after the loss, clients stop",
    ),
    "a cap": (
        [[0.1 * n, *[5.0] * 12] for n in range(20)],
        "From attempt 1 on, every client waits exactly 5.000 s.",
    ),
    "half at the cap": (
        [[0.1 * n, *[5.0 if n % 2 else 4 + n / 40] * 12] for n in range(20)],
        "From attempt 1 on, 50 % of the clients or more wait exactly 5.000 s.",
    ),
    "jitter that stays": (
        [[0.0, *[4 + n / 10] * 12] for n in range(20)],
        "Every client makes attempt 0 immediately. The jitter stays: before attempt 12, delays are spread "
        "from 4 s to 5.9 s.",
    ),
    "no attempt": ([[]] * 4, "Clients make no attempt."),
    "one attempt": (
        [[1 + n / 10] for n in range(20)],
        "Clients make attempt 0 after 1 s to 2.9 s. After one attempt, 1.95 s after the loss, clients stop",
    ),
}


@pytest.mark.parametrize(("chains", "text"), SENTENCES.values(), ids=SENTENCES)
def test_the_sentence_that_matters_is_computed(chains: list[list[float]], text: str) -> None:
    assert text in sentence(chains)


COLLAPSES = {
    "a cap after the jitter": ("socketio-js", True),
    "a lower bound after the jitter alone": (
        {"name": "socketio-go", "reconnectionDelay": 5000, "randomizationFactor": 0.5},
        True,
    ),
    "a jitter after the cap": ("socketio-python", False),
    "no jitter": ("mqtt-js", True),
    "full jitter": ("full-jitter", False),
    "some at the cap": ("decorrelated-jitter", True),
    "switched off": ({"name": "socketio-js", "reconnection": False}, False),
}


@pytest.mark.parametrize(("spec", "expected"), COLLAPSES.values(), ids=COLLAPSES)
def test_a_policy_collapses_where_many_clients_wait_the_same_time_in_the_end(
    spec: str | dict[str, object], expected: bool
) -> None:
    assert collapses(outages(policy(spec), seed=1, draws=300)) == expected


def test_shares_are_said_attempt_by_attempt() -> None:
    chains = outages(policy("socketio-js"), seed=1, attempts=6)
    shares = [one.share for one in atoms(chains)]
    assert shares[:2] < [0.01, 0.01]
    assert shares[2:4] == pytest.approx([0.3, 0.9], abs=0.03)
    assert shares[4:] == [1, 1]
    text = by_attempt(chains)
    assert text.startswith("29 % on 5.000 s before attempt 2")
    assert text.endswith("100 % on 5.000 s before attempt 5")


def test_an_outage_is_followed_for_some_attempts_and_longer_where_they_are_quick() -> None:
    def attempts(name: str) -> int:
        [outage_s] = outages(policy(name), seed=1, attempts=13, until_s=20.0, draws=1)
        return len(outage_s)

    assert attempts("mqtt-js") == 20
    assert attempts("incident") == 13
    assert attempts("naive") == 600

"""The verdict as it forms, second by second."""

import random
from collections.abc import Sequence

import pytest

from scenarios.rehearsal.live_verdict import Forming, forming
from scenarios.runner.operator import Row


def seen(
    shares: Sequence[float | None],
    *,
    trigger_s: int | None = 4,
    trigger_end_s: int | None = 4,
    window_s: int = 6,
) -> Forming:
    rows: list[Row] = [
        {"t_s": t_s} if share is None else {"t_s": t_s, "clients": 200, "useful": 200 * share}
        for t_s, share in enumerate(shares)
    ]
    return forming(rows, trigger_s=trigger_s, trigger_end_s=trigger_end_s, window_s=window_s)


CALM = [1.0] * 4

FORMING: dict[str, tuple[Sequence[float | None], str, str]] = {
    "nothing is known": ([None], "steady", "nothing measured"),
    "before the trigger": (CALM, "steady", "100 % served"),
    "nobody was out": ([*CALM, 1.0, 0.995], "unaffected", "≥ 99 % served in every second so far"),
    "at first": ([*CALM, 0.05, 0.05, 0.05], "degraded", "5.0 % served"),
    "and it lasts": ([*CALM, *[0.05] * 25], "not recovering", "25 s after the fault"),
    "they come back": (
        [*CALM, *[0.05] * 30, *[0.1 * n for n in range(8)]],
        "recovering",
        "clients per second",
    ),
    "nearly all are back": (
        [*CALM, *[0.05] * 30, *[0.95] * 12],
        "recovering",
        "95 % served, expected ≥ 99 %",
    ),
    "all but a few are back": (
        [*CALM, *[0.05] * 30, *[0.9896] * 12],
        "recovering",
        "98.96 % served, expected ≥ 99 %",
    ),
    "all are back": (
        [*CALM, 0.1, 0.5, 1.0, 0.99],
        "recovered",
        "≥ 99 % served since 6 s (2 s so far, 6 s needed)",
    ),
    "and stay": ([*CALM, 0.1, 0.5, *[1.0] * 6], "recovered", "recovered: ≥ 99 % served since 6 s (6 s)"),
    "and are out again": ([*CALM, 0.1, *[1.0] * 6, *[0.2] * 12], "degraded", "20 %"),
}


@pytest.mark.parametrize(("shares", "word", "said"), FORMING.values(), ids=FORMING)
def test_it_looks_like(shares: Sequence[float | None], word: str, said: str) -> None:
    found = seen(shares)
    assert found.word == word
    assert said in found.sentence
    assert ("needed" in found.sentence) == ("needed" in said)


def test_while_the_fault_goes_on_nothing_is_called_a_storm_or_a_recovery() -> None:
    for shares in ([*CALM, 0.1, 0.1], [*CALM, 0.1, 1.0, 1.0]):
        found = seen(shares, trigger_end_s=None)
        assert found.word == "fault active"
    assert seen([*CALM, 1.0], trigger_end_s=None).word == "unaffected"


def test_a_recovery_counts_from_the_end_of_the_fault() -> None:
    assert seen([*CALM, 0.1, *[1.0] * 9], trigger_end_s=8).well_since_s == 8
    assert seen([*CALM, 0.1, *[1.0] * 9], trigger_end_s=4).well_since_s == 5


def test_a_run_without_a_trigger_is_steady() -> None:
    assert seen([*CALM, 0.2], trigger_s=None).word == "steady"


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.7])
def test_clients_that_come_and_go_are_hardly_ever_taken_for_a_recovery(phi: float) -> None:
    rng = random.Random(7)
    words = []
    for _ in range(300):
        shares = [0.2]
        for _ in range(30):
            shares.append(0.2 + phi * (shares[-1] - 0.2) + rng.gauss(0, 0.03) * (1 - phi**2) ** 0.5)
        words.append(seen([*CALM, *shares]).word)
    assert words.count("recovering") <= 0.05 * len(words)


def test_a_rise_of_three_seconds_is_no_recovery_yet() -> None:
    for shares in ([0.1], [0.1, 0.2], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4, 0.5]):
        assert seen([*CALM, *shares]).word == "degraded"
    assert seen([*CALM, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).word == "recovering"


def test_a_second_of_which_nothing_is_known_makes_a_rise_no_steeper() -> None:
    found = seen([*CALM, *[0.05] * 20, *[0.05 + 0.02 * n for n in range(5)], None, *[0.17, 0.19, 0.21, 0.23]])
    assert "rising by 2.0 % of clients per second" in found.sentence

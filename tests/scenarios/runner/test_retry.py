"""Runs that are repeated while other load invalidates them."""

import asyncio
from pathlib import Path

import pytest

from scenarios.runner.retry import attempt_folder, until_quiet


@pytest.mark.parametrize(
    ("attempts", "reasons", "played", "retried", "quiet"),
    [
        pytest.param(3, [""], [1], [], True, id="the first one is quiet"),
        pytest.param(3, ["load", ""], [1, 2], ["load"], True, id="the second one is"),
        pytest.param(2, ["load", "more"], [1, 2], ["load"], False, id="none is"),
        pytest.param(1, ["load"], [1], [], False, id="without a retry"),
    ],
)
def test_a_run_is_repeated_until_an_attempt_is_quiet(
    attempts: int, reasons: list[str], played: list[int], retried: list[str], quiet: bool
) -> None:
    seen: list[int] = []
    told: list[str] = []

    async def play(attempt: int) -> str:
        seen.append(attempt)
        return reasons[attempt - 1]

    assert asyncio.run(until_quiet(attempts, play, told.append)) == quiet
    assert (seen, told) == (played, retried)


def test_further_attempts_have_folders_of_their_own() -> None:
    folder = Path("runs/01-1-naive")
    assert [attempt_folder(folder, attempt).name for attempt in (1, 2)] == [
        "01-1-naive",
        "01-1-naive-attempt2",
    ]

"""The page of the same outage with each stock client, from what bench and simulator printed."""

from typing import Any

import pytest

from tools.pages.stock_fleets_page import agreement, cell, fleets, page, rows
from tools.stock_fleets import Outcome, outcomes, read


def fleet(
    verdict: str = "RECOVERED", after_s: float | None = 8.0, attempts: float = 8.0, gave_up: float = 0.0
) -> Outcome:
    return Outcome(
        verdict=verdict,
        recovered_after_s=after_s,
        back_95_s=after_s,
        attempts_per_client=attempts,
        peak_attempts_per_s=200.0,
        gave_up=gave_up,
        availability=0.6,
    )


def printed(arm: str, *, valid: bool = True, storm: bool = True) -> dict[str, Any]:
    """A run as `--json` prints it, with what the page needs."""
    return {
        "arm": arm,
        "verdict": {"name": "SLOW_DRAIN"},
        "validity": {"valid": valid},
        "summary": {
            "clients": 300,
            "recovery": {"time_to_recover_s": None},
            "back": {"back_95": {"after_s": 55, "at_least": True}},
            "storm": {
                "attempts": 1200,
                "attempts_peak_per_s": 300.0,
                "gave_up_by_reason": {"attempts": 30},
                "availability": 0.25,
            }
            if storm
            else None,
        },
    }


def test_of_a_run_the_page_keeps_figures_per_client() -> None:
    assert outcomes([printed("phoenix")]) == {
        "phoenix": Outcome(
            verdict="SLOW_DRAIN",
            recovered_after_s=None,
            back_95_s=None,
            attempts_per_client=4.0,
            peak_attempts_per_s=300.0,
            gave_up=0.1,
            availability=0.25,
        )
    }


def test_runs_that_are_invalid_or_without_a_fault_are_left_out() -> None:
    assert outcomes([printed("phoenix", valid=False), printed("control", storm=False)]) == {}


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (None, "not played"),
        (fleet(), "RECOVERED after 8 s"),
        (fleet("SLOW_DRAIN", None), "SLOW_DRAIN"),
        (fleet("OUTAGE", None, gave_up=1.0), "OUTAGE, 100 % gave up"),
    ],
)
def test_a_cell_names_verdict_recovery_and_give_ups(outcome: Outcome | None, words: str) -> None:
    assert cell(outcome) == words


def test_bench_and_simulator_are_compared_over_the_clients_that_both_played() -> None:
    kept = {
        "bench": {
            "phoenix": fleet(after_s=7.0, attempts=10.0),
            "pusher": fleet("OUTAGE", None, attempts=4.0),
        },
        "simulated": {
            "phoenix": fleet(after_s=11.0, attempts=9.0),
            "pusher": fleet("SLOW_DRAIN", None, attempts=5.0),
            "ably": fleet(),
            "sockjs": fleet("METASTABLE", None, attempts=0.0, gave_up=1.0),
        },
    }
    kept["bench"]["sockjs"] = kept["simulated"]["sockjs"]
    found = agreement(rows(kept))
    assert (found.clients, found.same_verdict, found.recovered_at_both, found.within_same_s) == (3, 2, 1, 0)
    assert [row.name for row in found.other_verdict] == ["pusher"]
    assert (found.attempts_ratio_low, found.attempts_ratio_high) == (0.9, 1.25)


def test_fleets_are_named_by_what_became_of_them_on_the_bench() -> None:
    kept = {
        "bench": {
            "phoenix": fleet(after_s=13.0),
            "ably": fleet(after_s=9.0),
            "hivemq": fleet("SLOW_DRAIN", None),
            "pusher": fleet("METASTABLE", None),
            "signalr": fleet("METASTABLE", None, gave_up=0.37),
        },
        "simulated": {"partysocket": fleet()},
    }
    assert {group: [row.name for row in found] for group, found in fleets(rows(kept)).items()} == {
        "recovered": ["ably", "phoenix"],
        "still waiting": ["pusher", "hivemq"],
        "gave up": ["signalr"],
    }


def test_without_a_common_client_nothing_is_compared() -> None:
    with pytest.raises(ValueError, match="no stock client in common"):
        agreement(rows({"bench": {"phoenix": fleet()}}))


def test_the_data_has_every_stock_client_at_bench_and_simulator() -> None:
    text = page()
    assert "not played" not in text
    assert set(read()["bench"]) == set(read()["simulated"]) == set(read()["million"])

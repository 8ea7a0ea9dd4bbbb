"""When a course counts as recovered, and what it is called where it does not."""

import numpy as np
import pytest
from msgspec.structs import replace

from scenarios.estimate.chain import Course
from scenarios.estimate.recovery import outcome
from tests.scenarios.estimate.test_chain import POD

STEP_S = 0.1
HORIZON_S = 60
WINDOW_S = 10


def made(connected: np.ndarray, **more: np.ndarray) -> Course:
    nothing = np.zeros(len(connected))
    columns = {
        "lag_s": nothing,
        "busy": nothing,
        "handshake_s": nothing,
        "queues": nothing.astype(bool),
        "attempts": nothing,
        "cpu": nothing,
        **more,
    }
    return Course(step_s=STEP_S, connected=connected, **columns)


SECONDS = np.arange(0, HORIZON_S, STEP_S)
BACK_AFTER_20 = np.where(SECONDS < 20, 40.0, 100.0)


def test_it_recovers_where_the_first_good_window_begins() -> None:
    found = outcome(made(BACK_AFTER_20), POD, horizon_s=HORIZON_S, window_s=WINDOW_S)
    # Clients are served once they have a tick, which is half of the time between two ticks later.
    assert (found.word, found.time_to_recover_s) == ("recovers", 21)
    assert found.served == pytest.approx((20 * 0.4 + 40) / 60, abs=0.01)


@pytest.mark.parametrize(
    "late",
    [
        {"lag_s": np.where(SECONDS < 30, 0.3, 0.0)},
        {
            "busy": np.where(SECONDS < 30, 1.0, 0.0),
            "handshake_s": np.full(len(SECONDS), 0.01),
            "queues": SECONDS < 30,
        },
        {"attempts": np.where(SECONDS < 30, 5.0, 0.0)},
        {"cpu": np.where(SECONDS < 30, 0.5, 0.0)},
    ],
    ids=["behind the feed", "every tick waits for handshakes", "attempts", "CPU"],
)
def test_that_clients_are_connected_is_not_enough(late: dict[str, np.ndarray]) -> None:
    found = outcome(made(BACK_AFTER_20, **late), POD, horizon_s=HORIZON_S, window_s=WINDOW_S)
    assert found.time_to_recover_s is not None
    assert 25 <= found.time_to_recover_s <= 31


def test_a_window_that_does_not_fit_before_the_horizon_is_no_recovery() -> None:
    late = np.where(SECONDS < 55, 40.0, 100.0)
    found = outcome(made(late), POD, horizon_s=HORIZON_S, window_s=WINDOW_S)
    assert found.time_to_recover_s is None


def test_what_stays_down_is_stuck_and_what_rises_drains() -> None:
    down = outcome(made(np.full(len(SECONDS), 40.0)), POD, horizon_s=HORIZON_S, window_s=WINDOW_S)
    assert (down.word, down.time_to_recover_s) == ("stuck", None)
    rising = outcome(made(20 + SECONDS), POD, horizon_s=HORIZON_S, window_s=WINDOW_S)
    assert rising.word == "drains"
    slowly = outcome(made(20 + SECONDS / 50), POD, horizon_s=HORIZON_S, window_s=WINDOW_S)
    assert slowly.word == "stuck"


def test_clients_whose_feed_is_a_second_late_are_not_served() -> None:
    behind = made(np.full(len(SECONDS), 100.0), lag_s=np.full(len(SECONDS), 1.5))
    assert outcome(behind, POD, horizon_s=HORIZON_S, window_s=WINDOW_S).served == 0


def test_without_a_disconnect_it_is_recovered_at_once() -> None:
    calm = replace(POD, returning=0.0, staying=100.0)
    found = outcome(made(np.full(len(SECONDS), 100.0)), calm, horizon_s=HORIZON_S, window_s=WINDOW_S)
    assert (found.word, found.time_to_recover_s, found.attempts_per_client) == ("recovers", 0, 0.0)

"""What clients can see of an outcome, and that every kind has its place where clients are counted."""

import pytest

from reports.rundir.columns import GAVE_UP
from reports.text.gave_up import AFTER, gave_up_after
from scenarios.policies.orders import POLICY_ENDED
from scenarios.policies.outcome import Outcome, OutcomeKind, Reset, as_seen, reset_in_words

HIDDEN = Outcome(kind=OutcomeKind.CLOSED, close_code=1006)

BROWSER: dict[str, tuple[Outcome, Outcome | None]] = {
    "a refused upgrade": (
        Outcome(kind=OutcomeKind.HTTP_STATUS, status=503, retry_after_s=9.0, transport="websocket"),
        HIDDEN,
    ),
    "a refused polling request": (
        Outcome(kind=OutcomeKind.HTTP_STATUS, status=429, retry_after_s=9.0, transport="polling"),
        None,
    ),
    "a closed port": (Outcome(kind=OutcomeKind.REFUSED), HIDDEN),
    "an invalid certificate": (Outcome(kind=OutcomeKind.TLS), HIDDEN),
    "a connection that broke": (Outcome(kind=OutcomeKind.CLOSED), HIDDEN),
    "a Close frame": (Outcome(kind=OutcomeKind.CLOSED, close_code=1013, reason="later"), None),
    "a CONNECT_ERROR": (Outcome(kind=OutcomeKind.CONNECT_ERROR, reason="no"), None),
    "a DISCONNECT": (Outcome(kind=OutcomeKind.NAMESPACE_DISCONNECT), None),
    "its own time-out": (Outcome(kind=OutcomeKind.TIMEOUT), None),
    "an overdue ping": (Outcome(kind=OutcomeKind.PING_TIMEOUT), None),
}


@pytest.mark.parametrize(("truth", "seen"), BROWSER.values(), ids=BROWSER)
def test_a_browser_sees_of(truth: Outcome, seen: Outcome | None) -> None:
    assert as_seen(truth, "browser") == (seen or truth)
    assert as_seen(truth, "all") is truth


def test_a_browser_knows_how_long_a_session_lasted_and_when_it_ended() -> None:
    seen = as_seen(Outcome(kind=OutcomeKind.CLOSED, session_s=3.0, at_s=5.0), "browser")
    assert (seen.session_s, seen.at_s, seen.had_session) == (3.0, 5.0, True)


def test_clients_that_stopped_are_counted_for_every_kind_of_end() -> None:
    no_ends = {OutcomeKind.JOINED, OutcomeKind.WOKEN}
    assert GAVE_UP.keys() == AFTER.keys() == {*(set(OutcomeKind) - no_ends), POLICY_ENDED}


def test_the_most_frequent_reason_is_said_first() -> None:
    assert gave_up_after({}) == ""
    assert gave_up_after({"timeout": 2, "stale": 0, "namespace_disconnect": 1200}) == (
        "1,200 after a DISCONNECT (packet 41), 2 after a time-out"
    )


@pytest.mark.parametrize(
    ("reset", "words"),
    [
        ("open", "at the open"),
        ("joined", "once joined"),
        ("never", "never"),
        (5.0, "after 5 s of connection"),
    ],
)
def test_when_attempts_start_over_is_said_in_words(reset: Reset, words: str) -> None:
    assert reset_in_words(reset) == words

"""Many timers on one: when they call back, in what order, and what may happen meanwhile."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.clients.timers import NEVER_NS, Timers, cancel


class Woken:
    """Takes note of when the event loop was asked to wake up."""

    def __init__(self) -> None:
        self.at: list[int] = []
        self.timers = Timers(self.at.append)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=20), st.integers(0, 20))
def test_what_is_due_and_not_cancelled_calls_back_in_order(
    wanted: list[tuple[int, bool]], now_ns: int
) -> None:
    timers, called = Woken().timers, list[tuple[int, int]]()
    for number, (due_ns, cancelled) in enumerate(wanted):
        timer = timers.at(due_ns, lambda due=due_ns, number=number: called.append((due, number)))  # type: ignore[misc]
        if cancelled:
            cancel(timer)
    timers.run_due(now_ns)
    assert called == sorted(
        (due, number) for number, (due, cancelled) in enumerate(wanted) if due <= now_ns and not cancelled
    )


def test_it_asks_to_be_woken_for_the_next_one_alone() -> None:
    woken = Woken()
    assert woken.timers.next_ns == NEVER_NS
    for due_ns in (50, 80, 20):
        woken.timers.at(due_ns, lambda: None)
    assert woken.at == [50, 20]
    woken.timers.run_due(60)
    assert (woken.at[-1], woken.timers.next_ns) == (80, 80)
    woken.timers.run_due(80)
    assert woken.timers.next_ns == NEVER_NS


def test_what_a_callback_sets_for_now_waits_for_the_next_turn() -> None:
    woken, called = Woken(), list[str]()

    def again() -> None:
        called.append("again")
        woken.timers.at(5, again)

    woken.timers.at(5, again)
    woken.timers.at(7, lambda: called.append("other"))
    woken.timers.run_due(10)
    assert called == ["again", "other"]
    assert woken.timers.next_ns == 5
    woken.timers.run_due(10)
    assert called == ["again", "other", "again"]


def test_a_callback_may_cancel_another_that_is_due_as_well() -> None:
    woken, called = Woken(), list[str]()
    woken.timers.at(1, lambda: cancel(later))
    later = woken.timers.at(2, lambda: called.append("later"))
    woken.timers.run_due(10)
    assert called == []
    cancel(later)
    cancel(None)


def test_a_callback_that_fails_does_not_stop_the_others() -> None:
    woken, called = Woken(), list[str]()

    def fail() -> None:
        woken.timers.at(1, lambda: called.append("set before"))
        raise RuntimeError("no")

    woken.timers.at(1, fail)
    woken.timers.at(2, lambda: called.append("second"))
    with pytest.raises(RuntimeError):
        woken.timers.run_due(10)
    assert woken.timers.next_ns == 1
    woken.timers.run_due(10)
    assert called == ["set before", "second"]


def test_a_callback_cannot_run_the_timers_it_sets() -> None:
    woken, tries = Woken(), list[int]()

    def fail_at_once_and_try_again() -> None:
        tries.append(len(tries))
        woken.timers.at(0, fail_at_once_and_try_again)
        woken.timers.run_due(10)

    woken.timers.at(0, fail_at_once_and_try_again)
    woken.timers.run_due(10)
    assert tries == [0]

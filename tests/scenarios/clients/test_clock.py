"""The wall clock against the monotonic one, and what shows that somebody has set it."""

from collections.abc import Iterator

import pytest

from scenarios.clients import clock
from scenarios.clients.clock import STEP_NS, Clock

MS = 1_000_000
WALL_NS = 1_700_000_000_000 * MS


class Clocks:
    """Stand-ins for the system's clocks: looking at one takes a while."""

    def __init__(self) -> None:
        self.now_ns = 5_000 * MS
        self.wall_ahead_ns = WALL_NS
        self.look_ns = 50
        self.interrupted_ns: Iterator[int] = iter(())

    def monotonic_ns(self) -> int:
        self.now_ns += self.look_ns
        return self.now_ns

    def time_ns(self) -> int:
        self.now_ns += next(self.interrupted_ns, 0)
        return self.now_ns + self.wall_ahead_ns


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(clock, "monotonic_ns", made.monotonic_ns)
    monkeypatch.setattr(clock, "time_ns", made.time_ns)
    return made


@pytest.mark.parametrize("step_ns", [3_600_000 * MS, -1_000 * MS, 2 * STEP_NS, -2 * STEP_NS])
def test_a_clock_that_is_set_is_noticed_once(clocks: Clocks, step_ns: int) -> None:
    looked_at = Clock()
    assert looked_at.take_step() == 0, "where it stood at first is no step"
    clocks.wall_ahead_ns += step_ns
    looked_at.set()
    looked_at.set()
    assert looked_at.wall_offset_ns == pytest.approx(-WALL_NS - step_ns, abs=100)
    assert looked_at.take_step() == pytest.approx(step_ns, abs=100)
    assert looked_at.take_step() == 0


def test_steps_between_two_questions_add_up(clocks: Clocks) -> None:
    looked_at = Clock()
    for _ in range(2):
        clocks.wall_ahead_ns += 1_000 * MS
        looked_at.set()
    assert looked_at.take_step() == pytest.approx(2_000 * MS, abs=200)


def test_a_clock_that_is_slewed_is_not_set(clocks: Clocks) -> None:
    looked_at = Clock()
    for _ in range(1_000):
        clocks.wall_ahead_ns += STEP_NS // 20
        looked_at.set()
    assert looked_at.take_step() == 0


def test_a_process_that_is_interrupted_at_every_look_knows_that_it_does_not_know(clocks: Clocks) -> None:
    looked_at = Clock()
    clocks.interrupted_ns = iter([300 * MS] * 3)
    looked_at.set()
    looked_at.set()
    assert looked_at.take_step() == 0

"""A schedule is read back from stamps that were made of a known one."""

import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scenarios.clients.protocol.schedule_fit import FEWEST, MOST_KEPT, SHORTEST_NS, Fit, Fitter, fit

MS = 1_000_000
FIRST_NS = 3_600_000 * 1_000 * MS
"""The offset: 1,000 hours after boot."""


def stamps(
    period_ns: float, seqs: list[int], jitter_ns: int, rng: random.Random, late_share: float = 0.0
) -> list[int]:
    """Stamps that are up to `jitter_ns` late, and a share of them by up to two periods more."""
    return [
        FIRST_NS
        + round(seq * period_ns)
        + rng.randint(0, jitter_ns)
        + (rng.randint(0, int(2 * period_ns)) if rng.random() < late_share else 0)
        for seq in seqs
    ]


def read_back(seqs: list[int], stamps_ns: list[int], rate_hz: float) -> Fit:
    found = fit(seqs, stamps_ns, rate_hz)
    assert found is not None
    return found


@settings(max_examples=60, deadline=None)
@given(
    rate_hz=st.floats(2, 100),
    off=st.floats(0.9, 1.1),
    first=st.integers(0, 2**40),
    jitter=st.floats(0, 0.05),
    late_share=st.floats(0, 0.15),
    gaps=st.booleans(),
    rng=st.randoms(use_true_random=False),
)
def test_offset_and_rate_are_read_back_through_jitter_gaps_and_late_ticks(
    rate_hz: float,
    off: float,
    first: int,
    jitter: float,
    late_share: float,
    gaps: bool,
    rng: random.Random,
) -> None:
    period_ns = 1e9 / (rate_hz * off)
    ticks = max(60, int(6 * rate_hz))
    places = [place for place in range(ticks) if not gaps or place % 7]
    jitter_ns = int(jitter * period_ns)
    found = read_back(
        [first + place for place in places],
        stamps(period_ns, places, jitter_ns, rng, late_share),
        rate_hz,
    )
    tolerance_ns = 0.35 * jitter_ns + 2
    for place in (0, ticks // 2, ticks):
        # The line is within the jitter, in the middle of what it was fitted to and at its ends.
        error_ns = found.due_ns(first + place) - (FIRST_NS + place * period_ns)
        assert -tolerance_ns - jitter_ns / 2 <= error_ns <= jitter_ns + tolerance_ns
    assert abs(found.period_ns - period_ns) * len(places) <= 2 * jitter_ns + 2 * len(places)


@settings(max_examples=60, deadline=None)
@given(rate_hz=st.floats(2, 100), jitter=st.floats(0.001, 0.05), rng=st.randoms(use_true_random=False))
def test_a_rate_that_the_stamps_cannot_tell_from_the_expected_one_is_that_one(
    rate_hz: float, jitter: float, rng: random.Random
) -> None:
    period_ns = 1e9 / rate_hz
    seqs = list(range(max(60, int(6 * rate_hz))))
    found = fit(seqs, stamps(period_ns, seqs, int(jitter * period_ns), rng), rate_hz)
    assert found is not None
    later = 20 * len(seqs)
    error_ns = found.due_ns(later) - (FIRST_NS + later * period_ns)
    # Twenty times as far as what was seen: a slope of its own would be many jitters off.
    assert abs(error_ns) <= 2 * jitter * period_ns or found.period_ns != pytest.approx(period_ns)


def test_what_slips_by_its_lateness_has_a_rate_of_its_own() -> None:
    rng = random.Random(1)
    seqs = list(range(50))
    found = read_back(seqs, stamps(200.7 * MS, seqs, MS, rng), 5.0)
    assert found.period_ns == pytest.approx(200.7 * MS, rel=1e-4)
    assert found.rate_hz == pytest.approx(4.9826, rel=1e-4)


TEN_MINUTES_S = 600


@pytest.mark.parametrize("late_ms", [(0, 15), (0, 60), (20, 60), (0, 190)])
@pytest.mark.parametrize("shape", ["random", "rising", "falling"])
@pytest.mark.parametrize("jitter_ns", [0, MS])
def test_a_busy_ramp_does_not_tilt_the_line(late_ms: tuple[int, int], shape: str, jitter_ns: int) -> None:
    rng = random.Random(1)
    seqs, busy = list(range(75)), 30
    late_ns = [rng.randint(late_ms[0] * MS, late_ms[1] * MS) for _ in range(busy)]
    if shape != "random":
        late_ns.sort(reverse=shape == "falling")
    late_ns += [0] * (len(seqs) - busy)
    stamps_ns = stamps(200 * MS, seqs, jitter_ns, rng)
    found = read_back(seqs, [at + late for at, late in zip(stamps_ns, late_ns, strict=True)], 5.0)
    later = 5 * TEN_MINUTES_S
    assert abs(found.due_ns(later) - FIRST_NS - later * 200 * MS) <= 2 * MS


@settings(max_examples=60, deadline=None)
@given(
    rate_hz=st.floats(2, 100),
    busy=st.floats(0, 0.4),
    late=st.floats(0, 0.4),
    jitter=st.floats(0, 0.05),
    seed=st.integers(0, 2**32),
)
def test_a_feed_that_keeps_its_rate_is_still_on_its_schedule_after_ten_minutes(
    rate_hz: float, busy: float, late: float, jitter: float, seed: int
) -> None:
    rng = random.Random(seed)
    period_ns = 1e9 / rate_hz
    seqs = list(range(max(60, int(15 * rate_hz))))
    stamps_ns = stamps(period_ns, seqs, int(jitter * period_ns), rng)
    for place in range(int(busy * len(seqs))):
        stamps_ns[place] += rng.randint(0, int(late * period_ns))
    found = read_back(seqs, stamps_ns, rate_hz)
    later = int(TEN_MINUTES_S * rate_hz)
    assert abs(found.due_ns(later) - FIRST_NS - later * period_ns) <= (jitter + 0.01) * period_ns + 2


@pytest.mark.parametrize("late_ms", [0, 15, 60])
def test_a_timer_that_is_slower_than_it_says_is_fitted_behind_a_busy_ramp(late_ms: int) -> None:
    rng = random.Random(1)
    seqs = list(range(75))
    stamps_ns = stamps(1e9 / 4.97, seqs, MS, rng)
    for place in range(30):
        stamps_ns[place] += rng.randint(0, late_ms * MS)
    assert read_back(seqs, stamps_ns, 5.0).rate_hz == pytest.approx(4.97, rel=5e-4)


@pytest.mark.parametrize("rate_hz", [30.0, 60.0, 7.0])
def test_stamps_in_whole_milliseconds_still_tell_the_rate(rate_hz: float) -> None:
    seqs = list(range(int(8 * rate_hz)))
    stamps_ns = [FIRST_NS + int(seq * 1e9 / rate_hz) // MS * MS for seq in seqs]
    found = read_back(seqs, stamps_ns, rate_hz)
    a_minute_later = int(68 * rate_hz)
    assert abs(found.due_ns(a_minute_later) - FIRST_NS - a_minute_later * 1e9 / rate_hz) < 2 * MS


def test_the_spread_is_that_of_the_lateness() -> None:
    seqs = list(range(101))
    late_ns = [step * MS // 10 for step in seqs]
    random.Random(1).shuffle(late_ns)
    stamps_ns = [FIRST_NS + seq * 200 * MS + late for seq, late in zip(seqs, late_ns, strict=True)]
    found = read_back(seqs, stamps_ns, 5.0)
    assert found.spread_ns == pytest.approx(9 * MS, rel=0.03)
    assert found.ticks == 101


@pytest.mark.parametrize(
    "stamps_ms",
    [
        pytest.param([200 * n for n in range(FEWEST - 1)], id="too few"),
        pytest.param(list(range(100)), id="within too short a time"),
        pytest.param([3000 * (n // 3) + 20 * (n % 3) for n in range(60)], id="bursts"),
        pytest.param([random.Random(n).randint(0, 20_000) for n in range(60)], id="any"),
        pytest.param([10_000 - 200 * n for n in range(60)], id="backwards"),
    ],
)
def test_ticks_without_a_steady_rate_have_no_schedule(stamps_ms: list[int]) -> None:
    assert fit(np.arange(len(stamps_ms)), np.array(stamps_ms) * MS, 5.0) is None


def test_a_fitter_has_a_schedule_as_soon_as_it_can_be_told() -> None:
    fitter = Fitter(5.0)
    for seq in range(200):
        fitter.add(seq, FIRST_NS + seq * 200 * MS)
        fitter.add(seq, FIRST_NS + seq * 200 * MS)  # every client has it
        known = (fitter.fit is not None, seq + 1 >= FEWEST and seq * 200 * MS >= SHORTEST_NS)
        assert known in {(True, True), (False, False)}
    assert fitter.ticks == 200


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5 * MOST_KEPT))
def test_a_fitter_keeps_few_of_many_ticks_and_the_same_line(ticks: int) -> None:
    assume(ticks > 3_100)
    fitter = Fitter(1_000.0)
    for seq in range(ticks):
        fitter.add(seq, FIRST_NS + seq * MS)
    fitter.refit()
    assert fitter.fit is not None
    assert fitter.fit.ticks <= MOST_KEPT
    assert fitter.fit.due_ns(10**6) == FIRST_NS + 10**6 * MS

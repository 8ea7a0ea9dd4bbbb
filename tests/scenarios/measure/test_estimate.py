"""Costs are read back from CPU readings, and their intervals hold the true values as often as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scenarios.measure.estimate import (
    Estimate,
    Window,
    cpu_costs,
    cycle_costs,
    differ,
    slope,
    t_interval,
    t_quantile,
)
from scenarios.measure.sizes import FEWEST, LONGEST_RAMP_S, RAMP_LOAD, RAMP_S, TICK_LOAD, sizes

COST = st.floats(0, 0.02)
CLIENTS = st.integers(10, 900)


def cycle(
    clients: int,
    *,
    handshake_s: float,
    tick_s: float,
    close_s: float,
    idle: float,
    rate_hz: float = 5.0,
    noise: tuple[float, ...] = (0.0,) * 6,
) -> list[Window]:
    """The windows of a cycle as the driver makes them, with CPU that these costs explain."""
    half = clients // 2
    parts = [
        Window(span_s=1, cpu_s=0),
        Window(span_s=4, cpu_s=0, joins=clients, ticks=int(2 * clients * rate_hz)),
        Window(span_s=2, cpu_s=0, ticks=int(2 * clients * rate_hz)),
        Window(span_s=1, cpu_s=0, ticks=int((clients - half) * rate_hz), closes=half),
        Window(span_s=1, cpu_s=0, ticks=int((clients - half) * rate_hz)),
        Window(span_s=1, cpu_s=0, closes=clients - half),
    ]
    return [
        Window(
            span_s=one.span_s,
            joins=one.joins,
            ticks=one.ticks,
            closes=one.closes,
            cpu_s=idle * one.span_s
            + handshake_s * one.joins
            + tick_s * one.ticks
            + close_s * one.closes
            + error,
        )
        for one, error in zip(parts, noise, strict=True)
    ]


@given(CLIENTS, COST, st.floats(0, 1e-3), COST, st.floats(0, 0.5))
def test_known_costs_are_read_back_without_noise(
    clients: int, handshake_s: float, tick_s: float, close_s: float, idle: float
) -> None:
    windows = cycle(clients, handshake_s=handshake_s, tick_s=tick_s, close_s=close_s, idle=idle)
    found = cpu_costs([windows, windows, windows])
    assert found.handshake_s is not None
    assert found.tick_s is not None
    assert found.close_s is not None
    assert found.idle is not None
    for estimate, known in (
        (found.handshake_s, handshake_s),
        (found.tick_s, tick_s),
        (found.close_s, close_s),
        (found.idle, idle),
    ):
        assert estimate.value == pytest.approx(known, rel=1e-6, abs=1e-9)
        assert estimate.low <= estimate.value <= estimate.high


def test_with_noise_the_interval_holds_the_true_cost_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    known = {"handshake_s": 0.005, "tick_s": 2e-5, "close_s": 3e-4, "idle": 0.02}
    held = dict.fromkeys(known, 0)
    measurements = 400
    for _ in range(measurements):
        cycles = [cycle(150, **known, noise=tuple(rng.normal(0, 0.004, 6))) for _ in range(5)]
        found = cpu_costs(cycles)
        for name, value in known.items():
            estimate = getattr(found, name)
            held[name] += estimate.low <= value <= estimate.high
    # 95 % of 400, less four standard deviations of a binomial.
    assert min(held.values()) >= 0.95 * measurements - 4 * (0.95 * 0.05 * measurements) ** 0.5, held


def test_a_cost_of_nothing_is_told_as_0_to_something() -> None:
    rng = np.random.default_rng(2)
    cycles = [
        cycle(
            50, handshake_s=0.005, tick_s=1e-5, close_s=0.0, idle=0.01, noise=tuple(rng.normal(0, 0.002, 6))
        )
        for _ in range(5)
    ]
    close = cpu_costs(cycles).close_s
    assert close is not None
    assert close.low == 0
    assert close.high > 0
    assert not close.above_zero


def test_what_did_not_happen_has_no_cost() -> None:
    silent = cycle(100, handshake_s=0.004, tick_s=0.0, close_s=1e-4, idle=0.01, rate_hz=0.0)
    found = cpu_costs([silent, silent, silent])
    assert found.tick_s is None
    assert found.handshake_s is not None
    assert found.handshake_s.value == pytest.approx(0.004)
    assert "ticks" not in cycle_costs(silent)


def test_windows_that_cannot_tell_two_costs_apart_tell_none() -> None:
    always_both = [Window(span_s=1, cpu_s=1, joins=5, closes=5), Window(span_s=1, cpu_s=2, joins=9, closes=9)]
    found = cpu_costs([always_both, always_both])
    assert found.handshake_s is None
    assert found.close_s is None


@given(st.lists(st.floats(-1, 10), min_size=2, max_size=10))
def test_no_interval_goes_below_0(values: list[float]) -> None:
    found = t_interval(values)
    assert 0 <= found.low <= found.value <= found.high


def test_a_t_interval_is_that_of_a_table() -> None:
    # 3 values, mean 2, standard deviation 1, t = 4.3027.
    found = t_interval([1.0, 2.0, 3.0])
    assert found.value == 2
    assert found.high - found.value == pytest.approx(4.3027 / 3**0.5, rel=1e-4)
    assert found.low == 0


@given(st.floats(0, 1e6), st.floats(0, 1e8))
def test_memory_per_client_is_the_slope(per_client: float, at_rest: float) -> None:
    found = slope([(clients, at_rest + per_client * clients) for clients in (0, 40, 80, 120, 120)])
    assert found is not None
    assert found.value == pytest.approx(per_client, rel=1e-6, abs=1e-3)


@pytest.mark.parametrize("points", [[], [(0, 1)], [(0, 1), (10, 2), (10, 3)]])
def test_too_few_sizes_have_no_slope(points: list[tuple[float, float]]) -> None:
    assert slope(points) is None


def test_intervals_differ_if_they_do_not_overlap() -> None:
    assert differ(Estimate(1, 0.5, 1.5), Estimate(3, 2, 4))
    assert not differ(Estimate(1, 0.5, 2.5), Estimate(3, 2, 4))


@given(st.floats(0, 1), st.floats(0, 0.1), st.integers(10, 5_000))
def test_cycles_stay_well_below_saturation(handshake_s: float, client_s: float, most: int) -> None:
    found = sizes(handshake_s, client_s, most)
    assert FEWEST <= found.clients <= most
    assert RAMP_S <= found.ramp_s <= LONGEST_RAMP_S
    if found.clients > FEWEST:
        assert found.clients / found.ramp_s * handshake_s <= RAMP_LOAD + 1e-9
        assert found.clients * client_s <= TICK_LOAD + 1e-9


def test_a_costly_handshake_has_a_longer_ramp() -> None:
    assert sizes(0.01, 0.0).ramp_s == RAMP_S
    assert sizes(0.2, 0.0).ramp_s > RAMP_S


@pytest.mark.parametrize("freedom", [*range(1, 40), 99, 100, 1000])
def test_the_quantile_of_students_distribution_is_that_of_scipy(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(100, 200)), min_size=3, max_size=12))
def test_a_slope_is_that_of_scipys_regression(points: list[tuple[float, float]]) -> None:
    found = slope(points)
    if found is None:
        assert len({x for x, _ in points}) < 3
        return
    expected = stats.linregress(*zip(*points, strict=True))
    reach = stats.t.ppf(0.975, len(points) - 2) * expected.stderr
    ends = (expected.slope, expected.slope - reach, expected.slope + reach)
    assert (found.value, found.low, found.high) == pytest.approx([max(0.0, end) for end in ends], abs=1e-6)

"""The worksheet for sizes: docs/kubernetes.md has its formulas and an example."""

import pytest

from scenarios.kubernetes.size import Figures, Size, size_of
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import load

OF_THE_PAGE = Figures(ticks_per_cpu_s=67_830, connects_per_cpu_s=8_611, kb_per_client=6.9)
"""The figures of the example in docs/kubernetes.md."""


def size(*sets: str, name: str = "mass-drop", figures: Figures = OF_THE_PAGE, **given: float) -> Size:
    every = [*arms(load(name, sets)).values()]
    return size_of(every, figures, **given)  # type: ignore[arg-type]


def test_the_example_of_the_page() -> None:
    found = size("fleet.clients=50000")
    assert found.ticks_per_s == 250_000
    assert found.attempts_per_s == 50_000
    assert found.cores == pytest.approx(9.5, abs=0.05)
    assert found.workers == 19
    # 118 MB are 113 MiB, in steps of 64.
    assert found.worker_mib == 128


def test_with_the_figures_of_the_other_page_it_is_thirty() -> None:
    assert size("fleet.clients=50000", figures=Figures()).workers == 30


def test_a_spread_over_five_seconds_takes_ten_workers() -> None:
    assert size("fleet.clients=50000", attempts_per_s=10_000).workers == 10


def test_a_small_storm_takes_one_worker() -> None:
    assert size().workers == 1


def test_descriptors_bound_the_clients_of_a_worker() -> None:
    quiet = size("fleet.clients=50000", "feed.rate_hz=1.1", attempts_per_s=1)
    assert quiet.cores / 0.5 < 2
    assert quiet.workers == 3


def test_the_number_of_workers_may_be_given() -> None:
    found = size("fleet.clients=50000", workers=40)
    assert found.workers == 40
    assert found.worker_mib == 128


def test_a_burst_of_the_feed_counts_and_one_that_is_switched_off_does_not() -> None:
    burst = '{{at_s=6, do="feed_burst", factor=4, for_s=5, enabled={enabled}}}'
    on, off = (f"event=[{burst.format(enabled=enabled)}]" for enabled in ("true", "false"))
    assert size(on).ticks_per_s == 4 * size(off).ticks_per_s == 4 * 300 * 5


def test_a_cap_on_attempts_is_the_peak() -> None:
    assert size("fleet.max_attempts_per_s=70").attempts_per_s == 70


def test_the_pods_are_those_of_the_peak_of_the_timeline_and_share_the_cores() -> None:
    found = size("gateway.pods=4", "gateway.cores=2", 'event=[{at_s=6, do="scale", pods=9}]')
    assert found.gateways == 9
    assert found.gateway_milli_cpu == 500
    assert size().gateway_milli_cpu == 500


def test_the_largest_arm_counts() -> None:
    found = size('arms={a={"fleet.clients"=100}, b={"fleet.clients"=9000, "gateway.pods"=5}}', "matrix={}")
    assert found.clients == 9_000
    assert found.gateways == 5


def test_memory_of_pods_and_nginx_follows_from_their_clients() -> None:
    small, large = size("fleet.clients=2000"), size("fleet.clients=20000")
    # 100 MB for the host agent, 64 MB for the pod, 35 KB for each of its 1,000 or 10,000 clients.
    assert (small.gateway_mib, large.gateway_mib) == (192, 512)
    # 100 MB for the host agent, 10 MB for nginx, 25 KB for each of all clients.
    assert (small.nginx_mib, large.nginx_mib) == (192, 640)

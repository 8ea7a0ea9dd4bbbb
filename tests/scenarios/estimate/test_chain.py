"""The chain, where its result is known: without load, without a limit of capacity, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from scenarios.estimate.chain import Course, course
from scenarios.estimate.delays import Delay, delays_of
from scenarios.estimate.pod import Bucket, Pod, SharedIps
from scenarios.policies.registry import policy

AT_ONCE = (Delay(1.0, np.zeros(2)),)
POD = Pod(
    returning=100.0,
    staying=0.0,
    speed=1.0,
    proxy_cores=0.0,
    tick_cores=0.0,
    idle=0.0,
    upgrade_s=0.007,
    join_s=0.003,
    join_cpu_s=0.01,
    tick_s=0.0,
    close_s=0.0,
    rate_hz=5.0,
    turns_per_tick=4,
    backlog=1_000,
    timeout_s=1.0,
    travel_s=(0.02, 0.06),
)


def at(played: Course, second: float) -> float:
    return float(played.connected[min(len(played.connected) - 1, int(second / played.step_s))])


def until(played: Course, clients: float) -> float:
    """Seconds until so many are connected."""
    return float(np.argmax(played.connected >= clients) * played.step_s)


def test_without_a_disconnect_nobody_makes_an_attempt() -> None:
    played = course(replace(POD, returning=0.0, staying=100.0), AT_ONCE, 10)
    assert played.attempts.sum() == 0
    assert played.connected == pytest.approx(100)


def test_a_hundred_handshakes_of_ten_milliseconds_take_a_second() -> None:
    patient = replace(POD, timeout_s=10.0)
    played = course(patient, AT_ONCE, 5)
    assert until(played, 50) == pytest.approx(0.5 + 0.04, abs=0.06)
    assert until(played, 99.9) == pytest.approx(1.0 + 0.04, abs=0.06)


def test_a_feed_takes_its_share_of_the_pod_while_clients_come_back() -> None:
    """t* = (c/(f·R))·ln(1/(1-ρ)): with ρ = 0.5 it takes 1.39 times as long."""
    fed = replace(POD, timeout_s=20.0, tick_s=0.001, upgrade_s=0.014, join_s=0.006)
    played = course(fed, AT_ONCE, 20)
    assert until(played, 99) == pytest.approx(2 * 1.386, rel=0.05)


@pytest.mark.parametrize("name", ["full-jitter", "spread", "socketio-js", "decorrelated-jitter"])
def test_with_any_capacity_clients_are_back_after_their_first_delay(name: str) -> None:
    delays = delays_of(policy(name))
    fast = replace(POD, upgrade_s=1e-7, join_s=1e-7)
    played = course(fast, delays, 20)
    edges_s = delays[0].edges_s
    for quantile in (2, 5, 8):
        expected = 100 * quantile / 10
        assert at(played, edges_s[quantile] + 0.04 + played.step_s) >= expected - 8
        assert at(played, edges_s[quantile] + 0.02 - played.step_s) <= expected + 8
    assert played.attempts.sum() == pytest.approx(100, rel=1e-3)


def test_clients_without_jitter_lock_each_other_out_behind_a_long_queue() -> None:
    """A queue of 300 handshakes of 10 ms is longer than a second, so whoever is next in it has gone."""
    dead = course(replace(POD, returning=400.0, backlog=300, upgrade_s=0.01), AT_ONCE, 60)
    assert at(dead, 60) < 0.5 * 400
    short = course(replace(POD, returning=400.0, backlog=30, upgrade_s=0.01), AT_ONCE, 60)
    assert at(short, 60) == pytest.approx(400, rel=0.01)


def test_of_an_ip_with_fifty_clients_the_burst_comes_at_once_and_the_rest_at_the_rate() -> None:
    limited = replace(
        POD,
        shared_ips=(SharedIps(1.0, 50),),
        buckets=(Bucket(rate_per_s=3.0, room=3.0, per_address=True),),
        upgrade_s=1e-6,
        join_s=1e-6,
    )
    played = course(limited, AT_ONCE, 30)
    # Two IPs: each lets three in at once, and three a second.
    assert at(played, 0.2) == pytest.approx(6 + 6 * 0.15, abs=1.5)
    assert at(played, 10) == pytest.approx(6 + 6 * 10, abs=2)
    assert until(played, 99) == pytest.approx(47 / 3, abs=1)


def test_a_limit_for_all_clients_is_shared_by_all_pods() -> None:
    limited = replace(
        POD,
        pods=4,
        buckets=(Bucket(rate_per_s=40.0, room=1.0, per_address=False),),
        upgrade_s=1e-6,
        join_s=1e-6,
    )
    assert at(course(limited, AT_ONCE, 20), 5) == pytest.approx(50, abs=3)


PODS = st.builds(
    lambda returning, staying, upgrade_s, backlog, timeout_s, tick_s, speed: replace(
        POD,
        returning=returning,
        staying=staying,
        upgrade_s=upgrade_s,
        join_s=upgrade_s / 2,
        backlog=backlog,
        timeout_s=timeout_s,
        tick_s=tick_s,
        speed=speed,
    ),
    st.floats(1, 400),
    st.floats(0, 400),
    st.floats(1e-4, 0.05),
    st.integers(1, 600),
    st.floats(0.3, 5),
    st.floats(0, 2e-4),
    st.floats(0.3, 1),
)
POLICIES = st.sampled_from(["naive", "full-jitter", "socketio-js", "spread"]).map(policy).map(delays_of)
JITTERED = st.sampled_from(["full-jitter", "spread"]).map(policy).map(delays_of)
"""Clients without jitter come back in step, and what they then find depends on more than the load."""


@settings(max_examples=15, deadline=None)
@given(PODS, POLICIES)
def test_no_client_is_made_or_lost_and_nobody_who_is_back_leaves(pod: Pod, delays: tuple[Delay, ...]) -> None:
    played = course(pod, delays, 15)
    assert played.connected.min() >= pod.staying - 1e-6
    assert played.connected.max() <= pod.clients * (1 + 1e-6)
    assert np.diff(played.connected).min() >= -1e-6 * pod.clients
    assert played.busy.max() <= 1 + 1e-6
    assert played.attempts.min() >= 0


@settings(max_examples=15, deadline=None)
@given(PODS, JITTERED)
def test_three_times_the_work_never_serves_more(pod: Pod, delays: tuple[Delay, ...]) -> None:
    heavier = replace(pod, upgrade_s=3 * pod.upgrade_s, join_s=3 * pod.join_s)
    more, fewer = (course(one, delays, 15).connected.mean() for one in (pod, heavier))
    assert fewer <= more + 0.02 * pod.clients

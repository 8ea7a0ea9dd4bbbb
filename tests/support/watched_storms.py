"""Small storms that together take every way through the simulator's loop, and what is seen on the way."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch
from zlib import crc32

from msgspec.structs import replace

from scenarios.limits.registry import limit
from scenarios.policies.registry import policy
from scenarios.scenario.loader import load
from scenarios.simulator.engine import Engine
from scenarios.simulator.loop import at
from scenarios.simulator.loop.world import World
from scenarios.simulator.run import Prediction, simulate_in_memory
from tests.scenarios.simulator import test_event_for_event as event_for_event
from tests.scenarios.simulator.test_oracles import engine

_SMALL = (
    "fleet.clients=24",
    "fleet.clients_per_ip=4",
    "fleet.stale_after_s=3",
    "gateway.handshake_cpu_ms=20",
    "gateway.tick_cpu_us=500",
    "phases.during_s=2",
    "phases.recovery_window_s=2",
    "phases.rescue_at_s=0",
    "matrix={}",
)
_OLD_AND_POLLING = (
    'fleet.group=[{name="old", share=0.2, protocol=3},'
    ' {name="polling", share=0.4, transport="polling-upgrade"}, {name="new"}]'
)
_STEADY = '{name="grpc", base_s=0.5, factor=1.2, cap_s=1, jitter=0.3}'


def _storm(*sets: str, events: str, seconds: int) -> None:
    """A whole run, of small ones that differ in these settings."""
    asked = (*_SMALL, f"event=[{events}]", f"phases.duration_s={seconds}", *sets)
    scenario = replace(load("mass-drop", asked), matrix={}, arms={})
    simulate_in_memory(Prediction(scenario=scenario, directory=Path(), arm="arm"))


_DROP = '{at_s=2, do="drop_all"}'
_DOWN = '{at_s=2, do="nginx_restart", down_s=4}'


def _listed(waits_s: list[float]) -> str:
    return f'fleet.policy={{name="tests.support.plain_clients:listed", waits_s={waits_s}}}'


_WHOLE: Mapping[str, Callable[[], None]] = {
    "what pods go through": partial(
        _storm,
        "gateway.pods=3",
        f"fleet.policy={_STEADY}",
        events="""{at_s=0, do="probes"}, {at_s=1, do="kill_pod", pod=1, restart_after_s=0.5},
            {at_s=3, do="pause_pod", pod=0, for_s=2}, {at_s=6, do="drop_share", share=0.5},
            {at_s=7, do="drain", window_s=2, pods=[0, 2], leave_upstream=true},
            {at_s=8, do="pause_pod", pod=2, for_s=2},
            {at_s=11, do="nginx_restart", down_s=0.3}, {at_s=13, do="feed_stall", for_s=1.5},
            {at_s=15, do="feed_burst", factor=4, for_s=1}, {at_s=17, do="drop_all"}""".replace("\n", " "),
        seconds=21,
    ),
    "pings that are missed": partial(
        _storm,
        "gateway.ping_interval_s=1",
        "gateway.ping_timeout_s=1",
        "fleet.stale_after_s=0",
        events='{at_s=2, do="pause_pod", pod=0, for_s=4}',
        seconds=8,
    ),
    "quiet sockets": partial(
        _storm,
        "fleet.stale_after_s=0",
        "edge.nginx.proxy_read_timeout_s=2",
        "gateway.ping_interval_s=1.7",
        events='{at_s=2, do="feed_stall", for_s=4}, {at_s=8, do="pause_pod", pod=0, for_s=4}',
        seconds=13,
    ),
    "sockets that are cut while nothing is sent": partial(
        _storm,
        "fleet.stale_after_s=0",
        "edge.nginx.proxy_read_timeout_s=2",
        f"fleet.policy={_STEADY}",
        events='{at_s=2, do="feed_stall", for_s=6}',
        seconds=10,
    ),
    "policies that end": partial(_storm, _listed([0.02] * 60), "fleet.rtt_ms=1", events=_DOWN, seconds=5),
    "very many attempts": partial(
        _storm, _listed([0.001] * 2_100), "fleet.clients=1", "fleet.rtt_ms=0", events=_DOWN, seconds=6
    ),
    "clients that poll, and old ones": partial(
        _storm,
        _OLD_AND_POLLING,
        "edge.limit=per-ip-all-requests",
        "gateway.balance=hash",
        "gateway.cancel_gone=true",
        "fleet.policy=incident",
        events=_DROP,
        seconds=8,
    ),
    "few attempts a second": partial(
        _storm,
        "fleet.max_attempts_per_s=5",
        "fleet.policy=circuit-breaker",
        "fleet.reset_backoff=stable",
        "fleet.stable_after_s=1",
        "fleet.stale_by=age",
        events=f'{_DROP}, {{at_s=4, do="push_policy", policy="naive", reach_s=1}},'
        ' {at_s=6, do="push_policy", policy="incident", reach_s=0}',
        seconds=10,
    ),
    "short accept queues": partial(
        _storm,
        "gateway.backlog=1",
        "gateway.handshake_cpu_ms=300",
        "fleet.connect_timeout_s=9",
        f"fleet.policy={_STEADY}",
        events=_DROP,
        seconds=14,
    ),
    "many at once": partial(
        _storm, "fleet.clients=400", "fleet.rtt_ms=0.5", "fleet.policy=naive", events=_DROP, seconds=4
    ),
    "many in any order": partial(
        _storm,
        "fleet.clients=600",
        "fleet.rtt_ms=0.5",
        'fleet.policy={name="full-jitter", base_s=0.05, cap_s=0.05}',
        "fleet.connect_timeout_s=0.3",
        events=_DROP,
        seconds=5,
    ),
    "delays": partial(_storm, "edge.limit=per-ip-delay", f"fleet.policy={_STEADY}", events=_DROP, seconds=8),
    "a dry run": partial(
        _storm,
        'edge.limit={name="per-ip+concurrent-per-ip", per-ip={dry_run=true},'
        " concurrent-per-ip={dry_run=true, connections=2}}",
        events=_DROP,
        seconds=5,
    ),
    "requests in flight": partial(
        _storm,
        'edge.limit={name="per-ip+concurrent-per-ip", concurrent-per-ip={connections=2}}',
        f"fleet.policy={_STEADY}",
        events=f'{_DROP}, {{at_s=5, do="nginx_reload"}}, {{at_s=6, do="drop_all"}}',
        seconds=9,
    ),
    "clients that no limit counts": partial(
        _storm,
        'edge.limit={name="per-ip+per-token", per-ip={exempt=["127.0.0.0/8"]},'
        ' per-token={by="header:X-None"}}',
        events=_DROP,
        seconds=4,
    ),
    "envoy": partial(
        _storm,
        "edge.proxy=envoy",
        'edge.limit={name="per-token+per-ip", per-token={by="header:X-Key"}}',
        'target.headers={X-Key="a"}',
        "gateway.balance=round_robin",
        f"fleet.policy={_STEADY}",
        events=_DROP,
        seconds=7,
    ),
    "haproxy": partial(
        _storm,
        "edge.proxy=haproxy",
        'edge.limit={name="sliding-window+concurrent-per-ip", sliding-window={connections=2, window_s=2}}',
        f"fleet.policy={_STEADY}",
        events=f'{_DROP}, {{at_s=5, do="set_limit", limit={{name="sliding-window", connections=2,'
        ' window_s=2, charge_refusals=true}}, {at_s=6, do="drop_all"}',
        seconds=10,
    ),
    "workers and TLS": partial(
        _storm,
        'edge.limit={name="per-ip", drop=true}',
        "fleet.clients=40",
        "edge.nginx={workers=2, worker_connections=43, reuseport=true}",
        "edge.tls={}",
        "fleet.tls_resume=0.5",
        f"fleet.policy={_STEADY}",
        events=f'{_DROP}, {{at_s=4, do="nginx_restart", down_s=0.1}}',
        seconds=8,
    ),
    "pods that count": partial(
        _storm,
        'edge.limit={name="pod-window+lag-shed", pod-window={connections=2, window_s=2, close_1013=true},'
        " lag-shed={above_lag_ms=40, close_1013=true}}",
        f"fleet.policy={_STEADY}",
        events=f'{_DROP}, {{at_s=5, do="set_limit", limit="handshake-slots"}}, {{at_s=6, do="drop_all"}}',
        seconds=9,
    ),
    **{
        f"dead pods, {balance}": partial(
            _storm,
            "gateway.pods=3",
            f"gateway.balance={balance}",
            'edge.limit={name="lag-shed", above_lag_ms=60}',
            'edge.nginx={max_fails=2, fail_timeout_s=2, proxy_next_upstream=["error", "http_503"]}',
            "gateway.handshake_cpu_ms=100",
            f"fleet.policy={_STEADY}",
            events='{at_s=1, do="kill_pod", pod=1, restart_after_s=4}, {at_s=3, do="drop_all"},'
            ' {at_s=3.9, do="kill_pod", pod=0, restart_after_s=2}',
            seconds=9,
        )
        for balance in ("least_conn", "round_robin", "hash", "ip_hash")
    },
}


def _drawn(seed: int) -> None:
    """A storm of random settings, in which everybody also is where a plain loop has it."""
    rng = Random(seed)
    play: Any = event_for_event.test_every_client_and_pod_is_where_a_plain_loop_has_it
    moments = sorted(rng.sample(range(500, (event_for_event.SECONDS - 2) * 1000), 5))
    play.hypothesis.inner_test(
        clients=rng.randint(1, 25),
        pods=rng.randint(1, 3),
        first=rng.choice(event_for_event.POLICIES),
        handshake_ms=rng.choice([7.0, 40.0, 110.0]),
        tick_us=rng.choice([0.0, 900.0, 8_000.0]),
        timeout_s=rng.choice([0.05, 0.6, 1.0, 2.5]),
        stale_s=rng.choice([0.0, 0.5, 2.0]),
        backlog=rng.choice([1, 3, 4096]),
        rtt_ms=rng.choice([1, 40, 300]),
        per_ip=rng.choice([0, 1, 5]),
        edge_delay_s=rng.choice([0.0, 0.001, 0.03]),
        rules=rng.choice(event_for_event.RULES),
        nginx=rng.choice(event_for_event.NGINX),
        tls=rng.random() < 0.5,
        moments=[(at_ms, _act(rng)) for at_ms in moments],
        seed=seed,
    )


def _grown() -> None:
    """A calendar and a table of counters that have to be made larger."""
    made = engine(
        fleet={"clients": 600, "rtt_ms": 40}, gateway={"pods": 2, "handshake_cpu_ms": 0.1, "backlog": 4096}
    )
    made.admission = limit({"name": "pod-window", "connections": 1, "window_s": 9}).admission
    made.run_until(1)
    made.drop(1.0)
    for _ in range(200):
        made.push_policy(policy("incident"), 12)
    made.run_until(4)


def _act(rng: Random) -> tuple[str, Any]:
    what = rng.choice(["drop", "drop", "push", "pause", "resume", "down", "up", "kill", "start"])
    values = {"drop": [0.3, 1.0], "push": event_for_event.POLICIES, "down": [None], "up": [None]}
    return what, rng.choice(values.get(what, [0, 1, 2]))


STORMS: Mapping[str, Callable[[], None]] = {
    **_WHOLE,
    "tables that grow": _grown,
    **{f"drawn {seed}": partial(_drawn, seed) for seed in range(1, 31)},
}


def _state(world: World) -> int:
    """A number for all that the loop has, but for its calendar: what is free in there is of no account."""
    found = 0
    for array in world._replace(cal=world.s):
        found = crc32(array.tobytes(), found)
    return found


def seen(name: str) -> list[str]:
    """The moments at which the loop has come back to Python, and what it has left behind each time."""
    found: list[str] = []
    play = Engine._play

    def noted(self: Engine, order: int, number: int = 0, rows: Any = None) -> bool:
        done = play(self, order, number, rows)
        if order == at.RUN:
            found.append(f"{self.now_s:.9f} s: {_state(self.world):08x}")
        return done

    with patch.object(Engine, "_play", noted):
        STORMS[name]()
    return found

"""The model of the edge beside the real parts: the same scenario on both, and the same counts."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.rundir.reader import Run
from scenarios.scenario.loader import load
from scenarios.simulator.run import Prediction, simulate_in_memory
from tests.e2e.command_line import SMALL_STORM, carried_out, last_known
from tests.e2e.edges import edge, hold
from tests.e2e.own_gateway import total
from tests.support.loop_parts import Parts

pytestmark = [pytest.mark.e2e, pytest.mark.needs_loopback_range]

END_S = 11
PATIENT = ("fleet.connect_timeout_s=8", "fleet.stale_after_s=0")
"""No client gives up on a pod that stands still for three seconds: it would ask a limit more than once."""
SIX_TO_AN_ADDRESS = (
    "fleet.clients_per_ip=6",
    "gateway.balance=round_robin",
    "matrix={}",
    'fleet.policy={name="grpc", base_s=0.3, factor=1, jitter=0.2}',
    *PATIENT,
)
"""Ten addresses; a client that is refused asks again three times a second until it is in."""
ONE_TOKEN = 'target.headers={Authorization="one for all"}'
OWN_TOKENS = (
    'target.headers={Authorization="{token}"}',
    'target.credentials={function="gateway_stub.tokens:issue", when="start"}',
)
SLOW = 'edge.limit={name="per-token", rate_per_s=0.0167, burst=8}'


def joined(run: Run) -> float:
    """Clients that are there at the end."""
    return last_known(run, "connected")


def outcome(name: str) -> Callable[[Run], float]:
    """Whether a storm had any attempts that ended like this."""
    return lambda run: float(total(run, name, 3, END_S) > 0)


def bad_gateways(run: Run) -> float:
    """Attempts that nginx answered with 502."""
    return total(run, "refused", 3, END_S)


def late_bad_gateways(run: Run) -> float:
    """Those after all clients have been dropped; thirty if the dead pod stayed in the upstream."""
    return total(run, "refused", 5, END_S)


MOST_UNDER_WAY = 15
"""Every second one of the clients that the killed pod had, if nginx gets no core before all are back."""

KILLED = 'event=[{at_s=3, do="kill_pod", pod=1, restart=false}, {at_s=5, do="drop_all"}]'

CASES: dict[str, tuple[tuple[str, ...], dict[Callable[[Run], float], float]]] = {
    "a window at each pod": (
        (*SIX_TO_AN_ADDRESS, 'edge.limit={name="pod-window", connections=2}'),
        {joined: 40, outcome("limited"): 1, outcome("reset"): 0},
    ),
    "a window that closes with 1013": (
        (*SIX_TO_AN_ADDRESS, 'edge.limit={name="pod-window", connections=2, close_1013=true}'),
        {joined: 40, outcome("limited"): 0, outcome("reset"): 1},
    ),
    "one token for all": ((*SIX_TO_AN_ADDRESS, ONE_TOKEN, SLOW), {joined: 9, outcome("limited"): 1}),
    "a token for each": ((*SIX_TO_AN_ADDRESS, *OWN_TOKENS, SLOW), {joined: 60, outcome("limited"): 0}),
    "a dead pod is ejected": (
        (*SIX_TO_AN_ADDRESS, KILLED, "edge.nginx.max_fails=1", "edge.nginx.fail_timeout_s=60"),
        {joined: 60, bad_gateways: 1, late_bad_gateways: 0},
    ),
    "the next pod answers for a dead one": (
        (*SIX_TO_AN_ADDRESS, KILLED, 'edge.nginx.proxy_next_upstream=["error"]'),
        {joined: 60, bad_gateways: 0},
    ),
}


@pytest.mark.parametrize(("sets", "expected"), CASES.values(), ids=CASES)
def test_a_storm_of_sixty_clients_ends_alike(
    tmp_path: Path, sets: tuple[str, ...], expected: dict[Callable[[Run], float], float]
) -> None:
    _, (measured,) = carried_out(tmp_path, "run", "--retries", "0", sets=(*SMALL_STORM, *sets))
    scenario = load("mass-drop", (*SMALL_STORM, *sets))
    predicted = simulate_in_memory(Prediction(scenario=scenario, directory=tmp_path, arm="arm"))
    assert {name: name(predicted) for name in expected} == expected
    found = {name: name(measured) for name in expected}
    failed = expected.get(bad_gateways, 0.0)
    # Requests that are under way when the first one fails get 502 as well.
    assert failed <= found.get(bad_gateways, 0.0) <= MOST_UNDER_WAY * failed
    assert {**found, bad_gateways: failed} == {**expected, bad_gateways: failed}


def test_handshakes_of_a_storm_are_full_and_resumed_alike(tmp_path: Path) -> None:
    rotated = 'event=[{at_s=1, do="certificate_rotate"}, {at_s=5, do="drop_all"}]'
    sets = (*SMALL_STORM, "edge.tls={}", "fleet.policy=incident", "matrix={}", *PATIENT)
    for number, (more, expected) in enumerate(
        {(): {"tls_full": 0, "tls_resumed": 60}, (rotated,): {"tls_full": 60, "tls_resumed": 0}}.items()
    ):
        _, (measured,) = carried_out(tmp_path / str(number), "run", "--retries", "0", sets=(*sets, *more))
        predicted = simulate_in_memory(
            Prediction(scenario=load("mass-drop", (*sets, *more)), directory=tmp_path, arm="arm")
        )
        firsts, found = (
            {name: min(60, total(run, name, 3, END_S)) for name in expected} for run in (predicted, measured)
        )
        assert firsts == expected
        if more:
            # A client of a busy host is late, comes again, and resumes the session of its first attempt.
            del found["tls_resumed"]
        assert found == {name: expected[name] for name in found}


ASKED = 700
"""So many that each of four workers is full."""


@pytest.mark.parametrize(
    "settings",
    [
        {"worker_connections": 482},
        {"worker_connections": 483},
        {"worker_connections": 484},
        {"workers": 4, "worker_connections": 123, "reuseport": True},
        {"workers": 4, "worker_connections": 124, "reuseport": True},
    ],
    ids=str,
)
def test_workers_have_room_for_as_many_sockets(tmp_path: Path, settings: dict[str, Any]) -> None:
    parts = Parts.at_workers(ASKED, **settings)
    room = sum(parts.accept(client) == 0 for client in range(ASKED))

    async def taken() -> int:
        async with edge(tmp_path, hold, **settings) as nginx:
            return sum([await nginx.is_upgraded() for _ in range(ASKED)])

    assert asyncio.run(taken()) == room

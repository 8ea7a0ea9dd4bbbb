"""Workers of the model have as many connections as nginx's."""

from collections.abc import Iterable

import pytest

from scenarios.simulator.loop import at
from tests.scenarios.simulator.test_oracles import engine, joined_by, outcomes, run_until
from tests.support.loop_parts import Parts


def connected(parts: Parts, clients: Iterable[int]) -> int:
    """How many of these find room, one after the other."""
    return sum(parts.accept(client) == 0 for client in clients)


@pytest.mark.parametrize(("connections", "sockets"), [(100, 49), (101, 49), (102, 50)])
def test_a_socket_takes_two_connections_and_a_worker_two_for_itself(connections: int, sockets: int) -> None:
    # tests/e2e/test_model_of_the_edge.py asks nginx.
    assert connected(Parts.at_workers(90, worker_connections=connections), range(90)) == sockets


def test_a_full_worker_closes_what_it_accepts_and_one_with_one_connection_left_answers_500() -> None:
    for connections, ending in ((22, at.RESET), (23, at.NO_CONNECTION)):
        parts = Parts.at_workers(90, worker_connections=connections)
        assert connected(parts, range(10)) == 10
        assert {parts.accept(client) for client in range(10, 90)} == {ending}


def test_four_workers_of_160_connections_have_room_for_316_sockets() -> None:
    # Measured: docs/edge.md, case 11.
    parts = Parts.at_workers(2_000, worker_connections=160, workers=4, reuseport=True)
    assert connected(parts, range(2_000)) == 316


def test_who_leaves_makes_room_and_is_named_in_vain_afterwards() -> None:
    parts = Parts.at_workers(40, worker_connections=82)
    assert connected(parts, range(40)) == 40
    for client in (*range(10), *range(10)):
        parts.release(client)
    assert connected(parts, range(10)) == 10
    assert parts.engine.tables[at.WORKER_FREE].tolist() == [0]


def test_new_workers_have_nothing_and_old_ones_keep_what_they_have() -> None:
    parts = Parts.at_workers(40, worker_connections=82)
    connected(parts, range(40))
    parts.engine.set_limits(parts.engine.edge.limits)
    assert parts.engine.tables[at.WORKER_FREE].tolist() == [80]
    for client in range(40):
        parts.release(client)
    assert parts.engine.tables[at.WORKER_FREE].tolist() == [80], "connections of old workers are not theirs"


def test_everybody_has_got_in_before_the_storm_however_uneven_the_workers_are() -> None:
    parts = Parts.at_workers(200, worker_connections=104, workers=4, reuseport=True)
    for client in range(200):
        parts.settle_worker(client)
    free = parts.engine.tables[at.WORKER_FREE]
    assert free.sum() == 4 * 102 - 2 * 200
    assert free.min() >= 0


def test_a_storm_of_more_clients_than_a_worker_has_room_for() -> None:
    fleet = {"clients": 20, "policy": "naive", "rtt_ms": 20}
    made = engine(fleet=fleet, edge={"nginx": {"worker_connections": 42}}, gateway={"handshake_cpu_ms": 1})
    made.drop(1.0)
    assert joined_by(made, 3) == 20
    made.set_limits(made.edge.limits)
    run_until(made, 4)
    made.drop(0.5)
    assert joined_by(made, 6) == 20, "after a reload there is room again"
    assert set(outcomes(made)) == {"joined"}


def test_connections_of_attempts_that_wait_at_a_pod_are_those_of_the_worker() -> None:
    # All twenty places are taken by clients that wait; the dead ones of a worker that is full are closed.
    policy = {"name": "grpc", "base_s": 0.2, "factor": 1, "jitter": 0}
    made = engine(
        fleet={"clients": 20, "policy": policy, "connect_timeout_s": 9},
        edge={"nginx": {"worker_connections": 42}},
        gateway={"handshake_cpu_ms": 50},
    )
    made.drop(1.0)
    run_until(made, 0.5)
    assert made.tables[at.WORKER_FREE].tolist() == [0]
    assert joined_by(made, 3) == 20
    made.end_edge()
    assert made.tables[at.WORKER_FREE].tolist() == [40]

"""Workers of the model have as many connections as nginx's."""

from typing import Any

import numpy as np
import pytest

from scenarios.scenario.edge.nginx import NginxSettings
from scenarios.simulator.edge.workers import Workers
from tests.scenarios.simulator.test_oracles import engine, joined_by, run_until


def workers(clients: int, **settings: Any) -> Workers:
    return Workers(NginxSettings(**settings), clients, np.random.default_rng(1))


def connected(made: Workers, clients: Any) -> int:
    """How many of these find room, one after the other."""
    found = 0
    for client in clients:
        one = np.array([client])
        found += int(made.connect(one, made.accept(one)).sum())
    return found


@pytest.mark.parametrize(("connections", "sockets"), [(100, 49), (101, 49), (102, 50), (2, 0)])
def test_a_socket_takes_two_connections_and_a_worker_two_for_itself(connections: int, sockets: int) -> None:
    # tests/e2e/test_model_of_the_edge.py asks nginx.
    assert connected(workers(90, worker_connections=connections), range(90)) == sockets


def test_of_many_at_once_as_many_find_room() -> None:
    made = workers(90, worker_connections=101)
    everybody = np.arange(90)
    chosen = made.accept(everybody)
    assert (chosen == 0).all()
    assert made.connect(everybody, chosen).sum() == 49
    assert made.has_room(chosen).all(), "one connection is left, in which nginx answers 500"


def test_four_workers_of_160_connections_have_room_for_316_sockets() -> None:
    # Measured: docs/edge.md, case 11.
    made = workers(2_000, worker_connections=160, workers=4, reuseport=True)
    assert connected(made, range(2_000)) == 316


def test_who_leaves_makes_room_and_is_named_in_vain_afterwards() -> None:
    made = workers(90, worker_connections=100)
    connected(made, range(90))
    made.end(np.arange(10))
    made.end(np.arange(10))
    assert connected(made, range(50, 90)) == 10


def test_new_workers_have_nothing_and_old_ones_keep_what_they_have() -> None:
    made = workers(90, worker_connections=100)
    connected(made, range(40))
    made.renew()
    assert connected(made, range(40, 90)) == 49
    made.end(np.arange(40))
    assert connected(made, range(40)) == 0, "connections of old workers are not those of new ones"


def test_everybody_has_got_in_before_the_storm_however_uneven_the_workers_are() -> None:
    made = workers(200, worker_connections=104, workers=4, reuseport=True)
    made.settle(np.arange(200))
    assert connected(made, [0]) == 1
    assert (made.accept(np.arange(200)) >= 0).sum() < 200


def test_a_storm_of_more_clients_than_a_worker_has_room_for() -> None:
    fleet = {"clients": 20, "policy": "naive", "rtt_ms": 20}
    nginx = {"worker_connections": 42}
    made = engine(0.02, fleet=fleet, edge={"nginx": nginx}, gateway={"handshake_cpu_ms": 1})
    made.drop(1.0)
    assert joined_by(made, 3) == 20
    made.set_limits(made.edge._limits)
    run_until(made, 4)
    made.drop(0.5)
    assert joined_by(made, 6) == 20, "after a reload there is room again"

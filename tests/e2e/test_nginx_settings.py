"""What settings of nginx do to sockets, asked of nginx itself; docs/edge.md says it in words."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from scenarios.proxies.nginx import full_workers
from tests.e2e.edges import SOCKETS, TOGETHER, Edge, edge, hold, shed
from tests.support.failing_pods import ANSWERS, ASKED, BAD_GATEWAY, DEAD, HOLDS, LONG, SHEDS, UP
from tests.support.serving import Serve

pytestmark = pytest.mark.e2e

WORKERS = 4


# -- case 11: sockets per worker --------------------------------------------------------------------


async def spread(
    folder: Path, connect: Callable[[Edge, int], Awaitable[int]] = Edge.connect_many, **settings: Any
) -> tuple[list[int], int]:
    """(sockets of each worker, sockets that there was room for)."""
    async with edge(folder, hold, workers=WORKERS, **settings) as nginx:
        taken = await connect(nginx, SOCKETS)
        return nginx.sockets_per_worker(), taken


def test_case_11_the_worker_that_wakes_first_takes_all_sockets_that_wait(tmp_path: Path) -> None:
    sockets, _ = asyncio.run(spread(tmp_path, Edge.connect_to_the_first_worker))
    assert sockets == [SOCKETS, 0, 0, 0]


def test_case_11_sockets_are_even_with_reuseport(tmp_path: Path) -> None:
    sockets, _ = asyncio.run(spread(tmp_path, reuseport=True))
    assert sum(sockets) == SOCKETS
    assert sockets[0] < SOCKETS / 2


TRIES = 20
"""The kernel decides which workers get a core first: about one time in ten the first takes more than half."""


def test_case_11_sockets_can_be_even_without_multi_accept(tmp_path: Path) -> None:
    def fullest(attempt: int) -> int:
        connect = Edge.connect_to_all_workers
        sockets, _ = asyncio.run(spread(tmp_path / str(attempt), connect, multi_accept=False))
        assert sum(sockets) == SOCKETS
        return sockets[0]

    assert any(fullest(attempt) < SOCKETS / 2 for attempt in range(TRIES))


ROOM = 200
"""Connections of each worker: four of them have room for 400 sockets, with two connections each."""


def test_case_11_a_full_worker_turns_sockets_away_while_others_have_room(tmp_path: Path) -> None:
    connect = Edge.connect_to_the_first_worker
    sockets, taken = asyncio.run(spread(tmp_path, connect, worker_connections=ROOM))
    assert taken == sum(sockets) < SOCKETS
    assert ROOM / 3 < sockets[0] <= ROOM / 2
    assert sockets[1:] == [0, 0, 0]
    assert full_workers(tmp_path) == f"{ROOM} worker_connections are not enough"


def test_case_11_even_workers_have_room_for_all(tmp_path: Path) -> None:
    _, taken = asyncio.run(spread(tmp_path, worker_connections=ROOM, reuseport=True))
    assert taken == SOCKETS


# -- cases 10 and 12: what cuts sockets -------------------------------------------------------------


async def survivors(folder: Path, act: Callable[[Edge], Awaitable[Any]], left: int, **settings: Any) -> int:
    """How many of some sockets are open after something has happened, and a new one has been opened.

    left: how many are to be left: the others may take their time to end.
    """
    async with edge(folder, hold, **settings) as nginx:
        await nginx.connect_many(TOGETHER)
        await act(nginx)
        await nginx.until_open(left)
        await asyncio.sleep(1)
        return nginx.open


async def reloaded(nginx: Edge) -> None:
    """The old workers have half a second; what is left a second later is left for good."""
    await nginx.reload_nginx()
    await nginx.connect()


@pytest.mark.parametrize(("timeout_s", "left"), [(0.5, 1), (0, TOGETHER + 1)])
def test_case_10_sockets_from_before_a_reload_end_with_the_old_workers(
    tmp_path: Path, timeout_s: float, left: int
) -> None:
    found = asyncio.run(survivors(tmp_path, reloaded, left, worker_shutdown_timeout_s=timeout_s))
    assert found == left


@pytest.mark.parametrize(("timeout_s", "left"), [(4, 0), (3_600, TOGETHER)])
def test_case_12_quiet_sockets_end_together(tmp_path: Path, timeout_s: float, left: int) -> None:
    async def quiet(_nginx: Edge) -> None:
        """Nothing happens."""

    assert asyncio.run(survivors(tmp_path, quiet, left, proxy_read_timeout_s=timeout_s)) == left


def test_case_12_what_a_client_says_counts_as_well(tmp_path: Path) -> None:
    async def open_while_one_speaks() -> int:
        # Longer than this program may stand still between two words.
        async with edge(tmp_path, hold, proxy_read_timeout_s=5) as nginx:
            await nginx.connect_many(TOGETHER)
            until_s = None
            while until_s is None or time.monotonic() < until_s:
                nginx.speak()
                await asyncio.sleep(0.1)
                if until_s is None and nginx.open <= 1:
                    # The others have ended: were it for them alone, so would this one.
                    until_s = time.monotonic() + 1
            return nginx.open

    assert asyncio.run(open_while_one_speaks()) == 1


# -- ejection ---------------------------------------------------------------------------------------

SERVES: dict[str, Serve | None] = {HOLDS: hold, SHEDS: shed, DEAD: None}


@pytest.mark.parametrize(("pods", "settings", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_what_failures_do_to_the_next_requests(
    tmp_path: Path, pods: tuple[str, ...], settings: dict[str, Any], expected: dict[int, int]
) -> None:
    async def answers() -> Counter[int]:
        async with edge(tmp_path, *(SERVES[pod] for pod in pods), **settings) as nginx:
            return Counter([await nginx.status() for _ in range(ASKED)])

    assert asyncio.run(answers()) == expected


@pytest.mark.parametrize(("shared", "fewest", "most"), [(True, 1, 1), (False, 2, WORKERS)])
def test_each_worker_finds_a_dead_pod_by_itself_unless_they_count_together(
    tmp_path: Path, shared: bool, fewest: int, most: int
) -> None:
    settings: dict[str, Any] = {
        "workers": WORKERS,
        "reuseport": True,
        "max_fails": 1,
        **LONG,
        "upstream_zone": shared,
    }

    async def bad_gateways() -> int:
        async with edge(tmp_path, hold, None, **settings) as nginx:
            return [await nginx.status() for _ in range(60)].count(BAD_GATEWAY)

    assert fewest <= asyncio.run(bad_gateways()) <= most


class ComesBack:
    """A pod that closes what it is asked, until it has come back; then it takes every WebSocket."""

    def __init__(self) -> None:
        self.is_back = False
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.asked += 1
        if not self.is_back:
            writer.close()
            return
        await hold(reader, writer)


def test_a_pod_that_is_back_gets_a_single_request_in_each_fail_timeout_until_one_has_ended(
    tmp_path: Path,
) -> None:
    # tests/scenarios/simulator/edge/test_upstream.py has the same of the model.
    pod = ComesBack()

    async def taken() -> list[tuple[float, float]]:
        """(before, after) the request that failed, and each that the pod got afterwards, in seconds."""
        found: list[tuple[float, float]] = []
        async with edge(tmp_path, hold, pod.serve, max_fails=1, fail_timeout_s=1) as nginx:
            while len(found) < 3:
                before_s = time.monotonic()
                assert await nginx.status() == (UP if pod.is_back or not pod.asked else BAD_GATEWAY)
                if pod.asked > len(found):
                    pod.is_back = True
                    found.append((before_s, time.monotonic()))
                await asyncio.sleep(0.05)
        return found

    # Whoever stands still in between makes it longer. nginx counts whole seconds, and more than one of them.
    for (asked_s, _), (_, answered_s) in pairwise(asyncio.run(taken())):
        assert answered_s - asked_s > 1

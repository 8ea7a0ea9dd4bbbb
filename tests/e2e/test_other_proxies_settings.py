"""What settings of HAProxy and Envoy do to sockets, asked of them; docs/edge.md says it in words."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.edges import TOGETHER, Edge, Serve, edge, hold, shed

pytestmark = pytest.mark.e2e

ROOM = 4
UP, BAD_GATEWAY, BUSY = 101, 502, 503


async def quiet(_proxy: Edge) -> None:
    await asyncio.sleep(1.5)


async def reloaded(proxy: Edge) -> None:
    await proxy.reload()
    await asyncio.sleep(1.5)


async def survivors(
    folder: Path, proxy: str, act: Callable[[Edge], Awaitable[None]], settings: dict[str, Any]
) -> int:
    """How many of some sockets are open after something has happened."""
    async with edge(folder, hold, proxy=proxy, **settings) as running:
        assert await running.connect_many(TOGETHER) == TOGETHER
        await act(running)
        return running.open


CUT: dict[str, tuple[str, Callable[[Edge], Awaitable[None]], dict[str, Any], int]] = {
    "haproxy cuts quiet tunnels": ("haproxy", quiet, {"timeout_tunnel_s": 0.5}, 0),
    "a tunnel has a timeout of its own": (
        "haproxy",
        quiet,
        {"timeout_client_s": 0.5, "timeout_server_s": 0.5},
        TOGETHER,
    ),
    "without it the server's holds": (
        "haproxy",
        quiet,
        {"timeout_tunnel_s": 0, "timeout_server_s": 0.5},
        0,
    ),
    "without it the client's holds": (
        "haproxy",
        quiet,
        {"timeout_tunnel_s": 0, "timeout_client_s": 0.5},
        0,
    ),
    "an old worker of haproxy stays": ("haproxy", reloaded, {}, TOGETHER),
    "an old worker of haproxy is stopped": ("haproxy", reloaded, {"hard_stop_after_s": 0.5}, 0),
    "envoy keeps quiet streams": ("envoy", quiet, {}, TOGETHER),
    "envoy cuts quiet streams": ("envoy", quiet, {"stream_idle_timeout_s": 0.5}, 0),
}


def of_proxy(cases: dict[str, tuple[Any, ...]]) -> list[Any]:
    """The cases, those of HAProxy only where there is one."""
    needs = pytest.mark.needs_haproxy
    return [
        pytest.param(*case, id=name, marks=[needs] if case[0] == "haproxy" else [])
        for name, case in cases.items()
    ]


@pytest.mark.parametrize(("proxy", "act", "settings", "left"), of_proxy(CUT))
def test_what_cuts_sockets(
    tmp_path: Path,
    proxy: str,
    act: Callable[[Edge], Awaitable[None]],
    settings: dict[str, Any],
    left: int,
) -> None:
    assert asyncio.run(survivors(tmp_path, proxy, act, settings)) == left


BOUNDS = {
    "haproxy": ("haproxy", {"maxconn": ROOM}),
    "connections to the pods": ("envoy", {"max_connections": ROOM}),
}


@pytest.mark.parametrize(("proxy", "settings"), of_proxy(BOUNDS))
def test_who_has_no_room_waits(tmp_path: Path, proxy: str, settings: dict[str, Any]) -> None:
    async def answered() -> tuple[int, int]:
        async with edge(tmp_path, hold, proxy=proxy, clients=ROOM, **settings) as running:
            connecting = [asyncio.ensure_future(running.connect()) for _ in range(TOGETHER)]
            done, waiting = await asyncio.wait(connecting, timeout=1.5)
            return len(done), len(waiting)

    assert asyncio.run(answered()) == (ROOM, TOGETHER - ROOM)


@pytest.mark.parametrize(
    "settings", [{"max_requests": ROOM}, {"max_connections": ROOM, "max_pending_requests": 1}], ids=str
)
def test_envoy_answers_503_beyond_its_bounds(tmp_path: Path, settings: dict[str, Any]) -> None:
    async def answers() -> tuple[int, int]:
        async with edge(tmp_path, hold, proxy="envoy", clients=ROOM, **settings) as running:
            joined = sum([await running.connect() for _ in range(ROOM)])
            waiting = asyncio.ensure_future(running.connect()) if "max_connections" in settings else None
            if waiting:
                await asyncio.wait([waiting], timeout=0.5)
                assert not waiting.done()
                waiting.cancel()
            return joined, await running.status()

    assert asyncio.run(answers()) == (ROOM, BUSY)


@pytest.mark.parametrize(
    ("proxy", "key", "threads"),
    [("envoy", "concurrency", 3), pytest.param("haproxy", "nbthread", 3, marks=pytest.mark.needs_haproxy)],
)
def test_there_are_as_many_threads_as_are_asked_for(
    tmp_path: Path, proxy: str, key: str, threads: int
) -> None:
    async def found(**settings: int) -> int:
        async with edge(tmp_path / str(settings), hold, proxy=proxy, **settings) as running:
            return running.threads

    assert asyncio.run(found()) == 1
    assert asyncio.run(found(**{key: threads})) == threads


ASKED = 12
EJECTED: dict[str, tuple[str, tuple[Serve | None, ...], dict[str, Any], Callable[[Counter[int]], bool]]] = {
    "haproxy takes no pod out": ("haproxy", (hold, shed), {}, lambda found: found == {UP: 6, BUSY: 6}),
    "a busy pod has not failed at layer 4": (
        "haproxy",
        (hold, shed),
        {"observe": "layer4", "error_limit": 1, "inter_s": 60},
        lambda found: found == {UP: 6, BUSY: 6},
    ),
    "a busy pod is taken out at layer 7": (
        "haproxy",
        (hold, shed),
        {"observe": "layer7", "error_limit": 2, "inter_s": 60},
        lambda found: found == {UP: 10, BUSY: 2},
    ),
    "it is back once checks have succeeded": (
        "haproxy",
        (hold, shed),
        {"observe": "layer7", "error_limit": 1, "inter_s": 0.01},
        lambda found: found[BUSY] > 1,
    ),
    "a dead pod is taken out": (
        "haproxy",
        (hold, None),
        {"observe": "layer4", "error_limit": 1, "inter_s": 60},
        lambda found: found[BAD_GATEWAY] <= 1 and found[UP] >= ASKED - 1,
    ),
    "envoy ejects no pod": ("envoy", (hold, shed), {}, lambda found: found == {UP: 6, BUSY: 6}),
    "envoy ejects a busy pod": (
        "envoy",
        (hold, shed),
        {"consecutive_5xx": 2, "max_ejection_percent": 50},
        lambda found: found == {UP: 10, BUSY: 2},
    ),
    "ten per cent of two pods is none": (
        "envoy",
        (hold, shed),
        {"consecutive_5xx": 1},
        lambda found: found == {UP: 6, BUSY: 6},
    ),
    "envoy ejects a dead pod": (
        "envoy",
        (hold, None),
        {"consecutive_5xx": 1, "max_ejection_percent": 50},
        lambda found: found == {UP: 11, BAD_GATEWAY: 1},
    ),
    "envoy goes on with all pods where most are ejected": (
        "envoy",
        (shed, shed),
        {"consecutive_5xx": 1, "max_ejection_percent": 100},
        lambda found: found == {BUSY: 12},
    ),
}


@pytest.mark.parametrize(("proxy", "pods", "settings", "as_expected"), of_proxy(EJECTED))
def test_what_failures_do_to_the_next_requests(
    tmp_path: Path,
    proxy: str,
    pods: tuple[Serve | None, ...],
    settings: dict[str, Any],
    as_expected: Callable[[Counter[int]], bool],
) -> None:
    async def answers() -> Counter[int]:
        async with edge(tmp_path, *pods, proxy=proxy, **settings) as running:
            found: Counter[int] = Counter()
            for _ in range(ASKED):
                found[await running.status()] += 1
                # The main thread of Envoy ejects, and tells the workers.
                await asyncio.sleep(0.1)
            return found

    found = asyncio.run(answers())
    assert as_expected(found), found

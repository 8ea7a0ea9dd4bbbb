"""What settings of HAProxy and Envoy do to sockets, asked of them; docs/edge.md says it in words."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import get
from tests.e2e.edges import TOGETHER, Edge, edge, hold, shed
from tests.support.serving import Serve

pytestmark = pytest.mark.e2e

ROOM = 4
LONGEST_S = 4
"""Of the time-outs that must not cut a tunnel: they hold while it is opened, and the pod may be late."""
UP, BAD_GATEWAY, BUSY = 101, 502, 503


async def quiet(_proxy: Edge) -> None:
    """Nothing happens."""


async def reloaded(proxy: Edge) -> None:
    await proxy.reload()


async def survivors(
    folder: Path, proxy: str, act: Callable[[Edge], Awaitable[None]], settings: dict[str, Any], left: int
) -> int:
    """How many of some sockets are open a while after something has happened.

    left: how many are to be left: the others may take their time to end.
    """
    async with edge(folder, hold, proxy=proxy, **settings) as running:
        assert await running.connect_many(TOGETHER) == TOGETHER
        await act(running)
        await running.until_open(left)
        if left:
            await asyncio.sleep(1 + max(settings.values(), default=0))
        return running.open


CUT: dict[str, tuple[str, Callable[[Edge], Awaitable[None]], dict[str, Any], int]] = {
    "haproxy cuts quiet tunnels": ("haproxy", quiet, {"timeout_tunnel_s": 0.5}, 0),
    "a tunnel has a timeout of its own": (
        "haproxy",
        quiet,
        {"timeout_client_s": LONGEST_S, "timeout_server_s": LONGEST_S},
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
    assert asyncio.run(survivors(tmp_path, proxy, act, settings, left)) == left


BOUNDS = {
    "haproxy": ("haproxy", {"maxconn": ROOM}),
    "connections to the pods": ("envoy", {"max_connections": ROOM}),
}


@pytest.mark.parametrize(("proxy", "settings"), of_proxy(BOUNDS))
def test_who_has_no_room_waits(tmp_path: Path, proxy: str, settings: dict[str, Any]) -> None:
    async def answered() -> tuple[int, int]:
        async with edge(tmp_path, hold, proxy=proxy, clients=ROOM, **settings) as running:
            waiting = {asyncio.ensure_future(running.connect()) for _ in range(TOGETHER)}
            while len(waiting) > TOGETHER - ROOM:
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            _, waiting = await asyncio.wait(waiting, timeout=1)
            return TOGETHER - len(waiting), len(waiting)

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
                await until(tmp_path, "cluster.gateway.upstream_rq_pending_active", 1)
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
            # All have begun before any of them answers, except where the last ones still get their names.
            assert await running.connect()
            while running.threads < settings.get(key, 1):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
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
    "a dead pod is taken out": (
        "haproxy",
        (hold, None),
        {"observe": "layer4", "error_limit": 1, "inter_s": 60},
        lambda found: found[BAD_GATEWAY] <= 1 and found[UP] >= ASKED - 1,
    ),
    "envoy ejects no pod": ("envoy", (hold, shed), {}, lambda found: found == {UP: 6, BUSY: 6}),
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
            return Counter([await running.status() for _ in range(ASKED)])

    found = asyncio.run(answers())
    assert as_expected(found), found


@pytest.mark.needs_haproxy
def test_a_pod_that_haproxy_has_taken_out_is_back_once_checks_have_succeeded(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"observe": "layer7", "error_limit": 1, "inter_s": 0.05}

    async def busy_twice() -> None:
        async with edge(tmp_path, hold, shed, proxy="haproxy", **settings) as running:
            busy = 0
            while busy < 2:
                busy += await running.status() == BUSY
                await asyncio.sleep(0.02)

    asyncio.run(busy_twice())
    log = (tmp_path / "access.log").read_text(encoding="utf-8")
    down, up = "Server gateway/pod-2 is DOWN", "Server gateway/pod-2 is UP"
    assert log.index(down) < log.index(up)


# -- what Envoy ejects ------------------------------------------------------------------------------

OUTLIERS = "cluster.gateway.outlier_detection"
EJECTING: dict[str, Any] = {"max_ejection_percent": 50, "base_ejection_time_s": 600}


async def until(folder: Path, stat: str, value: int) -> None:
    """Returns once the Envoy of that folder says so of itself: its main thread ejects, no worker does."""
    address = (folder / "admin.address").read_text(encoding="utf-8").strip()
    wanted = f"{stat}: {value}"
    said = ""
    while wanted not in said.splitlines():
        said = await asyncio.to_thread(get, f"http://{address}/stats?filter={stat}$")


@pytest.mark.parametrize(("pod", "answer", "failures"), [(shed, BUSY, 2), (None, BAD_GATEWAY, 1)])
def test_envoy_ejects_a_pod_that_is_busy_or_dead(
    tmp_path: Path, pod: Serve | None, answer: int, failures: int
) -> None:
    settings = {**EJECTING, "consecutive_5xx": failures}

    async def answers() -> tuple[list[int], list[int]]:
        async with edge(tmp_path, hold, pod, proxy="envoy", **settings) as running:
            before: list[int] = []
            while before.count(answer) < failures:
                await until(tmp_path, f"{OUTLIERS}.ejections_active", 0)
                before.append(await running.status())
            await until(tmp_path, f"{OUTLIERS}.ejections_active", 1)
            # The main thread has ejected it. The worker learns of it a moment later, and then asks the other
            # pod twice in a row.
            told = [await running.status()]
            while told[-2:] != [UP, UP]:
                told.append(await running.status())
            return before, [await running.status() for _ in range(ASKED)]

    before, after = asyncio.run(answers())
    assert set(before) <= {UP, answer}
    assert after == [UP] * ASKED


def test_ten_per_cent_of_two_pods_is_none(tmp_path: Path) -> None:
    async def answers() -> Counter[int]:
        async with edge(tmp_path, hold, shed, proxy="envoy", consecutive_5xx=1) as running:
            first = [await running.status() for _ in range(2)]
            await until(tmp_path, f"{OUTLIERS}.ejections_overflow", 1)
            return Counter(first + [await running.status() for _ in range(ASKED - 2)])

    assert asyncio.run(answers()) == {UP: 6, BUSY: 6}


def test_envoy_goes_on_with_all_pods_where_most_are_ejected(tmp_path: Path) -> None:
    settings = {**EJECTING, "consecutive_5xx": 1, "max_ejection_percent": 100}

    async def answers() -> Counter[int]:
        async with edge(tmp_path, shed, shed, proxy="envoy", **settings) as running:
            found: list[int] = []
            for ejected in (1, 2):
                found += [await running.status()]
                await until(tmp_path, f"{OUTLIERS}.ejections_active", ejected)
            return Counter(found + [await running.status() for _ in range(ASKED)])

    assert asyncio.run(answers()) == {BUSY: ASKED + 2}

"""One real sidecar before a pod that does as it is told: retries, time-outs, ejection, bounds, the limit."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from scenarios.host.machine import free_ports
from scenarios.host.process import StackError, Watch
from scenarios.proxies.sidecar_stats import SidecarLine, refused_per_second
from scenarios.proxies.sidecars import Sidecars
from scenarios.scenario.validate import build
from tests.e2e.command_line import PATIENCE_S
from tests.support.serving import serving

pytestmark = pytest.mark.e2e

OPEN = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class TestedPod:
    """Answers each new connection with the next of `answers`, then for ever with the last one.

    An answer may be bytes, `hang` or `reset`.
    """

    __test__ = False
    index = 0

    def __init__(self, *answers: bytes | str) -> None:
        self.answers = list(answers)
        self.asked = 0
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "reset":
            writer.transport.abort()
            return
        if isinstance(answer, bytes):
            writer.write(answer)
        await reader.read()


class Talk:
    """A running sidecar, and how to talk to it."""

    def __init__(self, sidecars: Sidecars, lines: list[SidecarLine], watch: Watch) -> None:
        self.sidecars = sidecars
        self.lines = lines
        self.watch = watch
        self._open: list[asyncio.StreamWriter] = []

    async def connect(self, address: str = "198.51.100.1", query: str = "transport=websocket") -> int:
        """A WebSocket's upgrade, on a connection that stays open; returns the status."""
        host, _, port = self.sidecars.address(0).partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        self._open.append(writer)
        writer.write(
            f"GET /socket.io/?EIO=4&{query} HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: {address}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n"), PATIENCE_S)
        return int(head.split()[1])

    async def hang_up(self) -> None:
        for writer in self._open:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._open), return_exceptions=True)

    async def counted(self, name: str, wanted: int) -> int:
        """What the sidecar's lines have counted, once it is as many as wanted, or patience is at its end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self._total(name) < wanted:  # noqa: ASYNC110 - it comes line by line
                    await asyncio.sleep(0.05)
        return self._total(name)

    async def counted_by_now(self, name: str) -> int:
        """What the sidecar had counted by now."""
        # Of two more lines, the second one is asked for after now.
        seen = len(self._whole_lines()) + 2
        async with asyncio.timeout(PATIENCE_S):
            while len(self._whole_lines()) < seen:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
        return self._total(name)

    def _whole_lines(self) -> list[SidecarLine]:
        return [line for line in self.lines if line.counts is not None]

    def _total(self, name: str) -> int:
        return sum((line.counts or {}).get(name, 0) for line in self.lines)


@contextlib.asynccontextmanager
async def _running(mesh: dict[str, Any], pod: TestedPod, folder: Path) -> AsyncIterator[Talk]:
    scenario = build({"mesh": {"sidecar": "envoy", **mesh}, "fleet": {"clients": 10}}, source="test")
    lines: list[SidecarLine] = []
    async with contextlib.AsyncExitStack() as stops:
        await stops.enter_async_context(serving(pod.serve, pod.port))
        watch = Watch()
        stops.push_async_callback(watch.stop)
        sidecars = Sidecars(
            scenario,
            epoch_ns=0,
            directory=folder / "sidecars",
            cores=(),
            watch=watch,
            on_line=lambda _pod, line: lines.append(line),
        )
        stops.push_async_callback(sidecars.stop)
        talk = Talk(sidecars, lines, watch)
        stops.push_async_callback(talk.hang_up)
        await sidecars.add([pod])
        await sidecars.enforce_limit()
        yield talk


def carried_out(
    mesh: dict[str, Any], pod: TestedPod, folder: Path, body: Callable[[Talk], Awaitable[None]]
) -> None:
    async def all_of_it() -> None:
        async with _running(mesh, pod, folder) as talk:
            await body(talk)

    asyncio.run(all_of_it())


def test_one_that_dies_is_noticed_and_named(tmp_path: Path) -> None:
    async def body(talk: Talk) -> None:
        (child,) = talk.sidecars.children
        child.process.kill()
        with pytest.raises(StackError, match=r"sidecar-0 ended by itself \(killed by SIGKILL\)"):
            await asyncio.wait_for(talk.watch.failed(), PATIENCE_S)

    carried_out({}, TestedPod(OPEN), tmp_path, body)


RETRYING = {"retries": 3, "retry_on": ["connect-failure", "reset", "gateway-error", "503"]}


@pytest.mark.parametrize(
    ("answers", "mesh"),
    [
        (("reset", OPEN), {}),
        ((BUSY, OPEN), {}),
        # The second attempt has as long, also on a machine that stands still for a while.
        (("hang", OPEN), {"per_try_timeout_s": 5}),
    ],
    ids=["a connection that breaks", "a pod that sheds", "a pod that does not answer in time"],
)
def test_a_websocket_that_was_not_opened_is_tried_again(
    tmp_path: Path, answers: tuple[bytes | str, ...], mesh: dict[str, Any]
) -> None:
    pod = TestedPod(*answers)

    async def body(talk: Talk) -> None:
        assert await talk.connect() == 101
        assert pod.asked == 2
        assert await talk.counted("retries", 1) == 1
        assert await talk.counted("retry_successes", 1) == 1

    carried_out({**RETRYING, **mesh}, pod, tmp_path, body)


def test_without_retries_a_slow_pod_is_waited_for_and_a_broken_one_is_the_clients_to_try_again(
    tmp_path: Path,
) -> None:
    pod = TestedPod("reset", "hang")

    async def body(talk: Talk) -> None:
        assert await talk.connect() == 502, "as nginx says it"
        waiting = asyncio.create_task(talk.connect())
        async with asyncio.timeout(PATIENCE_S):
            while pod.asked < 2:  # noqa: ASYNC110 - the pod is no part of what is tested
                await asyncio.sleep(0.05)
        assert await talk.counted_by_now("retries") == 0
        assert pod.asked == 2
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])

    carried_out({}, pod, tmp_path, body)
    assert not refused_per_second(tmp_path / "sidecars", 0.0), "that is no refusal"


def test_a_pod_that_fails_on_end_is_ejected_and_its_sidecar_answers_for_it(tmp_path: Path) -> None:
    pod = TestedPod(BUSY)
    ejected = 0

    async def body(talk: Talk) -> None:
        nonlocal ejected
        assert [await talk.connect() for _ in range(3)] == [503] * 3
        assert pod.asked == 3
        assert await talk.counted("ejections", 1) == 1
        async with asyncio.timeout(PATIENCE_S):
            # Its worker hears of it from its main thread, a moment later.
            while not ejected:
                asked = pod.asked
                assert await talk.connect() == 503
                ejected += pod.asked == asked
            pod.answers = [OPEN]
            while await talk.connect() != 101:
                ejected += 1
                await asyncio.sleep(0.1)

    carried_out({"outlier_failures": 3, "outlier_ejection_s": 4}, pod, tmp_path, body)
    refused = sum(refused_per_second(tmp_path / "sidecars", 0.0).values())
    assert refused == ejected, "the pod's own 503 are its own"


def test_a_circuit_breaker_turns_away_who_would_be_one_connection_too_many(tmp_path: Path) -> None:
    pod = TestedPod(OPEN)

    async def body(talk: Talk) -> None:
        assert [await talk.connect() for _ in range(2)] == [101, 101]
        waiting = asyncio.create_task(talk.connect())
        assert await talk.counted("connection_overflow", 1) >= 1
        assert not waiting.done(), "one may wait for a connection"
        assert await talk.connect() == 503
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await talk.counted("pending_overflow", 1) == 1

    carried_out({"max_connections": 2, "max_pending": 1}, pod, tmp_path, body)


@pytest.mark.parametrize(
    ("source", "let_in"),
    [("forwarded", {"198.51.100.1": 3, "198.51.100.2": 3}), ("peer", {"198.51.100.1": 3})],
)
def test_a_limit_counts_by_the_address_that_it_is_told_or_takes_all_for_one(
    tmp_path: Path, source: str, let_in: dict[str, int]
) -> None:
    pod = TestedPod(OPEN)
    found: Counter[str] = Counter()

    async def body(talk: Talk) -> None:
        for address in ("198.51.100.1", "198.51.100.2"):
            statuses = [await talk.connect(address) for _ in range(5)]
            assert set(statuses) <= {101, 429}
            found.update({address: statuses.count(101)} if 101 in statuses else {})
        assert await talk.connect(query="transport=websocket&sid=abc") == 101, "that is no new connection"
        refused = 10 - found.total()
        assert await talk.counted("limited", refused) == refused

    # One a minute: a fourth would be let in by then.
    carried_out({"limit": {"name": "per-ip", "rate_per_s": 1 / 60}, "source": source}, pod, tmp_path, body)
    assert found == let_in

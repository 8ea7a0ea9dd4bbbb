"""A pod as its keeper sees it: on a host with a clock, and a CPU account, of its own."""

import asyncio
import sys
from pathlib import Path

import aiohttp
import msgspec
import pytest
from msgspec.structs import replace

from gateway_stub.feed_schedule import FeedSchedule
from gateway_stub.protocol import Controls, PodStatistics, Settings
from scenarios.host.hosts import CpuReading
from scenarios.host.machine import free_ports
from scenarios.host.process import LocalChild, StackError, Watch, start
from scenarios.stack import stub_pod
from scenarios.stack.stub_pod import StubPod, by_reading
from scenarios.wire.pod_second import PodSecond, of_stub

LINE = PodStatistics(
    t_ns=9_000,
    span_ns=1_000,
    cpu_ns=77,
    occupied_ns=0,
    lag_ms=0,
    clients=0,
    handshakes=0,
    joined=0,
    gone_early=0,
    short_sessions=0,
    ticks_sent=0,
    tick_late_ms=0,
)


def reading(t_ns: int, cpu_ns: int, throttled_ns: int = 0) -> CpuReading:
    return CpuReading(t_ns=t_ns, cpu_ns=cpu_ns, throttled_ns=throttled_ns)


READINGS: dict[str, tuple[CpuReading, CpuReading, tuple[int, int]]] = {
    "of the same second": (reading(0, 0), reading(1_000, 600, 300), (600, 300)),
    "of a longer time": (reading(500, 100), reading(2_500, 1_300, 100), (600, 50)),
    "none in between": (reading(500, 100), reading(500, 100), (77, 0)),
}


@pytest.mark.parametrize(("last", "now", "expected"), READINGS.values(), ids=READINGS)
def test_a_line_has_the_cpu_of_its_host_between_two_readings(
    last: CpuReading, now: CpuReading, expected: tuple[int, int]
) -> None:
    line = by_reading(LINE, last, now)
    assert (line.cpu_ns, line.throttled_ns) == expected


def test_controls_are_translated_to_a_clock_that_is_ahead() -> None:
    feed = FeedSchedule.of(1_000, 5)
    controls = Controls(handshake_cpu_ms=3, feed=feed, feed_stalled_until_ns=500)
    shifted = controls.shifted(10_000)
    assert shifted.feed is not None
    assert shifted.feed.due_ns(0) == 11_000
    assert shifted.feed_stalled_until_ns == 10_500
    assert shifted.handshake_cpu_ms == 3


def test_no_feed_and_no_stall_stay_none() -> None:
    assert Controls().shifted(10_000) == Controls()


class Talker:
    """A host whose pod says one line after the other, and ends."""

    address = listen = "127.0.0.1"
    port, control_port = 9, 10
    clock_ahead_ns = 0
    reading: CpuReading | None = None

    def __init__(self, *lines: bytes) -> None:
        self._lines = lines

    async def start(self, settings: Settings, *, log: Path, descriptors: int) -> LocalChild:
        program = f"import sys; [sys.stdout.buffer.write(line + b'\\n') for line in {self._lines!r}]"
        file = log.with_suffix(".py")
        file.write_text(program, encoding="utf-8")
        return await start(
            "pod", [sys.executable, "-S", str(file)], log=log, descriptors=descriptors, pipe_output=True
        )


NO_LINES = {
    "half a line": b'{"t_ns":',
    "no text": b'{"t_ns":"\xff"}',
    "something that a library prints": b"warning: slow",
    "nested without end": b"[" * 50_000,
    "longer than any buffer": b"x" * 300_000,
}


@pytest.mark.parametrize("said", NO_LINES.values(), ids=NO_LINES)
def test_a_line_that_is_no_statistics_makes_nobody_deaf_for_those_to_come(
    tmp_path: Path, said: bytes
) -> None:
    heard: list[PodSecond] = []

    async def listen() -> None:
        good = msgspec.json.encode(LINE)
        watch = Watch()
        async with aiohttp.ClientSession() as http:
            pod = StubPod(
                0,
                Settings(name="pod-0", token="t", epoch_ns=0, controls=Controls()),
                host=Talker(good, said, good),
                log=tmp_path / "pod.log",
                descriptors=64,
                http=http,
                watch=watch,
                on_second=lambda _, line: heard.append(line),
            )
            await pod.start(Controls())
            assert pod.child is not None
            await pod.child.wait()
            await pod.end(at_once=True)
        await watch.stop()

    asyncio.run(listen())
    assert [replace(line, rss_bytes=None) for line in heard] == [of_stub(LINE)] * 2


class Mortal(Talker):
    """A host whose pod is killed by the first order."""

    def __init__(self) -> None:
        self.port, self.control_port = free_ports(2)

    async def start(self, settings: Settings, *, log: Path, descriptors: int) -> LocalChild:
        program = (
            f"import os, socket; server = socket.create_server(('127.0.0.1', {self.control_port}));"
            " print(flush=True); server.accept()[0].recv(1); os.kill(os.getpid(), 9)"
        )
        child = await start(
            "pod", [sys.executable, "-S", "-c", program], log=log, descriptors=descriptors, pipe_output=True
        )
        assert await anext(child.lines()) == b"\n"
        return child


def test_a_pod_that_dies_of_an_order_is_said_to_have_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It loses its connections some time before it has ended, where the machine is busy.
    monkeypatch.setattr(stub_pod, "_END_S", 60.0)

    async def order() -> None:
        watch = Watch()
        async with aiohttp.ClientSession() as http:
            pod = StubPod(
                0,
                Settings(name="pod-0", token="t", epoch_ns=0, controls=Controls()),
                host=Mortal(),
                log=tmp_path / "pod.log",
                descriptors=64,
                http=http,
                watch=watch,
                on_second=lambda *_: None,
            )
            await pod.start(Controls())
            try:
                await pod.drop(1, seed=0)
            finally:
                await pod.end(at_once=True)
                await watch.stop()

    with pytest.raises(StackError, match="SIGKILL"):
        asyncio.run(order())


@pytest.mark.parametrize("error", [StackError("gone"), RuntimeError("gone")], ids=["expected", "unexpected"])
def test_whatever_ends_what_is_watched_is_told(error: Exception) -> None:
    async def fail() -> None:
        raise error

    async def told() -> None:
        watch = Watch()
        watch.also(fail())
        async with asyncio.timeout(60):
            await watch.failed()

    with pytest.raises(StackError, match="gone"):
        asyncio.run(told())

"""The host agent and the runner's end of its WebSocket, with small processes instead of pods."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp import web

from gateway_stub.protocol import TOKEN_HEADER, Settings
from scenarios.agent import server
from scenarios.agent.server import Agent
from scenarios.host.cpu_account import CpuUse, ProcessTree
from scenarios.host.dns import Address
from scenarios.host.hosts import CpuReading
from scenarios.host.process import LocalChild, StackError, Watch, start
from scenarios.stack.remote import channel as agent_channel
from scenarios.stack.remote.channel import AgentChannel, RemoteChild
from scenarios.wire.agent import (
    CLOCK_PATH,
    HEALTH_PATH,
    HOST_PATH,
    LOG_PATH,
    TAKE_PATH,
    Configure,
    Done,
    Order,
    Refused,
    Reload,
    Role,
    Signal,
    StartNginx,
    StartPod,
    Taken,
    decode_order,
    decode_report,
    encode,
)
from scenarios.wire.prometheus_text import CONTENT_TYPE, METRICS_PATH

TOKEN = "a-token-for-tests"
PATIENCE_S = 60.0
TALKER = "import sys, time; print('one', flush=True); print('two', flush=True); time.sleep(60)"
COMPLAINER = "import sys; sys.stderr.write('no luck\\n'); sys.exit(7)"
START = StartPod(Settings(token="t"), 256)


class Processes:
    """A role of which every process runs the same few lines of Python."""

    role: Role = "gateway"
    port = 8000
    control_port = 8001

    def __init__(self, folder: Path, program: str = TALKER) -> None:
        self.logs = folder
        self.serving = False
        self.program = program
        self.children: list[LocalChild] = []
        self.begun = 0
        self.tells = True

    def begin(self) -> None:
        self.begun += 1

    async def carry_out(self, order: Order) -> LocalChild | None:
        if not isinstance(order, StartPod):
            raise StackError("not here")
        program = [sys.executable, "-S", "-c", self.program]
        child = await start("pod", program, log=self.logs / "pod.log", pipe_output=True)
        self.children.append(child)
        return child

    def metrics(self, use: CpuUse) -> str:
        return f"cpu {min(0, use.cpu_ns)}\n" if self.tells else ""

    async def idle(self) -> None:
        self.serving = True
        try:
            await asyncio.Event().wait()
        finally:
            self.serving = False


class Bench:
    """An agent on a port of its own, and how to reach it."""

    def __init__(self, role: Processes, http: aiohttp.ClientSession, address: Address) -> None:
        self.role = role
        self.http = http
        self.address = address
        self.url = f"http://{address[0]}:{address[1]}"
        self.readings: list[CpuReading] = []

    async def take(self, token: str = TOKEN) -> AgentChannel:
        return await AgentChannel.take(self.http, self.address, token, self.readings.append)


@contextlib.asynccontextmanager
async def bench(
    folder: Path, program: str = TALKER, account: ProcessTree | None = None
) -> AsyncIterator[Bench]:
    role = Processes(folder, program)
    agent = Agent(
        role,
        listen="127.0.0.1",
        token=TOKEN,
        account=account or ProcessTree(),
        trust=("192.0.2.0/24", "2001:db8::/32"),
    )
    runner = web.AppRunner(agent.app(), access_log=None, shutdown_timeout=5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield Bench(role, http, runner.addresses[0])
    finally:
        await runner.cleanup()
        for child in role.children:
            await child.kill()


def on_a_bench(folder: Path, test: Callable[[Bench], Awaitable[None]], program: str = TALKER) -> None:
    async def run() -> None:
        async with bench(folder, program) as made, asyncio.timeout(PATIENCE_S):
            await test(made)

    asyncio.run(run())


async def unanswered(channel: AgentChannel) -> Done:
    """The answer to what was sent past the channel."""
    answer: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
    channel._unanswered.append(answer)
    return await answer


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - it is not our event
        await asyncio.sleep(0.01)


def test_nothing_but_health_and_metrics_is_told_without_the_token(tmp_path: Path) -> None:
    async def ask(made: Bench) -> None:
        for path in (HOST_PATH, CLOCK_PATH, TAKE_PATH, LOG_PATH.format(name="error.log"), "/elsewhere"):
            for headers in ({}, {TOKEN_HEADER: "wrong"}, {TOKEN_HEADER: ""}):
                async with made.http.get(made.url + path, headers=headers) as response:
                    assert response.status == 403
        async with made.http.get(made.url + HEALTH_PATH) as response:
            assert response.status == 200
        async with made.http.get(made.url + METRICS_PATH) as response:
            assert (response.status, response.headers["Content-Type"]) == (200, CONTENT_TYPE)
            assert await response.text() == "cpu 0\n"
        made.role.tells = False
        async with made.http.get(made.url + METRICS_PATH) as response:
            assert response.status == 404
        with pytest.raises(StackError, match="cannot be acquired: 403"):
            await made.take("wrong")
        assert made.role.begun == 0

    on_a_bench(tmp_path, ask)


@pytest.mark.parametrize(
    ("role", "trusted"),
    [("nginx", ("127.0.0.0/8", "192.0.2.0/24", "2001:db8::/32")), ("gateway", ())],
)
def test_only_nginx_has_networks_to_believe(tmp_path: Path, role: Role, trusted: tuple[str, ...]) -> None:
    async def ask(made: Bench) -> None:
        made.role.role = role
        async with made.http.get(made.url + HOST_PATH, headers={TOKEN_HEADER: TOKEN}) as answer:
            assert tuple((await answer.json())["trusted"]) == trusted

    on_a_bench(tmp_path, ask)


def test_a_process_is_started_followed_and_killed(tmp_path: Path) -> None:
    async def follow(made: Bench) -> None:
        channel = await made.take()
        assert channel.logs == tmp_path
        assert not made.role.serving
        child = await channel.start("pod-0", START, tmp_path / "pod-0.log")
        lines = child.lines()
        assert [await anext(lines), await anext(lines)] == [b"one\n", b"two\n"]
        assert child.ended() is None
        await child.pause()
        process = psutil.Process(made.role.children[0].pid)
        await until(lambda: process.status() == psutil.STATUS_STOPPED)
        await child.resume()
        await until(lambda: process.status() != psutil.STATUS_STOPPED)
        with pytest.raises(StackError, match="pod is still running"):
            await channel.order(START)
        await child.kill()
        assert str(child.ended()).startswith("pod-0 ended (killed by SIGKILL)")
        again = await channel.start("pod-0", START, tmp_path / "pod-0.log")
        assert await anext(again.lines()) == b"one\n"
        await again.stop()
        assert "SIGTERM" in str(again.ended())
        await again.stop()
        await until(lambda: len(made.readings) > 0)
        await channel.close()
        await until(lambda: made.role.serving)

    on_a_bench(tmp_path, follow)


def test_a_process_that_ends_by_itself_is_noticed_with_its_last_words(tmp_path: Path) -> None:
    async def notice(made: Bench) -> None:
        channel = await made.take()
        watch = Watch()
        child = await channel.start("pod-0", START, tmp_path / "run.log")
        watch.over(child)
        with pytest.raises(StackError, match=r"pod-0 ended by itself \(exit status 7\); .*run.log: no luck"):
            await watch.failed()
        await watch.stop()
        await channel.close()

    on_a_bench(tmp_path, notice, COMPLAINER)


def test_what_a_runner_has_started_ends_when_it_leaves(tmp_path: Path) -> None:
    async def leave(made: Bench) -> None:
        channel = await made.take()
        child = await channel.start("pod-0", START, tmp_path / "pod-0.log")
        await channel.close()
        await until(lambda: made.role.children[0].ended() is not None)
        await child.wait()
        assert "unreachable" in str(child.ended_by_itself())
        await until(lambda: made.role.serving)

    on_a_bench(tmp_path, leave)


def test_a_runner_hears_of_an_agent_that_goes(tmp_path: Path) -> None:
    async def lose(made: Bench) -> None:
        channel = await made.take()
        child = await channel.start("pod-0", START, tmp_path / "pod-0.log")
        # What a connection that breaks looks like from here.
        await channel._socket.close()
        await child.wait()
        assert "pod-0 is unreachable: lost the host agent at 127.0.0.1" in str(child.ended())
        with pytest.raises(StackError, match="does not answer"):
            await channel.order(Reload())
        await child.kill()
        await channel.close()

    on_a_bench(tmp_path, lose)


def test_an_agent_that_is_told_to_end_takes_its_process_along(tmp_path: Path) -> None:
    async def end() -> None:
        async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as http:
            async with bench(tmp_path) as made:
                made.http = http
                channel = await made.take()
                child = await channel.start("pod-0", START, tmp_path / "pod-0.log")
            assert made.role.children[0].ended() is not None
            await child.wait()
            await channel.close()
            assert not made.role.serving

    asyncio.run(end())


@pytest.mark.parametrize("how", ["too late", "broken off"])
def test_a_late_answer_is_not_taken_for_that_of_the_next_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async def late(made: Bench) -> None:
        channel = await made.take()
        going = asyncio.Event()
        carry_out = made.role.carry_out

        async def slowly(order: Order) -> LocalChild | None:
            if isinstance(order, Reload):
                await going.wait()
            return await carry_out(order)

        monkeypatch.setattr(made.role, "carry_out", slowly)
        if how == "too late":
            monkeypatch.setattr(agent_channel, "_ORDER_TIMEOUT_S", 0.05)
            with pytest.raises(StackError, match="does not answer"):
                await channel.order(Reload())
            monkeypatch.setattr(agent_channel, "_ORDER_TIMEOUT_S", PATIENCE_S)
        else:
            waiting = asyncio.create_task(channel.order(Reload()))
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        going.set()
        # "not here" is what the order before says.
        child = await channel.start("pod-0", START, tmp_path / "pod-0.log")
        await child.kill()
        with pytest.raises(StackError, match="not here"):
            await channel.order(Reload())
        await channel.close()

    on_a_bench(tmp_path, late)


def test_an_end_that_is_never_reported_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(made: Bench) -> None:
        channel = await made.take()
        child = await channel.start("pod-0", START, tmp_path / "pod-0.log")
        lines = asyncio.create_task(read(child))
        monkeypatch.setattr(agent_channel, "_ORDER_TIMEOUT_S", 0.05)
        monkeypatch.setattr(RemoteChild, "on_end", lambda self, end: end or on_end(self, None))
        await child.kill()
        await lines
        await channel.close()

    async def read(child: RemoteChild) -> list[bytes]:
        return [line async for line in child.lines()]

    on_end = RemoteChild.on_end
    on_a_bench(tmp_path, wait)


def test_a_process_that_has_died_may_be_paused_and_resumed(tmp_path: Path) -> None:
    async def pause() -> None:
        child = await start("pod", [sys.executable, "-S", "-c", ""], log=tmp_path / "pod.log")
        await child.wait()
        await child.pause()
        await child.resume()

    asyncio.run(pause())


def test_a_host_has_one_runner_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_LEAVING_S", 0.05)

    async def compete(made: Bench) -> None:
        first = await made.take()
        with pytest.raises(StackError, match="cannot be acquired: in use by another run"):
            await made.take()
        async with made.http.get(made.url + HEALTH_PATH) as response:
            assert await response.text() == "taken\n"
        await first.close()
        monkeypatch.setattr(server, "_LEAVING_S", PATIENCE_S)
        second = await made.take()
        assert made.role.begun == 2
        await second.close()

    on_a_bench(tmp_path, compete)


def test_an_order_that_cannot_be_carried_out_says_why(tmp_path: Path) -> None:
    async def fail(made: Bench) -> None:
        channel = await made.take()
        await channel.order(Signal("kill"))
        with pytest.raises(StackError, match="nginx did not start: not here"):
            await channel.start("nginx", StartNginx(256), tmp_path / "error.log")
        await channel._socket.send_bytes(b"\xc1")
        done = await unanswered(channel)
        assert done.problem.startswith("invalid order")
        await channel.close()

    on_a_bench(tmp_path, fail)


class Clumsy(Processes):
    """A role that fails at first, in one way after the other."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, TALKER)
        self.errors: list[Exception] = [StackError("no"), OSError("no"), ValueError("no"), RuntimeError("no")]

    async def idle(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        await super().idle()


def test_a_host_that_nobody_has_taken_is_useful_again_whatever_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_AGAIN_S", 0.01)

    async def serve() -> None:
        role = Clumsy(tmp_path)
        agent = Agent(role, listen="127.0.0.1", token=TOKEN, account=ProcessTree())
        runner = web.AppRunner(agent.app(), access_log=None)
        await runner.setup()
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: role.serving)
        await runner.cleanup()

    asyncio.run(serve())


class Unreadable(ProcessTree):
    """An account that cannot be read at first."""

    def __init__(self) -> None:
        self.errors: list[Exception] = [KeyError("usage_usec")]

    def use(self) -> CpuUse:
        if self.errors:
            raise self.errors.pop(0)
        return super().use()


def test_an_account_of_cpu_that_cannot_be_read_now_is_read_later(tmp_path: Path) -> None:
    account = Unreadable()

    async def read() -> None:
        async with bench(tmp_path, account=account) as made, asyncio.timeout(PATIENCE_S):
            async with made.http.get(made.url + METRICS_PATH) as response:
                assert response.status == 503
            account.errors.append(KeyError("usage_usec"))
            channel = await made.take()
            await until(lambda: len(made.readings) > 0)
            await channel.close()

    asyncio.run(read())
    assert account.errors == []


MESSAGES = [START, Configure("text"), StartNginx(7), Reload(), Signal("cont")]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_orders_arrive_as_they_were_sent(message: Order) -> None:
    assert decode_order(encode(message)) == message


REPORTS = [Taken("/logs"), Refused("why"), Done(), CpuReading(t_ns=1, cpu_ns=2, throttled_ns=3)]


@pytest.mark.parametrize("message", REPORTS, ids=lambda message: type(message).__name__)
def test_reports_arrive_as_they_were_sent(message: object) -> None:
    assert decode_report(encode(message)) == message


def test_no_order_has_a_command_line() -> None:
    fields = {
        name for order in (StartPod, Configure, StartNginx, Reload, Signal) for name in order.__annotations__
    }
    assert fields == {"settings", "descriptors", "text", "name"}

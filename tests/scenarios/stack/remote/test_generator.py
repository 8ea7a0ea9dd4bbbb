"""The run's side of the channel to a standing Locust master; the master is played by the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.generator.channel_server import RefusedError, greeted
from scenarios.host.machine import free_ports
from scenarios.host.process import StackError
from scenarios.scenario.model import Fleet, Scenario, Target
from scenarios.stack.channel import MessageStream
from scenarios.stack.remote.generator import RemoteGenerator
from scenarios.wire.interval import Interval
from scenarios.wire.orders import (
    Aborted,
    Begin,
    Begun,
    Cut,
    Ended,
    Finalise,
    Finalised,
    GeneratorSettings,
    Hello,
    Message,
    PushPolicy,
    Refused,
    SetFeed,
)
from tests.support.intervals import interval

SCENARIO = Scenario(fleet=Fleet(clients=30), target=Target(headers={"X-A": "1"}))
URL = "http://nginx:8080"
FEED = FeedSchedule.of(0, 5.0)

Script = Callable[[MessageStream], Awaitable[None]]


@asynccontextmanager
async def master(play: Script, heard: list[Message | None]) -> AsyncIterator[tuple[str, int]]:
    """Listens on loopback, hears who comes and what for, and plays its part."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = MessageStream(reader, writer)
        try:
            heard.extend([await stream.receive(), await stream.receive()])
            await play(stream)
        finally:
            await stream.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()


async def started(address: tuple[str, int], took: list[Interval], **options: bool) -> RemoteGenerator:
    return await RemoteGenerator.start(
        SCENARIO,
        address=address,
        token="a token",
        target_url=URL,
        epoch_ns=7,
        on_interval=took.append,
        clock_url=f"{URL}/healthz/clock",
        **options,
    )


def test_a_storm_is_begun_ordered_about_and_ended() -> None:
    heard: list[Message | None] = []
    took: list[Interval] = []

    async def play(stream: MessageStream) -> None:
        await stream.send(Begun(2), interval(0))
        while (order := await stream.receive()) is not None:
            heard.append(order)
            if isinstance(order, Finalise):
                await stream.send(interval(1), Finalised())

    async def scene() -> None:
        async with master(play, heard) as address:
            generator = await started(address, took)
            assert generator.workers == 2
            await generator.push_policy("spread", 2.5)
            await generator.cut(0.5)
            await generator.set_feed(FEED)
            await generator.finalise()
            assert took == [interval(0), interval(1)]
            await generator.stop()

    asyncio.run(scene())
    hello, begin, *orders = heard
    assert hello == Hello("a token")
    assert isinstance(begin, Begin)
    assert begin.settings.scenario.target == Target(url=URL, headers={"X-A": "1"})
    assert (begin.settings.epoch_ns, begin.settings.clock_url) == (7, f"{URL}/healthz/clock")
    assert (begin.settings.own_stack, begin.settings.allow_remote) == (True, True)
    assert orders == [PushPolicy("spread", 2.5), Cut(0.5), SetFeed(FEED), Finalise()]


@pytest.mark.parametrize("allowed", [False, True])
def test_somebody_elses_gateway_needs_permission_as_ever(allowed: bool) -> None:
    heard: list[Message | None] = []

    async def play(stream: MessageStream) -> None:
        await stream.send(Begun(1))
        await stream.receive()

    async def scene() -> None:
        async with master(play, heard) as address:
            await (await started(address, [], own_stack=False, allow_remote=allowed)).stop()

    asyncio.run(scene())
    begin = heard[1]
    assert isinstance(begin, Begin)
    assert (begin.settings.own_stack, begin.settings.allow_remote) == (False, allowed)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Refused("one at a time"), r"the Locust master at 127\.0\.0\.1:\d+ refused: one at a time"),
        (None, "refused: it closed the connection"),
    ],
)
def test_a_master_that_refuses_says_why(answer: Message | None, problem: str) -> None:
    async def play(stream: MessageStream) -> None:
        if answer is not None:
            await stream.send(answer)
            await stream.receive()

    async def scene() -> None:
        async with master(play, []) as address:
            await started(address, [])

    with pytest.raises(StackError, match=problem):
        asyncio.run(scene())


def test_nobody_there_is_an_error() -> None:
    (port,) = free_ports(1)
    with pytest.raises(StackError, match=rf"master at 127\.0\.0\.1:{port} cannot be reached: .+"):
        asyncio.run(started(("127.0.0.1", port), []))


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ((Ended("the test was stopped"),), "^generator: the test was stopped$"),
        ((), "^generator: the channel was closed$"),
    ],
)
def test_a_master_that_ends_the_test_makes_the_run_fail(said: tuple[Message, ...], problem: str) -> None:
    async def play(stream: MessageStream) -> None:
        await stream.send(Begun(1), *said)
        if said:
            await stream.receive()

    async def scene() -> None:
        async with master(play, []) as address:
            generator = await started(address, [])
            try:
                await generator.failed()
            finally:
                await generator.stop()

    with pytest.raises(StackError, match=problem):
        asyncio.run(scene())


def test_an_abort_condition_makes_the_run_fail_with_its_reason() -> None:
    async def play(stream: MessageStream) -> None:
        await stream.send(Begun(1), Aborted("too slow"), Aborted("still"))
        while await stream.receive() is not None:
            pass

    async def scene() -> None:
        async with master(play, []) as address:
            generator = await started(address, [])
            try:
                await generator.wait_aborted()
            finally:
                await generator.stop()

    with pytest.raises(StackError, match=r"^aborted: too slow$"):
        asyncio.run(scene())


SETTINGS = GeneratorSettings(scenario=SCENARIO, epoch_ns=0)
GREETINGS: dict[str, tuple[list[Message], str]] = {
    "nothing": ([], "wrong or missing token"),
    "a wrong token": ([Hello("a tokem"), Begin(SETTINGS)], "wrong or missing token"),
    "a prefix of the token": ([Hello("a toke")], "wrong or missing token"),
    "settings without a token": ([Finalise()], "wrong or missing token"),
    "a token and nothing else": ([Hello("a token")], "invalid message after the token: expected settings"),
    "a token and an order": (
        [Hello("a token"), Finalise()],
        "invalid message after the token: expected settings",
    ),
}


@pytest.mark.parametrize(("messages", "problem"), GREETINGS.values(), ids=GREETINGS)
def test_only_who_has_the_token_may_begin(messages: list[Message], problem: str) -> None:
    with pytest.raises(RefusedError, match=problem):
        greeted(iter(messages), "a token")


def test_who_has_it_gets_what_it_wants() -> None:
    assert greeted(iter([Hello("a token"), Begin(SETTINGS)]), "a token") == SETTINGS

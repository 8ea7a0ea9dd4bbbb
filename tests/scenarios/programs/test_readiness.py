"""Whether a program is ready: by a path, an Engine.IO session, or a connection."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
import socketio
from aiohttp import web

from scenarios.host.machine import free_ports
from scenarios.programs.readiness import answers, opens_session, takes_connections

Ask = Callable[[aiohttp.ClientSession, int], Awaitable[bool]]

ASKED: dict[str, tuple[Ask, bool]] = {
    "a path that answers 200": (lambda http, port: answers(http, f"http://127.0.0.1:{port}/ready", 60), True),
    "a path that answers 503": (lambda http, port: answers(http, f"http://127.0.0.1:{port}/busy", 60), False),
    "a path that takes too long": (
        lambda http, port: answers(http, f"http://127.0.0.1:{port}/slow", 0.1),
        False,
    ),
    "an Engine.IO session": (
        lambda http, port: opens_session(http, f"http://127.0.0.1:{port}/realtime/", 60),
        True,
    ),
    "another path than Engine.IO's": (
        lambda http, port: opens_session(http, f"http://127.0.0.1:{port}/ready", 60),
        False,
    ),
    "an open port": (lambda _, port: takes_connections(port, 60), True),
}


async def slow(_request: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def busy(_request: web.Request) -> web.Response:
    return web.Response(status=503)


async def ready(_request: web.Request) -> web.Response:
    return web.Response()


async def asked_at_a_server(ask: Ask) -> bool:
    app = web.Application()
    app.add_routes([web.get("/ready", ready), web.get("/busy", busy), web.get("/slow", slow)])
    socketio.AsyncServer(async_mode="aiohttp").attach(app, socketio_path="realtime")
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as http:
            return await ask(http, port)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("ask", "expected"), ASKED.values(), ids=ASKED)
def test_a_server_is_asked_in_its_own_way(ask: Ask, expected: bool) -> None:
    assert asyncio.run(asked_at_a_server(ask)) is expected


@pytest.mark.parametrize("ask", [ask for ask, _ in ASKED.values()], ids=ASKED)
def test_where_nothing_listens_nothing_is_ready(ask: Ask) -> None:
    async def run() -> bool:
        async with aiohttp.ClientSession() as http:
            return await ask(http, free_ports(1)[0])

    assert not asyncio.run(run())

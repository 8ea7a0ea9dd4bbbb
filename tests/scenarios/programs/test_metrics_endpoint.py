"""Gauges by name from Prometheus' text format."""

import asyncio

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from scenarios.programs.metrics_endpoint import ask_gauges, read_gauges

NAMES = {"nodejs_eventloop_utilization", "lag"}
TEXTS = {
    "plain": (
        "nodejs_eventloop_utilization 0.25\nlag 0.01\n",
        {"nodejs_eventloop_utilization": [0.25], "lag": [0.01]},
    ),
    "with labels and a time": ('lag{le="a b"} 0.5 1700000000\n', {"lag": [0.5]}),
    "several": ('lag{w="1"} 0.1\nlag{w="2"} 0.3\n', {"lag": [0.1, 0.3]}),
    "a brace in a label": ('lag{path="/{id}"} 0.5\n', {"lag": [0.5]}),
    "comments and others": ("# HELP lag x\n# TYPE lag gauge\nother 5\nlag_total 7\nlag 1\n", {"lag": [1.0]}),
    "not a number": ("lag NaN\nnodejs_eventloop_utilization +Inf\n", {}),
    "no number": ("lag x\n", {}),
    "nothing": ("", {}),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_gauges_are_read_by_name(text: str, expected: dict[str, list[float]]) -> None:
    assert read_gauges(text, NAMES) == expected


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    read_gauges(text, NAMES)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_back(value: float) -> None:
    assert read_gauges(f"before 1\nlag {value!r}\nafter 2", NAMES) == {"lag": [value]}


def test_a_body_that_comes_in_pieces_is_read_to_its_end() -> None:
    async def pieces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(40):
            await response.write(b"other 1\n" * 1_000)
        await response.write(b"lag 0.25\n")
        return response

    async def moved(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/metrics")

    async def run() -> list[dict[str, list[float]]]:
        app = web.Application()
        app.add_routes([web.get("/metrics", pieces), web.get("/moved", moved)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        try:
            async with aiohttp.ClientSession() as http:
                base = f"http://127.0.0.1:{port}"
                return [await ask_gauges(http, base + path, NAMES, 60) for path in ("/metrics", "/moved")]
        finally:
            await runner.cleanup()

    assert asyncio.run(run()) == [{"lag": [0.25]}, {}]

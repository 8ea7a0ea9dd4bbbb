"""A gateway that accepts connections and answers 503 to every request."""

from aiohttp import web

from tests.support.gateways.shared import serve


async def answer(_request: web.Request) -> web.Response:
    return web.Response(text="waits for the database\n", status=503)


def main(_arguments: list[str]) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    serve(app)

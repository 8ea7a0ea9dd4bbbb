"""A gateway that takes CLIENTS, and closes the connection of every later one LIFE seconds after its join."""

import asyncio

import socketio

from tests.support.gateways.shared import gateway, serve


def main(arguments: list[str]) -> None:
    clients, life_s = arguments

    async def close_soon(sio: socketio.AsyncServer, sid: str) -> None:
        async def close() -> None:
            await asyncio.sleep(float(life_s))
            connection = sio.manager.eio_sid_from_sid(sid, "/")
            if connection is not None:
                await sio.eio.disconnect(connection)

        sio.start_background_task(close)

    serve(gateway(welcome=int(clients), later=close_soon))

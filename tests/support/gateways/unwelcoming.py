"""A gateway that takes CLIENTS, and disconnects every later one from the namespace, with packet 41."""

import asyncio

import socketio

from tests.support.gateways.shared import gateway, serve


async def disconnect_soon(sio: socketio.AsyncServer, sid: str) -> None:
    async def disconnect() -> None:
        await asyncio.sleep(0.05)  # the answer to its join goes first
        await sio.disconnect(sid)

    sio.start_background_task(disconnect)


def main(arguments: list[str]) -> None:
    serve(gateway(welcome=int(arguments[0]), later=disconnect_soon))

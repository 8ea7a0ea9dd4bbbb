"""A gateway that crashes SECONDS after its newest join; with POD and ONE, only the pod whose number is ONE.

So its clients are there by then, however long they take.
"""

import asyncio
import os
import traceback

import socketio

from tests.support.gateways.shared import gateway, serve


def crash() -> None:
    try:
        raise RuntimeError("the cache is inconsistent")
    except RuntimeError:
        traceback.print_exc()
        os._exit(1)


def main(arguments: list[str]) -> None:
    after_s, *one = arguments
    planned: list[asyncio.TimerHandle] = []

    async def crash_later(_sio: socketio.AsyncServer, _sid: str) -> None:
        if planned:
            planned.pop().cancel()
        planned.append(asyncio.get_running_loop().call_later(float(after_s), crash))

    serve(gateway(later=crash_later if len(set(one)) <= 1 else None))

"""A gateway that crashes SECONDS after its start; with POD and ONE, only the pod whose number is ONE."""

import asyncio
import os
import traceback

from tests.support.gateways.shared import gateway, serve


def crash() -> None:
    try:
        raise RuntimeError("the cache is inconsistent")
    except RuntimeError:
        traceback.print_exc()
        os._exit(1)


def main(arguments: list[str]) -> None:
    after_s, *one = arguments

    def at_start() -> None:
        if len(set(one)) <= 1:
            asyncio.get_running_loop().call_later(float(after_s), crash)

    serve(gateway(at_start=at_start))

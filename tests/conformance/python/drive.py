"""Plays scripts against one real client library under virtual time; the twin of `javascript/drive.js`.

`python -m tests.conformance.python.drive <client> <scripts.json` writes
{package, version, chains: {script: [[delay in ms, …], …]}}.
"""

import asyncio
import contextlib
import importlib
import importlib.metadata
import json
import random
import sys
from typing import Any

from tests.conformance.python.server import OverError, Server, Step
from tests.conformance.python.virtual_loop import NothingLeftError, VirtualLoop


def chain(client: Any, steps: list[Step]) -> list[float]:
    """The delays of one client."""
    if hasattr(client, "play_in_thread"):
        delays: list[float] = client.play_in_thread(steps)
        return delays
    loop = VirtualLoop()
    loop.set_exception_handler(lambda *_: None)
    asyncio.set_event_loop(loop)
    server = Server(steps, loop.time)
    task = loop.create_task(client.play(server))
    with contextlib.suppress(NothingLeftError, OverError):
        loop.run_until_complete(task)
    for left in asyncio.all_tasks(loop):
        left.cancel()
    with contextlib.suppress(NothingLeftError, asyncio.CancelledError, OverError):
        loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True))
    return server.delays_ms


def main() -> None:
    random.seed(1)
    client = importlib.import_module(f"tests.conformance.python.clients.{sys.argv[1]}")
    scripts = json.load(sys.stdin)
    chains = {
        name: [chain(client, script["steps"]) for _ in range(script["clients"])]
        for name, script in scripts.items()
    }
    version = importlib.metadata.version(client.PACKAGE)
    json.dump({"package": client.PACKAGE, "version": version, "chains": chains}, sys.stdout)


if __name__ == "__main__":
    main()

"""The proxy closes the connections of an old worker together, some time after a reload."""

import asyncio

import numpy as np

from scenarios.clients import endings
from scenarios.simulator.engine import Engine
from scenarios.simulator.loop.at import JOINED, TRYING


def cut_later(engine: Engine, after_s: float) -> None:
    """The connections that the proxy has now are those of an old worker, and end together after that time.

    An attempt that takes longer than that ends by its own timeout.
    """
    table = engine.table
    clients = np.flatnonzero((table.state == JOINED) | (table.state == TRYING))
    begun = table.attempt[clients]

    def cut() -> None:
        lost = clients[(table.state[clients] == JOINED) & (table.attempt[clients] == begun)]
        engine.lose(lost, endings.RESET)

    asyncio.get_running_loop().call_later(after_s, cut)

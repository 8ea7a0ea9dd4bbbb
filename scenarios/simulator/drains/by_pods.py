"""Pods close their clients' sessions one by one, in virtual time."""

import asyncio
from collections.abc import Iterable

import numpy as np

from scenarios.clients import endings
from scenarios.clients.protocol.packets import Said
from scenarios.simulator.clients import JOINED
from scenarios.simulator.engine import Engine


async def drain(
    engine: Engine, pods: Iterable[int], window_s: float, close_code: int | None, rng: np.random.Generator
) -> int:
    """Closes the sessions of these pods evenly over the window; returns how many, at its end.

    A pod that stands still closes what has come due meanwhile when it goes on.
    """
    table, state = engine.table, engine.pods
    sessions = [
        rng.permutation(engine.sessions.on(pod)[0])
        for pod in pods
        if state.alive[pod] and not state.paused[pod]
    ]
    began_s = engine.now_s
    clients = np.concatenate([np.empty(0, np.int64), *sessions])
    due_s = np.concatenate([np.empty(0), *(np.arange(len(one)) / max(1, len(one)) for one in sessions)])
    order = np.argsort(due_s, kind="stable")
    clients, due_s = clients[order], began_s + window_s * due_s[order]
    begun, home, count = table.attempt[clients], table.pod[clients], len(clients)
    ending = endings.RESET if close_code is None else endings.dropped(Said(close_code=close_code))
    while len(clients) or engine.now_s < began_s + window_s - 1e-9:
        due = np.arange(np.searchsorted(due_s, engine.now_s + 1e-9, side="right"))
        still = (table.state[clients[due]] == JOINED) & (table.attempt[clients[due]] == begun[due])
        held = still & state.paused[home[due]]
        closed = clients[due[still & ~held]]
        engine.lose(closed, ending, np.full(len(closed), engine.now_s))
        if held.any():
            keep = np.concatenate((due[held], np.arange(len(due), len(clients))))
            clients, due_s, begun, home = clients[keep], due_s[keep], begun[keep], home[keep]
        else:
            rest = slice(len(due), None)
            clients, due_s, begun, home = clients[rest], due_s[rest], begun[rest], home[rest]
        if len(clients) or window_s:
            await asyncio.sleep(engine.slot_s)
    return count

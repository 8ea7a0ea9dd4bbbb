"""Pods close their clients' sessions one by one, in virtual time."""

import asyncio
from collections.abc import Iterable

import numpy as np

from scenarios.clients import endings
from scenarios.clients.protocol.packets import Said
from scenarios.simulator.engine import Engine


async def drain(engine: Engine, pods: Iterable[int], window_s: float, close_code: int | None) -> int:
    """Closes the sessions of these pods evenly over the window; returns how many, at its end.

    A pod that stands still closes what has come due meanwhile when it goes on.
    """
    state = engine.pods
    ending = endings.RESET if close_code is None else endings.dropped(Said(close_code=close_code))
    closed = 0
    for pod in pods:
        if state["alive"][pod] and not state["paused"][pod]:
            sessions = engine.rng.permutation(engine.on(pod)[0])
            due_s = engine.now_s + window_s * np.arange(len(sessions)) / max(1, len(sessions))
            engine.close_later(sessions, due_s, ending)
            closed += len(sessions)
    await asyncio.sleep(window_s)
    return closed

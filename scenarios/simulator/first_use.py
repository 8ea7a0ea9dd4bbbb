"""The first prediction on a machine: the loop has to be compiled, which takes a while and is done once."""

from collections.abc import Callable

import numpy as np

from scenarios.scenario.validate import build
from scenarios.simulator.costs import Costs
from scenarios.simulator.engine import Engine
from scenarios.simulator.loop.compiled import FOLDER, is_made

_ONCE = "compiling the simulator for this machine: about half a minute, once"
_EACH_TIME = "compiling the simulator: about half a minute; there is no folder in which to keep the result"


def prepare(say: Callable[[str], None]) -> None:
    """Compiles the loop where there is nothing from an earlier time, and says so first."""
    if is_made():
        return
    say(_EACH_TIME if FOLDER is None else _ONCE)
    scenario = build({"fleet": {"clients": 1}, "gateway": {"pods": 1}}, source="first use")
    Engine(scenario, Costs(), pods=1, seconds=1, due=np.zeros(1, np.int64))

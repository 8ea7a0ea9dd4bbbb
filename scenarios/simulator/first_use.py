"""The first prediction on a machine: the loop has to be compiled, which takes a while and is done once."""

from collections.abc import Callable

from scenarios.simulator.machine import kept
from scenarios.simulator.machine.machine import is_made, machine_play

_ONCE = "compiling the simulator for this machine: about half a minute, once"
_EACH_TIME = "compiling the simulator: about half a minute; there is no folder in which to keep the result"


def prepare(say: Callable[[str], None]) -> None:
    """Compiles the loop where there is nothing from an earlier time, and says so first."""
    if not is_made():
        say(_EACH_TIME if kept.place() is None else _ONCE)
        machine_play()

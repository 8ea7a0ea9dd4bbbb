"""Reconnect policies of which is known beforehand what they do; a calibration's scenarios name them.

They are functions of the user's own, as far as the generator is concerned: `module:function`.
"""

import os
import random
import time
from collections.abc import Iterator

from scenarios.wire.orders import GENERATOR_VARIABLE


def away(rng: random.Random, away_s: float, spread_s: float = 0.0) -> Iterator[float]:
    """Comes back after `away_s`, give or take half of `spread_s`, evenly: so that nothing beats with it."""
    while True:
        yield away_s + spread_s * (rng.random() - 0.5)


def attempts(_rng: random.Random, number: int, every_s: float) -> Iterator[float]:
    """So many attempts, one every so many seconds; then it gives up."""
    for _ in range(number):
        yield every_s


def burning(_rng: random.Random, cpu_ms: float) -> Iterator[float]:
    """Tries at once, after the generator has used that much CPU time for nothing.

    The runner asks policies as well, to say beforehand whether it will storm; that costs nothing.
    """
    cpu_ns = int(cpu_ms * 1e6) if GENERATOR_VARIABLE in os.environ else 0
    while True:
        end_ns = time.thread_time_ns() + cpu_ns
        while time.thread_time_ns() < end_ns:
            pass
        yield 0.0

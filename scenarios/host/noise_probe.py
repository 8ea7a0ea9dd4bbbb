"""How late timers are on this core, and how long a fixed piece of work takes, second after second.

Run by its path with the isolated interpreter, so it imports nothing but the standard library:
`noise_probe.py CORE SECONDS`, with the number of the core that it has been pinned to, or `-` for none. It
writes a line of JSON at the start, and one for each second. For half of a second it sleeps a millisecond at a
time, for the other half it works.
"""

import json
import sys
import time
from typing import Any

SLEEP_NS = 1_000_000
HALF_NS = 500_000_000
LOOPS = 5_000
"""Of a block of work: some tenths of a millisecond."""


def main(arguments: list[str]) -> None:
    """Measures, and prints."""
    core, seconds = arguments
    _tell(core)
    start = time.monotonic_ns()
    for number in range(int(seconds)):
        middle = start + (2 * number + 1) * HALF_NS
        late = _sleep(middle)
        wall, cpu = _work(middle + HALF_NS)
        _tell(core, late_ns=late, wall_ns=wall, cpu_ns=cpu)


def _tell(core: str, **measured: Any) -> None:
    # Both accounts at the same moment: the difference is what others had.
    account = {"stat": _stat(core), "own_cpu_ns": time.process_time_ns(), "at_ns": time.monotonic_ns()}
    print(json.dumps(account | measured), flush=True)  # noqa: T201


def _stat(core: str) -> str:
    """The kernel's account of this core; empty where there is none."""
    try:
        with open("/proc/stat", encoding="ascii") as stream:  # noqa: PTH123 - pathlib takes 20 ms to import
            return next((line for line in stream if line.startswith(f"cpu{core} ")), "")
    except OSError:
        return ""


def _sleep(until_ns: int) -> list[int]:
    """How much later than asked each sleep ended; there is one also where this stood still until then."""
    late: list[int] = []
    while (begin := time.monotonic_ns()) < until_ns or not late:
        time.sleep(SLEEP_NS / 1e9)
        late.append(time.monotonic_ns() - begin - SLEEP_NS)
    return late


def _work(until_ns: int) -> tuple[list[int], list[int]]:
    """The time that each block of work took, by the clock and by this thread's CPU time; at least of one."""
    wall: list[int] = []
    cpu: list[int] = []
    while (begin := time.monotonic_ns()) < until_ns or not wall:
        used = time.thread_time_ns()
        total = 0
        for number in range(LOOPS):
            total += number & 3
        cpu.append(time.thread_time_ns() - used)
        wall.append(time.monotonic_ns() - begin)
    return wall, cpu


if __name__ == "__main__":
    main(sys.argv[1:])

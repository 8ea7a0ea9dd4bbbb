"""Sets the wall clock of one Python process: what its file says, in nanoseconds, is added to it at any time.

Python imports this by itself where its folder is on the path. No namespace has a wall clock of its own, and
that of the machine is everybody's.
"""

import os
import time
from pathlib import Path

FILE = "TEST_WALL_CLOCK_FILE"

_true_ns = time.time_ns


def _time_ns() -> int:
    return _true_ns() + int(Path(os.environ[FILE]).read_text(encoding="ascii"))


if FILE in os.environ:
    time.time_ns = _time_ns

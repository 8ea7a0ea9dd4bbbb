"""What a proxy's access log says, whichever proxy wrote it."""

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

REJECTED = "REJECTED"
"""The status of a limit that refused a request."""
COLUMNS = 10
"""nginx with several workers writes one more: which one it was."""


class AccessLine(Struct, frozen=True):
    """One request, as the proxy logged it."""

    ended_wall_s: float
    remote_address: str
    status: int
    limit_status: str
    """PASSED, DELAYED or REJECTED, the latter two also with `_DRY_RUN`; `-` where no rule counted it, or
    where the proxy does not tell."""
    upstream_status: str
    """What the pod answered; `-` where the proxy answered by itself."""
    lasted_s: float = 0.0
    """From when the proxy had the request; of a WebSocket, until it closed."""
    worker: str = ""
    """Process id of the proxy's worker; empty where the log does not say."""


def read_lines(path: Path, line_of: Callable[[Sequence[str]], AccessLine]) -> list[AccessLine]:
    """All whole lines of an access log, columns between tabs; a log that cannot be read has none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return lines_of(text, line_of)


def lines_of(text: str, line_of: Callable[[Sequence[str]], AccessLine]) -> list[AccessLine]:
    """The lines of a part of such a log."""
    found = []
    for row in (line.split("\t") for line in text.splitlines()):
        if len(row) in {COLUMNS, COLUMNS + 1}:
            # A run is not lost for a line that was cut off or written over.
            with contextlib.suppress(ValueError, OverflowError):
                line = line_of(row)
                found += [line] if math.isfinite(line.ended_wall_s) else []
    return found


def refusals_per_second(lines: list[AccessLine], wall_epoch_s: float) -> Counter[int]:
    """Requests that a limit at the proxy refused, by second since the epoch."""
    return Counter(int(line.ended_wall_s - wall_epoch_s) for line in lines if line.limit_status == REJECTED)

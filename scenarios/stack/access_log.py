"""What a front's access log says, whichever front wrote it."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

COLUMNS = 10


class AccessLine(Struct, frozen=True):
    """One request, as the front logged it."""

    ended_wall_s: float
    remote_address: str
    status: int
    limit_status: str
    """PASSED, DELAYED or REJECTED, the latter two also with `_DRY_RUN`; `-` where no rule counted it, or
    where the front does not tell."""
    upstream_status: str
    """What the pod answered; `-` where the front answered by itself."""


def read_lines(path: Path, line_of: Callable[[Sequence[str]], AccessLine]) -> list[AccessLine]:
    """All whole lines of an access log, columns between tabs; a log that is not there has none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    rows = (line.split("\t") for line in text.splitlines())
    return [line_of(row) for row in rows if len(row) == COLUMNS]


def refusals_per_second(lines: list[AccessLine], wall_epoch_s: float) -> Counter[int]:
    """Requests that a limit at the front refused, by second since the epoch."""
    return Counter(int(line.ended_wall_s - wall_epoch_s) for line in lines if line.limit_status == "REJECTED")

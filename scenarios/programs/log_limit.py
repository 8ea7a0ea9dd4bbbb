"""Keeps the log of a program from filling the disk."""

from pathlib import Path

MOST_BYTES = 16_000_000
_KEPT_BYTES = 1_000_000


def cut_log(log: Path, most_bytes: int = MOST_BYTES) -> bool:
    """Leaves the end of a log that has grown too long; returns whether it had.

    The program goes on writing at the end: it has the file open for appending. Lines of the moment in between
    are lost.
    """
    try:
        size = log.stat().st_size
        if size <= most_bytes:
            return False
        with log.open("r+b") as stream:
            stream.seek(size - _KEPT_BYTES)
            end = stream.read(_KEPT_BYTES).partition(b"\n")[2]
            stream.truncate(0)
        with log.open("ab") as stream:
            stream.write(f"[{size - len(end)} bytes were cut here: the log was too long]\n".encode() + end)
    except OSError:
        return False
    return True

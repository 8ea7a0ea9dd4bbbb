"""Becomes a program on a host of its own: with its own network, name and monotonic clock.

    python on_host.py NETWORK NAME AHEAD_S PROGRAM ARGUMENT…

NETWORK is a file that stands for a network namespace. AHEAD_S is by how many whole seconds the clock is ahead
of this machine's.
"""

import ctypes
import os
import socket
import sys
from pathlib import Path

NEW_NETWORK, NEW_NAME, NEW_TIME = 0x4000_0000, 0x0400_0000, 0x80
"""Kinds of namespaces, as the kernel numbers them in `sched.h`."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def leave(kind: int) -> None:
    """This thread gets a new namespace of that kind. Raises OSError."""
    _checked(_LIBC.unshare(kind))


def enter(path: str, kind: int) -> None:
    """This thread goes over to the namespace of that kind for which a file stands. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_LIBC.setns(descriptor, kind))
    finally:
        os.close(descriptor)


def main() -> None:
    """Goes there, and becomes the program."""
    network, name, ahead_s, *program = sys.argv[1:]
    enter(network, NEW_NETWORK)
    leave(NEW_NAME)
    socket.sethostname(name)
    if int(ahead_s):
        leave(NEW_TIME)
        # Clocks can be set as long as nobody is in there.
        clocks = f"monotonic {int(ahead_s)} 0\nboottime {int(ahead_s)} 0\n"
        Path("/proc/self/timens_offsets").write_text(clocks, encoding="ascii")
        enter("/proc/self/ns/time_for_children", NEW_TIME)
    os.execvp(program[0], program)


def _checked(status: int) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()

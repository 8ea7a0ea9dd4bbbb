"""Becomes another program: on given cores, and never outliving the process that asked for it.

Run by its path with the isolated interpreter, so it imports nothing but the standard library:
`launch.py PARENT SIGNAL CORES DESCRIPTORS -- PROGRAM ARGUMENT…`, with CORES such as `0,1` or `-` for any.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Prepares this process and executes the program in its place."""
    parent, death_signal, cores, descriptors, separator, *program = arguments
    assert separator == "--"  # noqa: S101
    if sys.platform.startswith("linux"):
        # The kernel sends this when the parent ends, even by SIGKILL, and it survives the exec.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit(1)  # it ended before we asked
        if cores != "-":
            os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(descriptors)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard > 0 else wanted, hard))
    # An ignored signal stays ignored across an exec, and a background shell ignores SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])

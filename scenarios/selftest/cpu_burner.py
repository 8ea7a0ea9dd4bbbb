"""Uses a known amount of CPU time in a process and its child, as nginx's master and worker do.

    python -m scenarios.selftest.cpu_burner 4

Prints what the two have used since they began, by the kernel's own account of them, once they have burned
that many CPU-seconds together; then they wait for their end, so that somebody else can look, too. The child
ends with its parent.
"""

import os
import signal
import sys
import time


def main() -> None:
    """Burns, says what it has used, and waits."""
    half_ns = int(float(sys.argv[1]) / 2 * 1e9)
    read_fd, write_fd = os.pipe()
    parent_ended_fd, parent_fd = os.pipe()
    if os.fork() == 0:
        os.close(parent_fd)
        _burn(half_ns)
        os.write(write_fd, str(time.process_time_ns()).encode())
        # The kernel signals the death of a parent to the process that asked for it, and not to its children.
        os.read(parent_ended_fd, 1)
        os._exit(0)
    _burn(half_ns)
    child_ns = int(os.read(read_fd, 64))
    sys.stdout.write(f"{(time.process_time_ns() + child_ns) / 1e9}\n")
    sys.stdout.flush()
    signal.pause()


def _burn(cpu_ns: int) -> None:
    end_ns = time.process_time_ns() + cpu_ns
    while time.process_time_ns() < end_ns:
        pass


if __name__ == "__main__":
    main()

"""Runs a program, and ends everything that it has started once it ends, or its user does.

Run by its path with the isolated interpreter, so it imports nothing but the standard library:
`keeper.py PARENT CORES DESCRIPTORS GROUP STOP REPORT -- PROGRAM ARGUMENT…`, with CORES such as `0,1`, GROUP a
folder of cgroup v2, each `-` for none, STOP the number of the program's stop signal, and REPORT a file
descriptor to which the program's process id goes.

The program is a process of its own session. The keeper adopts what the program leaves behind
(PR_SET_CHILD_SUBREAPER), so no fork escapes it. On SIGTERM it sends the stop signal to the program and, once
that has ended, to what is left: a gateway behind a script that does not hand signals on drains, too. SIGUSR1
makes the keeper kill everything; the kernel sends that when the keeper's parent ends, even by SIGKILL. The
keeper ends as the program did; if the program ends without an order, the rest is killed.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform.startswith("linux")
_AWAITED = {signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_KILL_TIMEOUT_S = 5.0
_CANNOT_START = 127


def main(arguments: list[str]) -> None:
    """Keeps the program until it ends, and ends with its status."""
    parent, cores, descriptors, group, stop, report, separator, *program = arguments
    assert separator == "--"  # noqa: S101
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)
    if os.getppid() != int(parent):
        sys.exit(1)  # it ended before the kernel was asked
    keeper = os.getpid()
    child = os.fork()
    if not child:
        _become(program, keeper, cores, int(descriptors), group, int(report))
    os.close(int(report))
    status = _until_ended(child, int(stop))
    _end_all(group)
    _end_like(status)


def _become(program: list[str], keeper: int, cores: str, descriptors: int, group: str, report: int) -> None:
    """Executes the program in place of this process; never returns.

    Before that, it reports its process id and whether it is in the group: nobody can ask the group earlier.
    """
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(1)
        joined = group != "-" and _joins(group)
        os.write(report, f"{os.getpid()} {int(joined)}\n".encode())
        os.close(report)
        if cores != "-" and _LINUX:
            os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(descriptors, hard) if hard > 0 else descriptors
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        # An ignored or blocked signal stays so across an exec, and a background shell ignores SIGINT.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
        os.execvp(program[0], program)  # noqa: S606
    except OSError as error:
        os.write(2, f"{program[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(_CANNOT_START)


def _joins(group: str) -> bool:
    """Whether this process could join a control group; else its process tree is looked at instead."""
    try:
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as stream:  # noqa: PTH123
            stream.write(str(os.getpid()))
    except OSError:
        return False
    return True


def _until_ended(child: int, stop: int) -> int:
    """Returns the wait status of the program, once it has ended and, after an order to stop, the rest has."""
    status: int | None = None
    stopping = False
    while True:
        received = signal.sigwait(_AWAITED)
        if received == signal.SIGUSR1:
            stopping = False
            _send(signal.SIGKILL, [child] if status is None else [])
        elif received != signal.SIGCHLD:
            stopping = True
            _send(stop, [child] if status is None else _descendants(os.getpid()))
        for pid, ended in _reaped():
            if pid == child:
                status = ended
                _send(stop, _descendants(os.getpid()) if stopping else [])
        if status is not None and not (stopping and _descendants(os.getpid())):
            return status


def _send(number: int, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _reaped() -> list[tuple[int, int]]:
    """All children that have ended since the last call."""
    found = []
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(ended)
    return found


def _end_all(group: str) -> None:
    """Kills every descendant; orphans become children of this process, and are seen in the next turn."""
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    while time.monotonic() < deadline:
        left = _descendants(os.getpid())
        _send(signal.SIGKILL, left)
        _reaped()
        if not left:
            break
        time.sleep(0.01)
    if group != "-":
        with contextlib.suppress(OSError):
            os.rmdir(group)  # noqa: PTH106


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if _LINUX else ():  # noqa: PTH208
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stream:  # noqa: PTH123
                # The name of the program may have spaces and brackets.
                state, parent = stream.read().rpartition(b")")[2].split()[:2]
                if state != b"Z" or int(parent) == root:
                    children.setdefault(int(parent), []).append(int(name))
    found, waiting = [], [root]
    while waiting:
        of_one = children.get(waiting.pop(), [])
        found += of_one
        waiting += of_one
    return found


def _end_like(status: int) -> None:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def _prctl(option: int, value: int) -> None:
    if _LINUX:
        ctypes.CDLL(None).prctl(option, int(value), 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])

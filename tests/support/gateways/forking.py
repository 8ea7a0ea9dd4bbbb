"""A gateway with CHILDREN that burn CPU, and a daemon that writes its process id into FILE.

Each child writes the share of a core that it has got so far into a file beside that, `share-` and its number.
"""

import os
import time
from pathlib import Path

SHARE_OF_A_CORE = 0.2
_PERIOD_S = 0.1


def burn(file: Path) -> None:
    """Uses that share of a core, where the machine has it."""
    draft = file.with_name(f"{file.name}.part")
    began_s = time.monotonic()
    while True:
        end_s = time.process_time() + SHARE_OF_A_CORE * _PERIOD_S
        while time.process_time() < end_s:
            pass
        time.sleep((1 - SHARE_OF_A_CORE) * _PERIOD_S)
        draft.write_text(str(time.process_time() / (time.monotonic() - began_s)), encoding="ascii")
        draft.replace(file)


def become_daemon(file: Path) -> None:
    """Leaves a process that has another session, another parent and no open log."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if daemon := os.fork():
        # Not left to the daemon: who reads the file looks at it when the gateway is ready.
        with file.open("a", encoding="ascii") as stream:
            stream.write(f"{daemon}\n")
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    while True:
        time.sleep(1)


def main(arguments: list[str]) -> None:
    children, file = arguments
    become_daemon(Path(file))
    for number in range(int(children)):
        if not os.fork():
            burn(Path(file).with_name(f"share-{os.getppid()}-{number}"))
    # Imported here: the children need none of it.
    from tests.support.gateways.shared import gateway, serve

    serve(gateway())

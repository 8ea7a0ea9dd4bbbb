"""Single keys from a terminal, as they are pressed."""

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def keys_pressed(terminal: TextIO = sys.stdin) -> "Iterator[asyncio.Queue[str]]":
    """A queue into which every key goes at once, without Enter and without being shown.

    Ctrl-C goes on to be a signal. The terminal is as it was before, however the block is left.
    """
    descriptor = terminal.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str] = asyncio.Queue()

    def on_readable() -> None:
        pressed = os.read(descriptor, 64).decode("utf-8", "replace")
        if not pressed:  # The terminal has gone.
            loop.remove_reader(descriptor)
        for key in pressed:
            queue.put_nowait(key)

    try:
        tty.setcbreak(descriptor)
        loop.add_reader(descriptor, on_readable)
        yield queue
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

"""Keys from a real terminal; however the reading ends, the terminal is as it was before."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

READER = """
import asyncio, fcntl, sys, termios
from scenarios.rehearsal.keys import keys_pressed
from scenarios.runner.until_done import run_until_done

fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Its own terminal, from which Ctrl-C reaches it.

async def main():
    with keys_pressed(sys.stdin) as keys:
        print("ready", flush=True)
        while (key := await keys.get()) != "q":
            print(f"<{key}>", flush=True)

try:
    run_until_done(main())
except asyncio.CancelledError:
    print("stopped", flush=True)
"""
_PATIENCE_S = 60.0


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, source: str) -> None:
        self.ours, self.theirs = pty.openpty()
        self.before = termios.tcgetattr(self.theirs)
        self.program = subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            cwd=Path(__file__).parents[3],
            start_new_session=True,
        )
        self.seen = ""

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + _PATIENCE_S
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.ours], [], [], 0.5)[0]:
                self.seen += os.read(self.ours, 4096).decode()

    def press(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def ends(self) -> int:
        return self.program.wait(timeout=_PATIENCE_S)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    found = Terminal(READER)
    try:
        found.wait_for("ready")
        yield found
    finally:
        found.program.kill()
        found.program.wait()
        os.close(found.ours)
        os.close(found.theirs)


def test_a_key_counts_at_once_and_is_not_shown(terminal: Terminal) -> None:
    assert not termios.tcgetattr(terminal.theirs)[3] & (termios.ICANON | termios.ECHO)
    terminal.press("s")
    terminal.wait_for("<s>")
    terminal.press("ü")
    terminal.wait_for("<ü>")
    assert "s<s>" not in terminal.seen
    terminal.press("q")
    assert terminal.ends() == 0
    assert termios.tcgetattr(terminal.theirs) == terminal.before


def test_ctrl_c_is_still_a_signal(terminal: Terminal) -> None:
    terminal.press("\x03")
    terminal.wait_for("stopped")
    assert terminal.ends() == 0
    assert termios.tcgetattr(terminal.theirs) == terminal.before


def test_a_terminal_is_restored_after_sigterm(terminal: Terminal) -> None:
    terminal.program.send_signal(signal.SIGTERM)
    terminal.wait_for("stopped")
    assert terminal.ends() == 0
    assert termios.tcgetattr(terminal.theirs) == terminal.before

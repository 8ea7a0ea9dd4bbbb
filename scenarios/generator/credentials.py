"""The process that issues credentials for the clients of one generator process.

    clients ── question ──► outbox ── a line each ──► process ── a line each ──► the client that asked

Clients live in callbacks of the event loop and must not wait, so one greenlet writes and one reads. What is
answered is kept by the client alone: it is written to no log, and to no run directory.
"""

import contextlib
import logging
import os
import signal
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gevent
from gevent import subprocess
from gevent.queue import Queue

from reconnect_storm.start import module_command
from scenarios.clients.protocol.identity import Form, Identity
from scenarios.credentials.answers import Answer, CredentialsError, question, read_answer
from scenarios.credentials.function import function_at
from scenarios.host.process import LAUNCHER, exit_text, is_there
from scenarios.host.token import without_tokens
from scenarios.scenario.program import Credentials, words_of
from scenarios.scenario.redact_text import shown_text

log = logging.getLogger("reconnect_storm")

Take = Callable[[Identity | None], None]

_DESCRIPTORS = 1024
_MOST_OPEN = 100_000


class IssuerProcess:
    """Asks the function or the command of a scenario. on_end: called with the reason when it ends by itself.

    Raises CredentialsError where it cannot be started.
    """

    def __init__(
        self, credentials: Credentials, form: Form, folder: str, on_end: Callable[[str], None]
    ) -> None:
        self.once = credentials.when == "start"
        self.timeout_s = credentials.timeout_s
        self._form = form
        self._on_end = on_end
        self._key = f"target.credentials.{'function' if credentials.function else 'command'}"
        self._open: OrderedDict[int, Take] = OrderedDict()
        self._asked = 0
        self._said_why = False
        self._outbox: Any = Queue()
        try:
            words, directory = _program(credentials, folder)
            self._process = _started(words, directory)
        except (CredentialsError, OSError) as error:
            raise CredentialsError(f"{self._key}: {error}") from None
        self._greenlets = [gevent.spawn(self._write), gevent.spawn(self._read)]

    def ask(self, client: int, take: Take) -> None:
        """Calls `take` with the identity of the client, or with None, once that is known."""
        if len(self._open) >= _MOST_OPEN:
            # It answers nothing: what is asked in vain must not fill the memory.
            take(None)
            return
        self._asked += 1
        self._open[self._asked] = take
        self._outbox.put_nowait(question(self._asked, client))

    def stop(self) -> None:
        """Ends the process; nobody is answered any more."""
        gevent.killall(self._greenlets, block=False)
        self._open.clear()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # What was still to be written has nobody who reads it.
                pipe.close()

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # It has ended; the reader finds out, and says so.
            for line in self._outbox:
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def _read(self) -> None:
        for line in self._process.stdout:
            answer = read_answer(line)
            taken = self._take_question(answer)
            if taken is None:
                self._end("it wrote a line that answers no question: expected one line for each")
                return
            taken(self._identity(answer))
        self._end(f"it ended ({exit_text(self._process.wait())}): expected it to answer until its input ends")

    def _take_question(self, answer: Answer) -> Take | None:
        if answer.number is not None:
            return self._open.pop(answer.number, None)
        return self._open.popitem(last=False)[1] if self._open else None

    def _identity(self, answer: Answer) -> Identity | None:
        problem = answer.problem
        if not problem:
            try:
                return self._form.filled(answer.values)
            except CredentialsError as error:
                problem = str(error)
        if not self._said_why:
            self._said_why = True
            log.warning("%s: no credentials: %s", self._key, shown_text(problem))
        return None

    def _end(self, reason: str) -> None:
        self._on_end(f"{self._key}: {reason}")


def _program(credentials: Credentials, folder: str) -> tuple[Sequence[str], Path]:
    if credentials.function:
        # What cannot be imported is told here, with the reason.
        function_at(credentials.function)
        return module_command("scenarios.credentials", credentials.function), Path.cwd()
    words, directory = words_of(credentials.command), Path(folder or Path.cwd())
    if not is_there(words[0], directory):
        where = directory if "/" in words[0] else "the PATH"
        raise CredentialsError(f"{words[0]} was not found; looked in {where}")
    return words, directory


def _started(words: Sequence[str], directory: Path) -> Any:
    """The process, which ends with this one. Its standard error, which may have a token, is dropped."""
    return subprocess.Popen(
        [
            *(sys.executable, "-I", "-S", LAUNCHER),
            *(str(os.getpid()), str(int(signal.SIGKILL)), "-", str(_DESCRIPTORS), "--"),
            *words,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=without_tokens(os.environ),
        cwd=directory,
        start_new_session=True,
    )

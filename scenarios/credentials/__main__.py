"""Answers questions for credentials with a function of the user's own: `module:function` is the argument.

A process of its own, so that a function that computes or waits stops no client; threads, so that one that
waits for an identity provider answers several clients at once.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import msgspec
from msgspec import Struct

from scenarios.credentials.answers import CredentialsError
from scenarios.credentials.function import answer_line, function_at
from scenarios.exit_status import USAGE

_CALLS_AT_ONCE = 16


class _Question(Struct):
    id: int
    client: int


def main(path: str) -> None:
    """Answers until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    # What the function prints is no answer, and may be a token.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        function = function_at(path)
    except CredentialsError:
        sys.exit(USAGE)
    writing = Lock()

    def answer(asked: _Question) -> None:
        line = answer_line(function, asked.id, asked.client)
        with writing:
            answers.write(line)

    decode = msgspec.json.Decoder(_Question).decode
    with ThreadPoolExecutor(_CALLS_AT_ONCE) as threads:
        for line in sys.stdin.buffer:
            threads.submit(answer, decode(line))


if __name__ == "__main__":
    main(sys.argv[1])

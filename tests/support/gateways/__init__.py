"""Gateways for end-to-end tests, most of which misbehave: `python tests/support/gateways NAME ARGUMENT…`.

Each is a module with `main(arguments)`, a program of its own as a user's would be: it takes `HOST` and `PORT`
from the environment and knows nothing of this project.
"""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent

GATEWAYS: Mapping[str, str] = {
    "healthy": "ticks, health, metrics; ends on SIGTERM",
    "silent": "healthy, but sends no ticks of its own; POST /ticks sends one",
    "slow": "healthy, but listens only after SECONDS",
    "crashing": "healthy until SECONDS after its last join, then a traceback; with POD and ONE, only pod ONE",
    "stubborn": "healthy, but ignores SIGTERM",
    "forking": "healthy; CHILDREN burn 20 % of a core each, and a daemon writes its process id into FILE",
    "chatty": "healthy, but prints up to 2.5 megabytes per second",
    "leaky": "healthy, but prints its arguments and the variable API_TOKEN; ends at once with `exit`",
    "elsewhere": "healthy, but listens on another port than PORT",
    "exposed": "healthy, but listens on all interfaces",
    "unwelcoming": "healthy, but sends every client after the first CLIENTS packet 41",
    "abrupt": "healthy for CLIENTS, and closes every later connection LIFE seconds after its join",
    "slots": "429 beyond SLOTS; joins after CLIENTS are slow for SECONDS, their slots `leaking` or `fixed`",
    "never_ready": "accepts connections, and answers 503 to every request",
    "exiting": "prints one line to standard error, and exits with status 3",
    "publisher": "no gateway: sends ticks to the pods at PORTS, RATE per second, and counts them in FILE",
}
"""What each does; words in capitals are its arguments, in this order."""


def words(name: str, *arguments: object) -> list[str]:
    """A command as a list of words."""
    assert name in GATEWAYS
    return [sys.executable, str(FOLDER), name, *map(str, arguments)]


def line(name: str, *arguments: object) -> str:
    """The same in one line."""
    return shlex.join(words(name, *arguments))

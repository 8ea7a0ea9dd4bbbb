"""Programs of the user's own that a scenario has started: the gateway, its publisher, and services.

A command is a list of words or a line that is split like a shell's; no shell ever reads it. Words and values
of the environment may have placeholders; see docs/your-own-gateway.md.
"""

import shlex
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from scenarios.fields import EXPECTED, SECRET, WORDS, PositiveSeconds, Seconds, Word, Words, invalid
from scenarios.scenario.redact_text import shown_words

VALUES, VARIABLES = "values", "variables"

Line = Annotated[str, Meta(pattern=r"^[^\r\n\x00]*\Z", extra={EXPECTED: "text in one line"})]
"""Text in one line."""
Secrets = Annotated[dict[str, Line], Meta(extra={SECRET: VALUES})]
"""Names may be shown, their values may not."""
Variables = Annotated[dict[str, Line | bool | int | float], Meta(extra={SECRET: VARIABLES})]
"""Values may be shown, but for those that look like secrets."""
Command = Annotated[Line | tuple[Word, ...], Meta(extra={SECRET: WORDS})]
"""Words may be shown, but for those that look like secrets."""
SignalName = Literal["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGSTOP", "SIGCONT"]

COMMAND = "gateway.command"
CREDENTIALS_COMMAND = "target.credentials.command"
STUB_KEYS = (
    "handshake_cpu_ms",
    "tick_cpu_us",
    "snapshot_bytes",
    "cpu",
    "backlog",
    "cancel_gone",
    "ping_interval_s",
    "ping_timeout_s",
    "busy_lag_ms",
    "token_lifetime_s",
)
"""Keys of `gateway` that set the built-in stub."""
_SHELL = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1"})


class Program(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a program is started, and how it is asked to end."""

    command: Command = ""
    """The program and its arguments: a line, or a list of words. No shell reads it; placeholders such as
    `{port}` may stand in it."""
    directory: Line = ""
    """Working folder, relative to the folder of the scenario file."""
    environment: Variables = field(default_factory=dict)
    """Variables on top of those of the caller. Values that look like secrets are not written down."""
    stop_signal: Literal["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"] = "SIGTERM"
    """Signal that asks the program to end."""
    stop_grace_s: Seconds = 5.0
    """Time from the stop signal until every process that is left is killed."""
    start_timeout_s: PositiveSeconds = 60.0
    """Time from the start of the program until it must be ready."""


class PodMetrics(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to read from the Prometheus endpoint that every pod has, once a second."""

    path: Line = "/metrics"
    """HTTP path of the endpoint."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """Port of the endpoint in pod 0, one more in each next pod; 0: the pod's own port."""
    loop_utilisation: str = "nodejs_eventloop_utilization"
    """Gauge from 0 to 1. Where it is missing, the main thread's scheduling statistics say it."""
    loop_lag: str = "nodejs_eventloop_lag_p99_seconds"
    """Gauge in seconds."""
    clients: str = ""
    """Gauge of joined clients; without one, connections to the pod are counted."""


class Service(Program, frozen=True, kw_only=True):
    """A program that the gateway needs, such as a Redis: started before the pods, and stopped after them."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[a-z][a-z0-9_-]{0,30}\Z",
            extra={EXPECTED: "a letter a-z, then up to 30 of a-z, 0-9, _ and -"},
        ),
    ]
    """Others name it in placeholders: `{redis.port}`."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """Port that the service listens on, as `{port}` and `PORT`; 0 takes a free one."""
    ready_path: Line = ""
    """HTTP path that answers 200 once the service is ready; empty: ready once it accepts connections."""


class Commands(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the events `exec` of this scenario may run; without an entry they may run nothing."""

    allow: tuple[Words, ...] = ()
    """How allowed commands begin, each as a list of words: `[["kubectl", "rollout", "restart"]]` allows
    `kubectl rollout restart` with any further arguments."""


class Credentials(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What issues the credentials of clients: a function or a program of your own.

    It is asked for each client by number, and its answer fills placeholders such as `{token}` in the values
    of `target.auth`, `target.headers` and `target.cookies`. No answer is written down.
    """

    function: Line = ""
    """`module:function`, called with the number of a client, in a process of its own. It returns a text,
    which is the `token`, or a dict of names and values."""
    command: Command = ""
    """A program that runs as long as the clients do, in the folder of the scenario file. It reads one line
    such as `{"id": 7, "client": 12}` for each question, and writes one line for each answer: a text, or a
    JSON object."""
    when: Literal["attempt", "start"] = "attempt"
    """How often a client asks: before each attempt, or once before its first, to use that answer for good."""
    timeout_s: PositiveSeconds = 5.0
    """Time from the question to the answer. An attempt that has none by then ends as `no_credentials`;
    `connect_timeout_s` begins with the answer."""


def variable_text(value: str | bool | float) -> str:
    """The value of a variable as the program gets it: `true`, `5`, `0.5`, or the text itself."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def words_of(command: str | tuple[str, ...]) -> tuple[str, ...]:
    """The words of a command. Raises ValueError for an open quotation mark."""
    return tuple(shlex.split(command)) if isinstance(command, str) else command


def command_complaint(key: str, command: str | tuple[str, ...]) -> str:
    """What is wrong with a command, beginning with its key; empty if nothing is."""
    try:
        words = words_of(command)
    except ValueError as error:
        return f"{key}: cannot be split into words: {error}"
    if not command:
        return ""
    if not words or not words[0]:
        return invalid(key, command, "a program and its arguments")
    if shell := sorted(_SHELL & set(words)):
        expected = "a program and its arguments; no shell reads the command"
        return invalid(key, shell[0], f"{expected}, so put the line into a script")
    if "=" in words[0] and "/" not in words[0].partition("=")[0]:
        name = words[0].partition("=")[0]
        return f"{key}: begins with an assignment of {name}: expected it in the table environment beside it"
    return ""


def allowed_complaints(key: str, words: Sequence[str], allow: Sequence[Sequence[str]]) -> Iterator[str]:
    """What is wrong with a command that an event is to run, each complaint beginning with its key."""
    if complaint := command_complaint(key, tuple(words)):
        yield complaint
    elif not any(tuple(words[: len(beginning)]) == tuple(beginning) for beginning in allow):
        known = ", ".join(f"`{line_of(beginning)}`" for beginning in allow)
        expected = f"words that begin like one of them: {known}" if known else "an entry in that list"
        yield f"{key}: not allowed by commands.allow: `{line_of(words)}`: expected {expected}"


def line_of(words: Sequence[str]) -> str:
    """A command in one line, as it may be written down."""
    return " ".join(shown_words(words))


def forget_stub(table: dict[str, Any], given: Collection[str]) -> None:
    """Drops the stub's settings of a scenario whose gateway an override, or an arm, replaces by a command.

    given: the keys that the override sets; those of the stub among them stay, and are refused.
    """
    gateway = table.get("gateway")
    if isinstance(gateway, dict) and COMMAND in given:
        for key in STUB_KEYS:
            if f"gateway.{key}" not in given:
                gateway.pop(key, None)

"""The terminal of every command: exit statuses, errors, and cleanup."""

import asyncio
import contextlib
import errno
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console

from scenarios.cli.usage import usage_text
from scenarios.exit_status import FAILED, INTERRUPTED, INVALID, USAGE

if TYPE_CHECKING:
    from scenarios.host.process import StackError

_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}


DEBUG_VARIABLE = "RECONNECT_STORM_DEBUG"
"""Environment variable; where it is set, an error that nobody expected comes with its traceback."""


class _Console(Console):
    """Goes on in silence where nobody reads any more: a storm does not end because a pager did."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        silence(self.file.fileno())


console = _Console()


errors = _Console(stderr=True)


def silence(descriptor: int) -> None:
    """What is written to this descriptor from now on, and what Python still has for it, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


class Commands(click.Group):
    """A group of commands of which none ends with a traceback, or with more than one line of an error."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parses the options before the command's name."""
        with _usage_in_one_line():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Carries the command out; what it does not expect becomes one line and an exit status."""
        try:
            with _usage_in_one_line():
                return super().invoke(ctx)
        except (click.exceptions.NoArgsIsHelpError, click.exceptions.Exit):
            raise
        except (KeyboardInterrupt, click.Abort, asyncio.CancelledError):
            complain("interrupted")
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            silence(sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        except Exception as error:
            sys.exit(_unexpected(error))


@contextlib.contextmanager
def _usage_in_one_line() -> Iterator[None]:
    """Ends the program where click rejects what was typed; without a command, click shows the help."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.ClickException as error:
        complain(usage_text(error))
        sys.exit(error.exit_code)


def _unexpected(error: BaseException) -> int:
    # Loaded only now: `--help` needs none of it.
    from scenarios.host.process import StackError, first_of  # noqa: PLC0415
    from scenarios.policies.following import PolicyError  # noqa: PLC0415

    error = first_of(error)
    if isinstance(error, StackError):
        return stack_failed(error)
    if isinstance(error, PolicyError):
        complain(str(error))
        return USAGE
    if isinstance(error, OSError) and (error.filename is not None or error.errno in _OF_THE_DISK):
        complain(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror))
        return USAGE
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    told = " ".join(f"{type(error).__name__}: {error}".split())
    complain(f"unexpected error: {told} ({_kept(error)})")
    return FAILED


def _kept(error: BaseException) -> str:
    """Where the traceback is."""
    if os.environ.get(DEBUG_VARIABLE):
        return "see above"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="reconnect-storm-", suffix=".traceback", delete=False, encoding="utf-8"
        ) as stream:
            traceback.print_exception(error, file=stream)
    except OSError:
        return f"set {DEBUG_VARIABLE}=1 for the traceback"
    return f"traceback: {stream.name}"


def stack_failed(error: "StackError") -> int:
    """Says which part failed; returns the exit status. Nothing has failed in a run that was aborted."""
    from scenarios.host.process import AbortedError  # noqa: PLC0415

    complain(str(error))
    return INVALID if isinstance(error, AbortedError) else FAILED


def warn_of_leftovers() -> None:
    """Names processes of an earlier run: they would share the cores."""
    from scenarios.host import machine  # noqa: PLC0415

    for process in machine.leftovers():
        complain(f"warning: a process of an earlier run is still running: {process}")


@contextlib.contextmanager
def usage_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Ends the program with status 2 and one line where one of these errors is raised."""
    try:
        yield
    except kinds as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Ends the program with status 2."""
    complain(message)
    sys.exit(USAGE)


def complain(message: str) -> None:
    """Writes one line to standard error."""
    errors.print(f"reconnect-storm: {message}", markup=False, highlight=False, soft_wrap=True)

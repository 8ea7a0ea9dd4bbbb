"""A function of the user's own that issues credentials: `function(client)` returns a text, or a dict."""

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from scenarios.credentials.answers import ERROR, ID, RESERVED, TOKEN, CredentialsError
from scenarios.fields import invalid
from scenarios.policies.user_defined import imported

_EXPECTED = "a text, or a dict of names and values"


def function_at(path: str) -> Callable[[int], Any]:
    """The function. Raises CredentialsError where it is none that takes the number of a client."""
    try:
        function = imported(path)
    except ImportError as error:
        raise CredentialsError(f"{path!r} {error}") from None
    if not callable(function):
        raise CredentialsError(invalid("", path, "a function(client) as module:function"))
    try:
        inspect.signature(function).bind(0)
    except TypeError as error:
        raise CredentialsError(f"{path!r}: {error}; expected a function(client)") from None
    except ValueError:  # Written in C, without a signature to check.
        pass
    found: Callable[[int], Any] = function
    return found


def answer_line(function: Callable[[int], Any], number: int, client: int) -> bytes:
    """The line with what the function returns for a client, or with what is wrong with that.

    Of an exception, the type and the place are told: its text may quote a token.
    """
    try:
        found = function(client)
    except (Exception, SystemExit) as error:  # A function of the user's own can fail in any way.
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__} ({Path(place.filename).name}, line {place.lineno})"
        return _line({ID: number, ERROR: said})
    values = {TOKEN: found} if isinstance(found, str) else found
    if not isinstance(values, dict) or not values or not all(isinstance(name, str) for name in values):
        return _line({ID: number, ERROR: f"it returned {type(found).__name__}: expected {_EXPECTED}"})
    if taken := [name for name in RESERVED if name in values]:
        return _line({ID: number, ERROR: f"it returned the name {taken[0]!r}: expected another one"})
    try:
        return _line({ID: number, **values})
    except (TypeError, ValueError):
        return _line({ID: number, ERROR: "it returned a value that is no JSON: expected texts and numbers"})


def _line(values: dict[str, Any]) -> bytes:
    return msgspec.json.encode(values) + b"\n"

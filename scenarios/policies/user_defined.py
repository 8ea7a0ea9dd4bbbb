"""Policies of the user's own: a function that returns the iterator of delays.

The function may be a generator that is told outcomes, and it may have the attributes `reset`, `stops_on` and
`sees` of a policy. All that it gives is checked, because a module of the user's own can fail in any way.
"""

import importlib
import inspect
import math
import random
import traceback
from collections.abc import Callable, Iterator
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scenarios.fields import invalid
from scenarios.policies.following import Policy, PolicyError, delays_if_all_fail
from scenarios.policies.orders import Attempt, Wait
from scenarios.policies.outcome import OutcomeKind, Reset, Sees

_DELAYS_CHECKED = 100


class UserDefined(Struct, frozen=True, kw_only=True):
    """A function of the user's own: `function(rng, **parameters)` returns the iterator of delays."""

    function: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def reset(self) -> Reset:
        found: Reset = _rule(self.function, "reset", "open", Reset, '"open", "joined", "never" or seconds')
        return found

    @property
    def stops_on(self) -> frozenset[OutcomeKind]:
        kinds = ", ".join(OutcomeKind)
        found: frozenset[OutcomeKind] = _rule(
            self.function, "stops_on", (), frozenset[OutcomeKind], f"a set of {kinds}"
        )
        return found

    @property
    def sees(self) -> Sees:
        found: Sees = _rule(self.function, "sees", "all", Sees, '"all" or "browser"')
        return found

    def for_clients(self) -> Callable[[], Policy]:
        return lambda: self

    def delays(self, rng: random.Random) -> Iterator[float]:
        return _checked(self.function, rng, self.parameters)


def check_function(path: str, parameters: dict[str, Any]) -> None:
    """Raises PolicyError where it is no function for these parameters, or fails within its first delays."""
    function = _imported(path)
    if not callable(function):
        raise PolicyError(invalid(f"policy {path!r}", function, "a function(rng, **parameters)"))
    chosen = UserDefined(function=path, parameters=parameters)
    _ = chosen.reset, chosen.stops_on, chosen.sees
    try:
        inspect.signature(function).bind(None, **parameters)
    except TypeError as error:
        allowed = f"{path}{inspect.signature(function)}"
        raise PolicyError(f"policy {path!r}: {error}; expected {allowed}") from None
    except ValueError:  # Written in C, without a signature to check.
        return
    # What fails soon fails before anything is started.
    for _ in islice(delays_if_all_fail(chosen, random.Random(0)), _DELAYS_CHECKED):  # noqa: S311
        pass


def imported(path: str) -> Any:
    """What `module:name` names. Raises ImportError, whatever the module does."""
    module_name, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (Exception, SystemExit) as error:  # A module of the user's own can fail in any way.
        raise ImportError(f"cannot be imported: {error}") from None


def _imported(path: str) -> Any:
    try:
        return imported(path)
    except ImportError as error:
        raise PolicyError(f"policy {path!r} {error}") from None


def _rule(path: str, name: str, default: Any, kind: Any, expected: str) -> Any:
    """An attribute of the function. Raises PolicyError."""
    found = getattr(_imported(path), name, default)
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError:
        raise PolicyError(invalid(f"policy {path!r}: {name}", found, expected)) from None


def _checked(path: str, rng: random.Random, parameters: dict[str, Any]) -> Iterator[Any]:
    """The orders of a function. Raises PolicyError if it fails, or yields what is none."""
    function = _imported(path)
    try:
        delays: Any = iter(function(rng, **parameters))
        order = next(delays)
        told = order is None
        outcome = yield order if told else _order(path, order)
        while True:
            order = delays.send(outcome) if told else next(delays)
            # A bare `yield` answers a join; anywhere else, the caller says what is wrong.
            outcome = yield order if told and order is None else _order(path, order)
    except StopIteration:
        return
    except PolicyError:
        raise
    except (Exception, SystemExit) as error:  # A module of the user's own can fail in any way.
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise PolicyError(
            f"policy {path!r} failed: {type(error).__name__}: {error}"
            f" ({Path(place.filename).name}, line {place.lineno})"
        ) from error


def _order(path: str, order: Any) -> Any:
    if type(order) is float and math.isfinite(order):
        return order
    if isinstance(order, Attempt):
        return order
    seconds = order.seconds if isinstance(order, Wait) else order
    if isinstance(seconds, bool) or not isinstance(seconds, Real) or not math.isfinite(seconds):
        raise PolicyError(invalid(f"delay of policy {path!r}", seconds, "a finite number of seconds"))
    return Wait(float(seconds)) if isinstance(order, Wait) else float(seconds)

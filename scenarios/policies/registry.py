"""Reconnect policies by name: when a client that has lost its connection reconnects.

A policy is a frozen value. A client takes one of its delays before each attempt, starts a new iterator when
its back-off resets and, if there is a throttle, asks it when the delay is over. `backoff.py` has the policies
that only wait, `throttled.py` those with a throttle, `stock/` the client libraries of production.

Add one: write the struct there, give it `delays`, and enter it in `POLICIES`.
"""

import importlib
import inspect
import math
import random
import traceback
from collections.abc import Iterator
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from scenarios.fields import invalid, share_of
from scenarios.policies.backoff import (
    AxiosRetry,
    Backo2,
    BasePolicy,
    DecorrelatedJitter,
    EqualJitter,
    FullJitter,
    Grpc,
    Naive,
    Spread,
)
from scenarios.policies.stock.catalogue import STOCK, versioned
from scenarios.policies.stock.client import StockClient
from scenarios.policies.throttled import CircuitBreaker, RetryBudget, SreThrottle, TokenBucket
from scenarios.policies.throttles import Throttle

_DELAYS_CHECKED = 100


class Policy(Protocol):
    """Delays before each attempt, and an optional throttle."""

    def delays(self, rng: random.Random) -> Iterator[float]:
        """Delays in seconds, the first of them before attempt 0; at their end the client gives up for
        good."""
        ...

    def throttle(self) -> Throttle | None:
        """A new throttle; None if every attempt may begin when its delay is over."""
        ...

    @property
    def shared_throttle(self) -> bool:
        """Whether all clients of a process share one throttle."""
        ...


class PolicyError(ValueError):
    """An unknown policy, or invalid parameters."""


class UserDefined(BasePolicy, frozen=True, kw_only=True):
    """A function of the user's own: `function(rng, **parameters)` returns the iterator of delays."""

    function: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)

    def delays(self, rng: random.Random) -> Iterator[float]:
        return _checked_delays(self.function, rng, self.parameters)


POLICIES: dict[str, tuple[type[BasePolicy], dict[str, float]]] = {
    "naive": (Naive, {}),
    "incident": (Backo2, {"min_ms": 200.0, "max_ms": 30_000.0, "jitter": 0.5}),
    **{name: (kind, {}) for name, kind in STOCK.items()},
    "full-jitter": (FullJitter, {}),
    "equal-jitter": (EqualJitter, {}),
    "decorrelated-jitter": (DecorrelatedJitter, {}),
    "grpc": (Grpc, {}),
    "axios-retry": (AxiosRetry, {}),
    "circuit-breaker": (CircuitBreaker, {}),
    "retry-budget": (RetryBudget, {}),
    "sre-throttle": (SreThrottle, {}),
    "token-bucket": (TokenBucket, {}),
    "spread": (Spread, {}),
}
"""Policies by name, each with the parameters that the name stands for."""


def policy(spec: str | dict[str, Any]) -> Policy:
    """The policy that a scenario asks for: a name, a table with `name`, or `module:function`.

    The name of a stock client may have the version that was read: `socketio-js@4.8`.

    Raises PolicyError with the invalid value and what is expected.
    """
    table = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = table.pop("name", None)
    if isinstance(name, str) and ":" in name:
        _check_function(name, table)
        return UserDefined(function=name, parameters=table)
    if isinstance(name, str):
        name = versioned(name) or name
    if not isinstance(name, str) or name not in POLICIES:
        raise PolicyError(invalid("", name, f"{', '.join(POLICIES)} or module:function"))
    kind, defaults = POLICIES[name]
    if issubclass(kind, StockClient):
        table = {kind.former.get(key, key): value for key, value in table.items()}
    try:
        return msgspec.convert({**defaults, **table}, kind)  # type: ignore[return-value]
    except msgspec.ValidationError as error:
        allowed = ", ".join(kind.__struct_fields__) or "no parameters"
        given = ", ".join(f"{key} = {value!r}" for key, value in table.items())
        raise PolicyError(
            f"policy {name!r}: invalid parameters {given}: {error}; expected {allowed}"
        ) from None


def divided(whole: Policy, index: int, processes: int) -> Policy:
    """The policy for process number `index` of `processes`.

    Absolute numbers of a shared throttle are divided, so that all throttles together allow what one would.
    """
    if processes == 1 or not whole.shared_throttle:
        return whole
    match whole:
        case RetryBudget(min_per_s=number):
            return replace(whole, min_per_s=share_of(number, index, processes))
        case TokenBucket(capacity=tokens):
            return replace(whole, capacity=tokens / processes)
    return whole


def _import_function(path: str) -> Any:
    module_name, _, function_name = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), function_name)
    except (Exception, SystemExit) as error:  # A module of the user's own can fail in any way.
        raise PolicyError(f"policy {path!r} cannot be imported: {error}") from None


def _checked_delays(path: str, rng: random.Random, parameters: dict[str, Any]) -> Iterator[float]:
    """The delays of a user-defined function. Raises PolicyError if it fails, or yields an invalid delay."""
    function = _import_function(path)
    try:
        for delay in function(rng, **parameters):
            if isinstance(delay, bool) or not isinstance(delay, Real) or not math.isfinite(delay):
                raise PolicyError(invalid(f"delay of policy {path!r}", delay, "a finite number of seconds"))
            yield float(delay)
    except PolicyError:
        raise
    except (Exception, SystemExit) as error:  # A module of the user's own can fail in any way.
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise PolicyError(
            f"policy {path!r} failed: {type(error).__name__}: {error}"
            f" ({Path(place.filename).name}, line {place.lineno})"
        ) from error


def _check_function(path: str, parameters: dict[str, Any]) -> None:
    function = _import_function(path)
    if not callable(function):
        raise PolicyError(invalid(f"policy {path!r}", function, "a function(rng, **parameters)"))
    try:
        inspect.signature(function).bind(None, **parameters)
    except TypeError as error:
        allowed = f"{path}{inspect.signature(function)}"
        raise PolicyError(f"policy {path!r}: {error}; expected {allowed}") from None
    except ValueError:  # Written in C, without a signature to check.
        return
    # What fails soon fails before anything is started.
    for _ in islice(_checked_delays(path, random.Random(0), parameters), _DELAYS_CHECKED):  # noqa: S311
        pass

"""Reconnect policies: how long a client waits before try n = 0, 1, 2, …

A policy is a frozen value whose `delays(rng)` is an endless iterator of seconds. A client takes one delay
before each try and starts a new iterator when its back-off resets. Nothing here reads a clock or a global
random source: the same seed gives the same delays.

Add one: write the struct, give it `delays`, and enter it in `POLICIES`.
"""

import importlib
import inspect
import math
import random
from collections.abc import Iterator
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta, Struct

# Up to a day: with infinity, some formulas below would have no value.
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Policy(Protocol):
    """Anything that can say how long to wait before each try."""

    def delays(self, rng: random.Random) -> Iterator[float]:
        """Endless delays in seconds, the first of them before try 0."""
        ...


class PolicyError(ValueError):
    """A policy that is not there, or parameters that it does not take."""


class _Parameters(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Naive(_Parameters, frozen=True, kw_only=True):
    """Try again at once; only the try's own round trips slow it down.

    delay(n) = 0
    """

    def delays(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        while True:
            yield 0.0


class Backo2(_Parameters, frozen=True, kw_only=True):
    """socket.io-client's own back-off, whose cap comes after the jitter.

    ms = min·2ⁿ; r = random(); dev = ⌊r·jitter·ms⌋; ms -= dev where ⌊10·r⌋ is even, else ms += dev;
    delay(n) = ⌊min(ms, max)⌋ ms

    One random number gives both sign and size, so the multipliers form a comb over [0.55, 1.5), and the
    jitter is gone once min·2ⁿ is well above max: everybody who is still out then waits exactly max.
    Source: socketio/socket.io, packages/socket.io-client/lib/contrib/backo2.ts.
    """

    min_ms: Milliseconds = 1000.0
    max_ms: Milliseconds = 5000.0
    jitter: Share = 0.5

    def delays(self, rng: random.Random) -> Iterator[float]:
        n = 0
        while True:
            yield self._delay_ms(n, rng.random()) / 1000
            n += 1

    def _delay_ms(self, n: int, draw: float) -> int:
        ms = _times_power_of_two(self.min_ms, n)
        deviation = _floor(draw * self.jitter * ms) if self.jitter else 0.0
        ms = ms - deviation if math.floor(draw * 10) % 2 == 0 else ms + deviation
        # JavaScript: ∞ - ∞ is NaN, Math.min keeps it, and NaN | 0 is 0.
        return 0 if math.isnan(ms) else int(min(ms, self.max_ms))


class Spread(_Parameters, frozen=True, kw_only=True):
    """Come back once, anywhere in a window wide enough for the gateway, then back off with full jitter.

    delay(0) = hold + U(0, window); delay(n) = U(0, min(cap, base·2ⁿ⁻¹)) for n ≥ 1

    A hold gives a gateway time to work off what it still has queued for clients that have gone.
    """

    hold_s: Seconds = 0.0
    window_s: Seconds = 8.0
    base_s: Seconds = 1.0
    cap_s: Seconds = 30.0

    def delays(self, rng: random.Random) -> Iterator[float]:
        yield self.hold_s + rng.uniform(0, self.window_s)
        n = 0
        while True:
            yield rng.uniform(0, min(self.cap_s, _times_power_of_two(self.base_s, n)))
            n += 1


class UserDefined(_Parameters, frozen=True, kw_only=True):
    """A function of the user's own: `function(rng, **parameters)` returns the iterator of delays."""

    function: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)

    def delays(self, rng: random.Random) -> Iterator[float]:
        iterator: Iterator[float] = _import_function(self.function)(rng, **self.parameters)
        return iterator


POLICIES: dict[str, tuple[type[_Parameters], dict[str, float]]] = {
    "naive": (Naive, {}),
    "incident": (Backo2, {"min_ms": 200.0, "max_ms": 30_000.0, "jitter": 0.5}),
    "socketio-js": (Backo2, {"min_ms": 1000.0, "max_ms": 5000.0, "jitter": 0.5}),
    "spread": (Spread, {}),
}
"""Policies by name, each with the parameters that the name stands for."""


def policy(spec: str | dict[str, Any]) -> Policy:
    """The policy that a scenario asks for: a name, a table with `name`, or `module:function`.

    Raises PolicyError with what was found and what is allowed.
    """
    table = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = table.pop("name", None)
    if isinstance(name, str) and ":" in name:
        _check_function(name, table)
        return UserDefined(function=name, parameters=table)
    if not isinstance(name, str) or name not in POLICIES:
        raise PolicyError(f"found policy {name!r}, allowed: {', '.join(POLICIES)} or module:function")
    kind, defaults = POLICIES[name]
    try:
        return msgspec.convert({**defaults, **table}, kind)  # type: ignore[return-value]
    except msgspec.ValidationError as error:
        allowed = ", ".join(kind.__struct_fields__) or "no parameters"
        found = ", ".join(f"{key} = {value!r}" for key, value in table.items())
        raise PolicyError(f"policy {name!r}: found {found}: {error}; allowed: {allowed}") from None


def _import_function(path: str) -> Any:
    module_name, _, function_name = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), function_name)
    except Exception as error:  # A module of the user's own can fail in any way.
        raise PolicyError(f"policy {path!r} cannot be imported: {error}") from None


def _check_function(path: str, parameters: dict[str, Any]) -> None:
    function = _import_function(path)
    if not callable(function):
        raise PolicyError(f"policy {path!r}: found {function!r}, allowed: a function(rng, **parameters)")
    try:
        inspect.signature(function).bind(None, **parameters)
    except TypeError as error:
        allowed = f"{path}{inspect.signature(function)}"
        raise PolicyError(f"policy {path!r}: {error}; allowed: {allowed}") from None
    except ValueError:  # Written in C, without a signature to check.
        return


def _times_power_of_two(value: float, n: int) -> float:
    try:
        return math.ldexp(value, n)
    except OverflowError:
        return math.inf


def _floor(value: float) -> float:
    return value if math.isinf(value) or math.isnan(value) else math.floor(value)

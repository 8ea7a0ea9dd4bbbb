"""Reconnect policies by name: when a client that has lost its connection reconnects.

A policy is a frozen value. A client takes one of its delays before each attempt, and starts a new iterator
when its back-off resets; `following.py` has how a policy is asked, and told what has happened. `backoff.py`
has the policies that only wait, `throttled.py` those with a throttle, `stock/` the client libraries of
production.

Add one: write the struct there, give it `delays`, and enter it in `POLICIES`.
"""

from typing import Any

from msgspec.structs import replace

from scenarios.fields import invalid, one_of, parameters, share_of
from scenarios.policies.backoff import (
    AxiosRetry,
    Backo2,
    BasePolicy,
    DecorrelatedJitter,
    EqualJitter,
    FullJitter,
    Grpc,
    Naive,
    Rounds,
    Spread,
)
from scenarios.policies.browsers import Browser, Chromium, Firefox
from scenarios.policies.following import Policy, PolicyError
from scenarios.policies.stock.catalogue import STOCK, is_of_version
from scenarios.policies.stock.client import StockClient
from scenarios.policies.throttled import (
    CircuitBreaker,
    GatedPolicy,
    RetryBudget,
    SreThrottle,
    TokenBucket,
)
from scenarios.policies.user_defined import UserDefined, check_function

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
    "rounds": (Rounds, {}),
    "firefox": (Firefox, {}),
    "chromium": (Chromium, {}),
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
        check_function(name, table)
        return UserDefined(function=name, parameters=table)
    if isinstance(name, str):
        name = _without_version(name)
    if not isinstance(name, str) or name not in POLICIES:
        expected = one_of(name, POLICIES, "policies")
        raise PolicyError(invalid("", name, f"{expected}, or module:function"))
    kind, defaults = POLICIES[name]
    if issubclass(kind, StockClient):
        table = {kind.former.get(key, key): value for key, value in table.items()}
    try:
        found = parameters({**defaults, **table}, kind)
    except ValueError as error:
        raise PolicyError(f"policy {name!r}: {error}") from None
    return found.around(policy(found.policy)) if isinstance(found, Browser) else found


def stock_client(name: str) -> str:
    """The name of a stock client without the version; raises PolicyError if there is none of that name."""
    plain = _without_version(name)
    if plain not in STOCK:
        raise PolicyError(invalid("", name, one_of(plain, STOCK, "policies of client libraries")))
    return plain


def _without_version(name: str) -> str:
    """A name without the version after `@`; raises PolicyError if that was not the one that was read."""
    plain, at, version = name.partition("@")
    if not at or plain not in STOCK:
        return name
    if not is_of_version(STOCK[plain], version):
        raise PolicyError(invalid("", name, f"{plain} or {plain}@{STOCK[plain].version}"))
    return plain


def divided(whole: Policy, index: int, processes: int) -> Policy:
    """The policy for process number `index` of `processes`.

    Absolute numbers of a shared throttle are divided, so that all throttles together allow what one would.
    """
    if processes == 1 or not (isinstance(whole, GatedPolicy) and whole.shared):
        return whole
    match whole:
        case RetryBudget(min_per_s=number):
            return replace(whole, min_per_s=share_of(number, index, processes))
        case TokenBucket(capacity=tokens):
            return replace(whole, capacity=tokens / processes)
    return whole

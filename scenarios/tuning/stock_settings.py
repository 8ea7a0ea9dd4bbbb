"""What each stock client can do of recommended settings: its own options, a function that it takes, or less.

Options are those whose delays are nearest to the recommended ones; no storm is simulated.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from reports.tuning.result import StockSettings
from scenarios.policies.collapse import A_TENTH, ATTEMPTS, collapses, percent, sentence
from scenarios.policies.outcome import Reset, reset_in_words
from scenarios.policies.registry import policy
from scenarios.policies.stock.catalogue import STOCK
from scenarios.scenario.model import Fleet
from scenarios.tuning.candidate import Candidate, policy_name, reset_of
from scenarios.tuning.distance import Chains, distance, outage, profile
from scenarios.tuning.ranges import filled
from scenarios.tuning.snippets import as_stock, has_formula
from scenarios.tuning.stock_options import FUNCTIONS, RESET_OPTIONS, STOCK_OPTIONS

_CLIENTS = 25
_COMPARED = 8
"""Clients and attempts that are compared while options are looked for."""
_STEPS = (0.25, 0.1, 0.04, 0.015)


class _Wanted(Struct, frozen=True):
    """What a stock client is to do."""

    spec: dict[str, Any]
    chains: Chains
    reset: Reset


def stock_settings(chosen: Candidate, fleet: Fleet, scale: Mapping[str, float]) -> tuple[StockSettings, ...]:
    """One for each stock client, in the order of the catalogue."""
    spec = as_stock(chosen.policy)
    wanted = _Wanted(spec, outage(policy(spec), ATTEMPTS), reset_of(chosen, fleet))
    return tuple(_of(name, wanted, scale) for name in STOCK)


def _of(name: str, wanted: _Wanted, scale: Mapping[str, float]) -> StockSettings:
    if name in FUNCTIONS and policy_name(wanted.spec) != name and has_formula(wanted.spec):
        return StockSettings(
            client=name, function=FUNCTIONS[name], lost=(*_reset_lost({"name": name}, wanted),)
        )
    spec = wanted.spec if policy_name(wanted.spec) == name else _fitted(name, wanted, scale)
    chains = outage(policy(spec), ATTEMPTS)
    return StockSettings(
        client=name,
        options={key: value for key, value in spec.items() if key != "name"},
        lost=(*_delays_lost(chains, wanted), *_reset_lost(spec, wanted)),
    )


def _fitted(name: str, wanted: _Wanted, scale: Mapping[str, float]) -> dict[str, Any]:
    """The nearest options: from the middle of their ranges, one at a time, in ever smaller steps."""
    reset = RESET_OPTIONS.get(name, "")
    ranges = tuple(one for one in STOCK_OPTIONS.get(name, ()) if one.key != reset)
    extra = _reset_option(reset, wanted.reset)

    def spec_at(places: list[float]) -> dict[str, Any]:
        spec = filled(name, ranges, places, scale)
        return {**(spec if isinstance(spec, dict) else {"name": spec}), **extra}

    def far(spec: dict[str, Any]) -> float:
        return distance(profile(outage(policy(spec), _COMPARED, _CLIENTS)), compared).whole

    compared = profile([chain[:_COMPARED] for chain in wanted.chains])
    here = [0.5] * len(ranges)
    best = far(spec_at(here))
    for step in _STEPS:
        better = True
        while better:
            better = False
            for place in range(len(here)):
                for moved in (max(0.0, here[place] - step), min(1.0, here[place] + step)):
                    there = [*here[:place], moved, *here[place + 1 :]]
                    found = far(spec_at(there))
                    if found < best - 1e-9:
                        here, best, better = there, found, True
    others = [{"name": name, **extra}]
    model = STOCK.get(policy_name(wanted.spec))
    if model and model.__struct_fields__ == STOCK[name].__struct_fields__:
        others.append({**wanted.spec, "name": name})
    return min([*others, spec_at(here)], key=far)


def _reset_option(key: str, wanted: Reset) -> dict[str, Any]:
    """The option that makes attempts start over as is wanted; none where it cannot say it."""
    return {key: round(wanted * 1000)} if key and isinstance(wanted, float) else {}


def _delays_lost(chains: Chains, wanted: _Wanted) -> Iterator[str]:
    attempts = max(map(len, chains))
    if not attempts:
        yield "clients make no attempt"
        return
    found = distance(profile(chains), profile(wanted.chains))
    if found.delays > A_TENTH:
        yield f"delays differ by {percent(found.delays)} on average"
    if collapses(chains) and found.on_one_value > A_TENTH:
        yield sentence(chains).rstrip(".")
    elif attempts < max(map(len, wanted.chains)):
        yield f"clients stop for good after {attempts} attempts"


def _reset_lost(spec: dict[str, Any], wanted: _Wanted) -> Iterator[str]:
    own = policy(spec).reset
    if _patience(own) < _patience(wanted.reset):
        yield f"attempts start over {reset_in_words(own)}, not {reset_in_words(wanted.reset)}"


def _patience(reset: Reset) -> float:
    """A larger number for a rule under which attempts start over later."""
    return {"open": 0.0, "joined": 1.0, "never": float("inf")}[reset] if isinstance(reset, str) else 2 + reset

"""The page of reconnect policies, and their figures."""

import inspect
from pathlib import Path

from msgspec import Struct

from scenarios.policies import throttled
from scenarios.policies.browsers import Browser
from scenarios.policies.collapse import DRAWS, duration
from scenarios.policies.following import Policy
from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.registry import POLICIES, policy
from scenarios.policies.stock.catalogue import STOCK
from scenarios.policies.user_defined import UserDefined
from scenarios.reference.docstrings import Described, described, field_docstrings, member_docstrings
from scenarios.reference.parameters import Parameter, parameters
from tools.pages.delays import Delays, delays
from tools.pages.failing_clients import attempts_s, per_second
from tools.pages.figures import attempts_figure, delays_figure, svg
from tools.pages.rendering import rendered

FIGURES = "policies"
"""Folder of the figures, beside the page."""

CLIENTS = 100
SECONDS = 120
FAILS_AFTER_S = 1.0
SEED = 1


class Entry(Struct, frozen=True):
    """One policy on the page."""

    name: str
    described: Described
    parameters: list[Parameter]
    file: str
    throttled: bool
    rules: str
    """What it does beside its delays, as sentences; empty for what most policies do."""
    alt: str
    drawing: str
    """The figure as SVG."""


def entries() -> list[Entry]:
    """All policies that are no stock clients, in the order of the registry."""
    return [_entry(name) for name in POLICIES if name not in STOCK]


def page(policies: list[Entry]) -> str:
    """The page in Markdown."""
    return rendered(
        "policies.md.j2",
        policies=policies,
        user_defined=described(UserDefined),
        outcome=field_docstrings(Outcome),
        kinds=member_docstrings(OutcomeKind),
        about_throttles=" ".join(inspect.cleandoc(throttled.__doc__ or "").split("\n\n", 1)[1].split()),
        draws=DRAWS,
        clients=CLIENTS,
        seconds=SECONDS,
        fails_after=duration(FAILS_AFTER_S),
        figures=FIGURES,
    )


def drawings(policies: list[Entry]) -> dict[Path, str]:
    """The figures, by where they belong below docs/."""
    return {Path(FIGURES) / f"{entry.name}.svg": entry.drawing for entry in policies}


def _entry(name: str) -> Entry:
    kind, _ = POLICIES[name]
    chosen = policy(name)
    throttle = issubclass(kind, throttled.GatedPolicy | Browser)
    alt, drawing = _figure_of_attempts(name, chosen) if throttle else _figure_of_delays(name, chosen)
    return Entry(
        name=name,
        described=described(kind),
        parameters=parameters(kind, defaults=defaults_of(name)),
        file=f"{kind.__module__.replace('.', '/')}.py",
        throttled=throttle,
        rules=rules_of(chosen),
        alt=alt,
        drawing=drawing,
    )


def rules_of(chosen: Policy) -> str:
    """When a policy starts over and stops, and what it sees, where that is not what most policies do."""
    sentences = []
    if isinstance(chosen.reset, float | int):
        sentences.append(f"It starts over after a session of {duration(chosen.reset)}.")
    elif chosen.reset != "open":
        when = "never starts over" if chosen.reset == "never" else "starts over once the namespace is joined"
        sentences.append(f"It {when}.")
    if chosen.stops_on:
        kinds = " or ".join(f"`{kind}`" for kind in sorted(chosen.stops_on))
        sentences.append(f"It makes no further attempt after {kinds}.")
    if chosen.sees == "browser":
        sentences.append("It sees what a browser shows.")
    return " ".join(sentences)


def defaults_of(name: str) -> dict[str, float]:
    """The parameters that the name stands for; raises ValueError where one is no field of the policy."""
    kind, defaults = POLICIES[name]
    unknown = sorted(set(defaults) - set(kind.__struct_fields__))
    if unknown:
        raise ValueError(f"policy {name}: invalid defaults {unknown}: expected its own fields")
    return dict(defaults)


def _figure_of_delays(name: str, chosen: Policy) -> tuple[str, str]:
    found = delays(chosen, seed=SEED)
    alt = alt_of_delays(name, found)
    return alt, svg(delays_figure(found), alt)


def _figure_of_attempts(name: str, chosen: Policy) -> tuple[str, str]:
    began_s = attempts_s(chosen, clients=CLIENTS, until_s=SECONDS, fails_after_s=FAILS_AFTER_S, seed=SEED)
    counts = per_second(began_s, SECONDS)
    alt = alt_of_attempts(name, counts)
    return alt, svg(attempts_figure(counts, clients=CLIENTS), alt)


def alt_of_attempts(name: str, counts: list[int]) -> str:
    """The figure of attempts in words, for readers who cannot see it."""
    half = counts[len(counts) // 2 :]
    late = f"{sum(half):,} in the second half, at most {max(half):,} per second" if any(half) else ""
    return (
        f"Attempts per second under {name}, of {CLIENTS} clients whose attempts all fail: {sum(counts):,} in "
        f"{len(counts)} s, {counts[0]:,} of them in the first second, {late or 'none in the second half'}."
    )


def alt_of_delays(name: str, found: Delays) -> str:
    """The figure of delays in words, for readers who cannot see it."""
    last = len(found.median_s) - 1
    parts = [f"before attempt {n} {_spread(found, n)}" for n in sorted({0, last // 2, last})]
    end = f" After attempt {last}, clients give up." if found.ends else ""
    return f"Delays under {name}: {'; '.join(parts)}.{end}"


def _spread(found: Delays, n: int) -> str:
    low, middle, high = (duration(each[n]) for each in (found.p10_s, found.median_s, found.p90_s))
    return f"always {middle}" if found.least_s[n] == found.most_s[n] else f"median {middle} ({low} to {high})"

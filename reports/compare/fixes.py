"""Each fix in a few short sentences: what it did, for whom, at what price, and how sure that is.

A fix is an arm that is not the reference: one level of a studied variable, or a combination of several.
"""

from collections.abc import Iterator, Sequence
from math import inf

from msgspec import Struct

from reports.compare.arm import ArmResult, alike, decidable, order_p, standing
from reports.compare.comparable import is_switch
from reports.compare.headline import outcome, quoted, state
from reports.compare.ip_groups import fewer_in_time, for_whom, later_for, more_in_time, shared_of
from reports.compare.measures import AVAILABILITY, BY_KEY, FEWER, ONCE, TIME_TO_RECOVER, Effect, Names
from reports.compare.ranges import Range
from reports.compare.statistics import ALPHA
from reports.text import units

MOST_FIXES = 8
"""Of more arms than these only single changes and the best arms get a sentence; the table has them all."""

_EFFECTS = (
    ("effective_p99_during", "effective p99 during the storm"),
    ("effective_p99_after", "effective p99 afterwards"),
    (AVAILABILITY, "availability"),
    ("pod_cpu", "pod CPU"),
)
_P99 = ("effective_p99_during", "effective_p99_after")
_PRICES: tuple[tuple[str, Effect], ...] = (
    ("limited", FEWER),
    ("disconnects", FEWER),
    ("amplification", ONCE),
    ("gave_up", FEWER),
    ("nginx_cpu", BY_KEY["nginx_cpu"].effect),
)


def fixes(
    arms: Sequence[ArmResult], variables: Sequence[str], winners: Sequence[str], names: Names
) -> tuple[str, ...]:
    """A text for every fix, against the first arm, which is the reference; of one arm alone, its numbers."""
    reference, *others = arms
    if not any(arm.valid for arm in arms):
        return ()
    if not others:
        return tuple(_alone(reference))
    if len(others) > MOST_FIXES:
        others = [arm for arm in others if arm.name in winners or len(_changed(reference, arm)) == 1]
    texts = [" ".join(_fix(reference, arm, arms, names)) for arm in others]
    return (*texts, *_not_separated(arms, variables))


def price_of_best(arms: Sequence[ArmResult], winners: Sequence[str], names: Names) -> str:
    """What the best fix costs, and to whom; empty where no fix is better than the reference."""
    reference = arms[0]
    if len(arms) == 1 or not winners or reference.name in winners or not reference.valid:
        return ""
    best = min((arm for arm in arms if arm.name in winners), key=standing)
    price = "; ".join(_price(reference, best, names)) or "none measured"
    return f"Price of {quoted(best.name)}: {price}."


def _fix(reference: ArmResult, arm: ArmResult, arms: Sequence[ArmResult], names: Names) -> Iterator[str]:
    changes = ", ".join(_change(key, reference, arm) for key in _changed(reference, arm))
    name = f"{quoted(arm.name)} ({changes})" if changes else quoted(arm.name)
    without = [quoted(one.name) for one in (reference, arm) if not one.valid]
    if without:
        have = "has" if len(without) == 1 else "have"
        yield f"{name}: effect unknown, {' and '.join(without)} {have} no valid run."
        return
    yield f"{name}: {_recovery(reference, arm)}."
    yield from _measures(reference, arm)
    yield from for_whom(reference.by_ip, arm.by_ip)
    if arm.recovered_s == inf:
        yield from more_in_time(reference.by_ip, arm.by_ip)
    yield from _unused_limit(reference, arm)
    if arm.verdict != "STEADY":
        price = [*_price(reference, arm, names)]
        yield f"Price: {'; '.join(price) if price else 'none measured'}."
    yield from _combined(reference, arm, arms)
    yield f"{_sure(reference, arm)}."


def _recovery(reference: ArmResult, arm: ArmResult) -> str:
    """What became of the service, against the reference."""
    if arm.verdict == reference.verdict == "STEADY":
        return "steady, like the reference"
    same = "no measurable effect on recovery: " if alike(reference, arm) else ""
    if reference.recovered_s < inf and arm.recovered_s < inf:
        change = _moved("time to recover", TIME_TO_RECOVER, reference, arm)
        return f"{same}{change.text}" if change else ""
    if state(reference) == state(arm):
        return f"{same}{state(arm)}, like the reference"
    # The headline says how the reference ended.
    return f"{same}the service {outcome(arm)}; the reference " + (
        outcome(reference) if reference.recovered_s < inf or arm.recovered_s == inf else "did not"
    )


def _added(before: ArmResult, after: ArmResult) -> str:
    """What one change more did to recovery."""
    if alike(before, after):
        return "no measurable effect on recovery"
    if before.recovered_s < inf and after.recovered_s < inf:
        wanted = ((TIME_TO_RECOVER, "time to recover"), *_EFFECTS[-2:])
        changes = [_moved(what, key, before, after) for key, what in wanted]
        return "; ".join(change.text for change in changes if change and change.moved)
    if after.recovered_s < inf:
        return "the service now recovers"
    if before.recovered_s < inf:
        return "the service no longer recovers"
    return f"{state(before)} → {state(after)}"


class _Change(Struct, frozen=True):
    """One measure against the reference."""

    moved: bool
    text: str
    fell: bool = False


def _measures(reference: ArmResult, arm: ArmResult) -> Iterator[str]:
    """What p99, availability and CPU did: what moved first, then what did not, in one sentence."""
    found = {
        key: change for key, what in _EFFECTS if (change := _moved(what, key, reference, arm)) is not None
    }
    # One p99 is enough: that of the storm, unless only the one afterwards has moved.
    p99 = [key for key in _P99 if key in found]
    shown = next((key for key in p99 if found[key].moved), next(iter(p99), ""))
    changes = [change for key, change in found.items() if key == shown or key not in _P99]
    moved = [change.text for change in changes if change.moved]
    # More of them are a price, and are told as one.
    if (fewer := _moved("disconnects", "disconnects", reference, arm)) and fewer.fell:
        moved.append(fewer.text)
    same = [change.text for change in changes if not change.moved]
    parts = [*moved, f"no measurable change: {', '.join(same)}" if same else ""]
    if moved or same:
        yield f"{units.capitalised('; '.join(filter(None, parts)))}."


def _moved(what: str, key: str, before: ArmResult, after: ArmResult) -> _Change | None:
    """`pod CPU fell from 49 % to 30 %`, or `pod CPU 49 %`; None where one arm has no value."""
    a, b = before.ranges.get(key), after.ranges.get(key)
    if a is None or b is None or a.median is None or b.median is None:
        return None
    was, now = _text(key, a), _text(key, b)
    if was == now:
        return _Change(moved=False, text=f"{what} {now}")
    # Two lower bounds, or a bound below the other value, leave the direction open.
    lower, higher = sorted((a, b), key=lambda one: one.median or 0.0)
    if lower.at_least or not BY_KEY[key].effect.matters(a.median, b.median):
        return _Change(moved=False, text=f"{what} {now} (was {was})")
    fell = higher is a
    return _Change(moved=True, text=f"{what} {'fell' if fell else 'rose'} from {was} to {now}", fell=fell)


def _text(key: str, found: Range) -> str:
    return f"{'≥ ' if found.at_least else ''}{BY_KEY[key].write(found.median)}"


def _unused_limit(reference: ArmResult, arm: ArmResult) -> Iterator[str]:
    limits = [
        key
        for key in _changed(reference, arm)
        if arm.settings[key] not in {"none", reference.settings[key]}
        and (key.endswith(".limit") or arm.settings[key].startswith("set_limit"))
    ]
    if limits and arm.median("limited") == 0:
        alone = bool(arm.by_ip) and not shared_of(arm.by_ip)
        yield f"The limit refused nothing{': every client has its own IP' if alone else ''}."


def _price(reference: ArmResult, arm: ArmResult, names: Names) -> Iterator[str]:
    """What got worse although nobody asked for it."""
    for key, effect in _PRICES:
        a, b = reference.median(key), arm.median(key)
        if a is None or b is None or b <= a or not effect.matters(a, b):
            continue
        what = BY_KEY[key].name_for(names)
        yield f"{what} rose from {BY_KEY[key].write(a)} to {BY_KEY[key].write(b)}{_whose(key, arm)}"
    yield from later_for(reference.by_ip, arm.by_ip)
    yield from fewer_in_time(reference.by_ip, arm.by_ip)


def _whose(key: str, arm: ArmResult) -> str:
    shared = shared_of(arm.by_ip)
    total = sum(group.limited for group in arm.by_ip)
    if key != "limited" or shared is None or not total:
        return ""
    share = shared.limited / total
    return f" ({'all' if share == 1 else units.percent(share)} of them to clients behind a shared IP)"


def _combined(reference: ArmResult, arm: ArmResult, arms: Sequence[ArmResult]) -> Iterator[str]:
    """Of a combination: what it does beyond the best arm with one change less."""
    less = [
        (one, apart[0])
        for one in arms[1:]
        if one.valid
        and len(apart := _changed(one, arm)) == 1
        and one.settings[apart[0]] == reference.settings[apart[0]]
    ]
    if not less:
        return
    best, key = min(less, key=lambda pair: standing(pair[0]))
    added = arm.settings[key] if is_switch(key) else f"{key} = {arm.settings[key]}"
    yield f"Adding {added} to {quoted(best.name)}: {_added(best, arm)}."


def _sure(reference: ArmResult, arm: ArmResult) -> str:
    few, many = sorted((reference.valid, arm.valid))
    runs = f"{few} run{'s' if few > 1 else ''} per arm" if few == many else f"{few} and {many} valid runs"
    if arm.predicted:
        return f"{runs}, predicted"
    if few == 1:
        return f"{runs}: no test"
    if not decidable(reference, arm):
        return f"{runs}: too few for a test"
    p = order_p(reference, arm)
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    if p > ALPHA:
        found = "no significant difference"
    elif alike(reference, arm):
        found = "a difference in recovery or availability that is significant, but below the minimum effect"
    else:
        found = "significant difference"
    return f"{runs}: {found} (rank test, {shown})"


def _alone(arm: ArmResult) -> Iterator[str]:
    """The numbers of an arm that has no other beside it."""
    if arm.verdict == "STEADY":
        return
    parts = [
        f"{what} {_text(key, found)}"
        for key, what in (
            *_EFFECTS,
            ("amplification", BY_KEY["amplification"].name),
            ("limited", BY_KEY["limited"].name),
        )
        if (found := arm.ranges.get(key)) and found.median is not None
    ]
    if parts:
        yield f"{units.capitalised('; '.join(parts))}."
    yield from for_whom((), arm.by_ip)


def _changed(a: ArmResult, b: ArmResult) -> list[str]:
    return [key for key in a.settings if a.settings[key] != b.settings[key]]


def _change(key: str, reference: ArmResult, arm: ArmResult) -> str:
    value = arm.settings[key]
    return value if is_switch(key) else f"{key}: {reference.settings[key]} → {value}"


def _not_separated(arms: Sequence[ArmResult], variables: Sequence[str]) -> Iterator[str]:
    if len(variables) < 2:
        return
    for key in variables:
        if not any(_changed(a, b) == [key] for a in arms for b in arms):
            yield f"No two arms differ in {key} only: its own effect is unknown."

"""A comparison in sentences: the best arm, the effect of each change alone, and the confidence."""

from collections.abc import Iterator, Sequence
from math import inf

from reports.compare.arm import ArmResult, alike, decidable, order_p, standing
from reports.compare.comparable import is_switch
from reports.compare.control import Control
from reports.compare.measures import AVAILABILITY, SERVED, SOONER, TIME_TO_RECOVER
from reports.compare.ranges import Range
from reports.compare.statistics import runs_needed
from reports.text import units


def headline(arms: Sequence[ArmResult], winners: Sequence[str]) -> str:
    """One or two sentences: the best arm against the first one, which is the reference."""
    if len(arms) == 1:
        return _one_arm(arms[0])
    if not winners:
        return "No arm has a valid run, so nothing can be concluded."
    reference = arms[0]
    best = min((arm for arm in arms if arm.name in winners), key=standing)
    if len(winners) == len(arms):
        same = len({_outcome(arm) for arm in arms if arm.valid}) == 1
        difference = "No difference" if same else "No clear difference"
        return f"{difference} between the arms: {_outcomes(arms)}{_all_served(arms)}."
    if reference.name in winners:
        others = [name for name in winners if name != reference.name]
        beside = f"; no clear difference from {_names(others)}" if others else ""
        name = _quoted(reference.name)
        return f"No arm outperforms the reference {name}, which {_outcome(reference)}{beside}."
    if best.verdict == "RECOVERED":
        first = f"{_names(winners)} did best: {_outcomes([arm for arm in arms if arm.name in winners])}."
    else:
        now_and_then = any(map(_recoveries, arms))
        how = " in more than half of its runs" if now_and_then else _within(best)
        first = f"No arm recovered{how}. Least bad: {_names(winners)} ({best.verdict})."
    return f"{first} {_against(best, reference)}"


def order_sentence(orders: Sequence[Sequence[str]]) -> str:
    """Whether the order of the arms changed from round to round; empty for one round, or one arm."""
    if len(orders) < 2 or max(map(len, orders)) < 2:
        return ""
    if len({tuple(order) for order in orders}) == 1:
        return (
            "The arms ran in the same order in every round: carry-over between runs always affects the same "
            "arm."
        )
    return "The order of the arms changed from round to round."


def effects(arms: Sequence[ArmResult], variables: Sequence[str]) -> tuple[str, ...]:
    """What each variable changed while all others stayed the same, one sentence for every such pair."""
    sentences: list[str] = []
    if not any(arm.valid for arm in arms):
        return ()
    for key in variables:
        pairs = list(_pairs(arms, key))
        sentences += [_effect(key, arms[0], before, after) for before, after in pairs]
        if not pairs:
            sentences.append(f"No two arms differ in {key} only: its own effect is unknown.")
    return tuple(sentences)


def believe(arms: Sequence[ArmResult], winners: Sequence[str], controls: Sequence[Control] = ()) -> str:
    """The confidence: how many runs there are, how many are valid, what they decide, and what is missing."""
    runs, valid = sum(arm.runs for arm in arms), sum(arm.valid for arm in arms)
    fewest, most = min(arm.runs for arm in arms), max(arm.runs for arm in arms)
    number = str(fewest) if fewest == most else f"{fewest} to {most}"
    per_arm = " per arm" if len(arms) > 1 else ""
    sentences = []
    if not valid:
        return "None: no run is valid. Use the numbers only to find out why."
    if most == 1:
        more = f"use --repeats {runs_needed()} or more"
        sentences.append(f"One run{per_arm} (n = 1): not statistically significant; {more}.")
    else:
        sentences.append(f"{number} runs{per_arm}{', all valid' if valid == runs else ''}.")
    if valid < runs:
        missing = [(arm, arm.runs - arm.valid) for arm in arms if arm.valid < arm.runs]
        invalid = ", ".join(f"{_quoted(arm.name)} {number} of {arm.runs}" for arm, number in missing)
        sentences.append(f"{runs - valid} of {runs} runs invalid and left out ({invalid}).")
    sentences += _too_few(arms, most)
    sentences += _comparisons(arms, winners)
    sentences += _uncontrolled(arms, controls)
    return " ".join(sentences)


def _one_arm(arm: ArmResult) -> str:
    if arm.runs == 1:
        return f"{arm.verdict}: {arm.reasons[0]}."
    names = {name: arm.verdicts.count(name) for name in dict.fromkeys(arm.verdicts)}
    tally = ", ".join(f"{number} {name}" for name, number in names.items())
    return f"{_quoted(arm.name)} {_outcome(arm)}{_served(arm)}; runs: {tally}."


def _outcome(arm: ArmResult) -> str:
    """What became of an arm, as a predicate: `did not recover within 38 s (OUTAGE)`."""
    if not arm.valid:
        return "has no valid run"
    if arm.verdict == "STEADY":
        return f"was {_state(arm)}"
    if arm.recovered_s < inf or _recoveries(arm):
        return _state(arm)
    return f"did not recover{_within(arm)} ({arm.verdict})"


def _state(arm: ArmResult) -> str:
    """What became of an arm that has a valid run, as a state: `not recovered within 38 s (OUTAGE)`."""
    if arm.verdict == "STEADY":
        return "steady without a trigger"
    if arm.recovered_s < inf:
        return f"recovered after {units.seconds(arm.recovered_s)}"
    if _recoveries(arm):
        return f"recovered in only {_recoveries(arm)} of {arm.valid} runs ({arm.verdict})"
    return f"not recovered{_within(arm)} ({arm.verdict})"


def _recoveries(arm: ArmResult) -> int:
    return sum(result.time_to_recover_s is not None for result in arm.results)


def _outcomes(arms: Sequence[ArmResult]) -> str:
    """What arms without a difference did; where they do not read the same, the best and the worst."""
    best, *others = sorted((arm for arm in arms if arm.valid), key=standing)
    if not others:
        return _outcome(best)
    worst = others[-1]
    outcomes = [_outcome(arm) for arm in (best, worst)]
    if outcomes[0] == outcomes[1]:
        return _shared_outcome(best)
    if worst.recovered_s < inf:
        times = [units.seconds(arm.recovered_s) for arm in (best, worst)]
        return f"they recovered after {units.span(*times)}"
    return f"{_quoted(best.name)} {outcomes[0]}, {_quoted(worst.name)} {outcomes[1]}"


def _shared_outcome(arm: ArmResult) -> str:
    """The same of several arms: `none recovered within 38 s (OUTAGE)`."""
    if arm.verdict == "STEADY":
        return f"all were {_state(arm)}"
    if arm.recovered_s < inf or _recoveries(arm):
        return f"each {_state(arm)}"
    return f"none recovered{_within(arm)} ({arm.verdict})"


def _all_served(arms: Sequence[ArmResult]) -> str:
    shares = sorted(share for arm in arms if (share := arm.median(AVAILABILITY)) is not None)
    if not shares:
        return ""
    low, high = units.percent(shares[0]), units.percent(shares[-1])
    return f", availability {units.span(low, high) or low}"


def _within(arm: ArmResult) -> str:
    return "" if arm.at_least_s is None else f" within {units.seconds(arm.at_least_s)}"


def _served(arm: ArmResult) -> str:
    share = arm.median(AVAILABILITY)
    return "" if share is None else f", availability {units.percent(share)}"


def _against(best: ArmResult, reference: ArmResult) -> str:
    sentence = f"The reference {_quoted(reference.name)} {_outcome(reference)}"
    if not reference.valid:
        return f"{sentence}."
    compared = [
        f"{what} {ours} against {theirs}"
        for what, key in (
            ("effective p99 afterwards", "effective_p99_after"),
            (AVAILABILITY, "availability"),
        )
        if (ours := _value(best, key)) and (theirs := _value(reference, key))
    ]
    return f"{sentence}; {', '.join(compared)}." if compared else f"{sentence}."


def _pairs(arms: Sequence[ArmResult], key: str) -> Iterator[tuple[ArmResult, ArmResult]]:
    """Arms that differ in `key` alone, the reference's value first."""
    for before in arms:
        if before.settings[key] != arms[0].settings[key]:
            continue
        for after in arms:
            changed = [name for name in before.settings if before.settings[name] != after.settings[name]]
            if changed == [key]:
                yield before, after


def _effect(key: str, reference: ArmResult, before: ArmResult, after: ArmResult) -> str:
    base = [
        value for name, value in before.settings.items() if name != key and value != reference.settings[name]
    ]
    where = f"on top of {' + '.join(base)}" if base else "alone"
    was, value = before.settings[key], after.settings[key]
    change = f"{value} {where}" if is_switch(key) else f"{key} {where} ({was} → {value})"
    without = [_quoted(arm.name) for arm in (before, after) if not arm.valid]
    if without:
        have = "has" if len(without) == 1 else "have"
        return f"{change}: unknown, {' and '.join(without)} {have} no valid run."
    served = " → ".join(units.percent(arm.median(AVAILABILITY)) for arm in (before, after))
    if alike(before, after):
        return f"{change} had no measurable effect: {_state(after)}; availability {served}."
    states = [_state(before), _state(after)]
    course = f"still {states[1]}" if states[0] == states[1] else " → ".join(states)
    return f"{change}: {course}; availability {served}."


def _too_few(arms: Sequence[ArmResult], most: int) -> Iterator[str]:
    others = [arm for arm in arms[1:] if arm.valid and arms[0].valid]
    if most > 1 and others and not any(decidable(arms[0], arm) for arm in others):
        yield f"Too few runs for a test: use --repeats {runs_needed()} or more."


def _comparisons(arms: Sequence[ArmResult], winners: Sequence[str]) -> Iterator[str]:
    reference = arms[0]
    best = min((arm for arm in arms if arm.name in winners), key=standing, default=None)
    if best is None or len(arms) == 1:
        return
    if len(winners) > 1:
        tested = all(decidable(best, arm) for arm in arms if arm.name in winners and arm is not best)
        why = "no significant difference (rank test)" if tested else "their ranges overlap"
        yield (
            f"{_names(winners)}: {why}, or less than {units.seconds(SOONER.floor)} and "
            f"{SERVED.floor * 100:.0f} percentage points of availability apart."
        )
    if reference.name in winners or min(best.valid, reference.valid) < 2:
        return
    if decidable(best, reference):
        yield (
            f"{_quoted(best.name)} differs significantly from the reference (rank test of whole runs, "
            f"p = {order_p(best, reference):.2g})."
        )
        return
    recovered = best.recovered_s < inf
    key, what = (TIME_TO_RECOVER, "time to recover") if recovered else (AVAILABILITY, "availability")
    best_range, reference_range = best.ranges.get(key), reference.ranges.get(key)
    if best_range is None or reference_range is None:
        return
    apart = best_range.highest < reference_range.lowest or reference_range.highest < best_range.lowest
    spans = f"{_span(best, best_range, key)} against {_span(reference, reference_range, key)}"
    yield f"Ranges of {what} {'do not overlap' if apart else 'overlap'}: {spans}."


def _uncontrolled(arms: Sequence[ArmResult], controls: Sequence[Control]) -> Iterator[str]:
    controlled = {name for control in controls for name in control.arms}
    without = [arm.name for arm in arms if arm.name not in controlled and arm.verdict != "STEADY"]
    if len(without) == len(arms):
        yield "No control run."
    elif without:
        yield f"No control run for {_names(without)}."


def _value(arm: ArmResult, key: str) -> str:
    found = arm.ranges.get(key)
    if found is None or found.median is None:
        return ""
    write = units.percent if key == AVAILABILITY else units.milliseconds
    return f"{'≥ ' if found.at_least else ''}{write(found.median)}"


def _span(arm: ArmResult, span: Range, key: str) -> str:
    write = units.seconds if key == TIME_TO_RECOVER else units.percent
    beyond = f"not{_within(arm)}" if arm.at_least_s else "never"
    if span.low is None:
        return beyond
    low, high = write(span.low), beyond if span.high is None else write(span.high)
    return units.span(low, high) or low


def _names(names: Sequence[str]) -> str:
    quoted = [_quoted(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _quoted(name: str) -> str:
    return f"\u201c{name}\u201d"

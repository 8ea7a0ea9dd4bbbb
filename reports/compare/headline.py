"""A comparison in sentences: did the service recover, which fix did it, and how sure is that."""

from collections.abc import Iterator, Sequence
from math import inf

from reports.compare.arm import ArmResult, decidable, order_p, standing
from reports.compare.comparable import is_switch
from reports.compare.control import Control
from reports.compare.measures import AVAILABILITY, SERVED, SOONER, TIME_TO_RECOVER
from reports.compare.ranges import Range
from reports.compare.statistics import runs_needed
from reports.text import units


def headline(arms: Sequence[ArmResult], winners: Sequence[str]) -> str:
    """Did the service recover in the first arm, which is the reference, and which arms did best?"""
    if len(arms) == 1:
        return _one_arm(arms[0])
    if not winners:
        return "No arm has a valid run, so nothing can be concluded."
    reference = arms[0]
    best = min((arm for arm in arms if arm.name in winners), key=standing)
    if len(winners) == len(arms):
        same = len({outcome(arm) for arm in arms if arm.valid}) == 1
        difference = "No difference" if same else "No clear difference"
        return f"{difference} between the arms: {_outcomes(arms)}{_all_served(arms)}."
    if reference.name in winners:
        others = [name for name in winners if name != reference.name]
        beside = f"; no clear difference from {_names(others)}" if others else ""
        name = quoted(reference.name)
        return f"No arm outperforms the reference {name}, which {outcome(reference)}{beside}."
    first = f"The reference {quoted(reference.name)} {outcome(reference)}."
    if best.verdict == "RECOVERED":
        did = _outcomes([arm for arm in arms if arm.name in winners])
        how = "did best" if len(winners) > 1 else "recovered soonest"
        did = did if len(winners) > 1 else did.removeprefix("recovered ")
        told = (f"{_names(winners)} {how}: {did}.", *_served_more(arms, winners), *_what_did_it(arms))
        return " ".join([first, *told])
    now_and_then = any(map(_recoveries, arms))
    how = " in more than half of its runs" if now_and_then else _within(best)
    return f"No arm recovered{how}. {first} Least bad: {_names(winners)} ({best.verdict})."


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


def believe(arms: Sequence[ArmResult], winners: Sequence[str], controls: Sequence[Control] = ()) -> str:
    """The confidence: how many runs there are, how many are valid, what they decide, and what is missing."""
    runs, valid = sum(arm.runs for arm in arms), sum(arm.valid for arm in arms)
    fewest, most = min(arm.runs for arm in arms), max(arm.runs for arm in arms)
    number = str(fewest) if fewest == most else f"{fewest} to {most}"
    per_arm = " per arm" if len(arms) > 1 else ""
    sentences = []
    if not valid:
        return "None: no run is valid. Use the numbers only to find out why."
    if any(arm.predicted for arm in arms):
        sentences.append("Predicted by the simulator, not measured.")
    if most == 1:
        more = f"use --repeats {runs_needed()} or more"
        sentences.append(f"One run{per_arm} (n = 1): not statistically significant; {more}.")
    else:
        sentences.append(f"{number} runs{per_arm}{', all valid' if valid == runs else ''}.")
    if valid < runs:
        missing = [(arm, arm.runs - arm.valid) for arm in arms if arm.valid < arm.runs]
        invalid = ", ".join(f"{quoted(arm.name)} {number} of {arm.runs}" for arm, number in missing)
        sentences.append(f"{runs - valid} of {runs} runs invalid and left out ({invalid}).")
    sentences += _too_few(arms, most)
    sentences += _comparisons(arms, winners)
    sentences += _uncontrolled(arms, controls)
    return " ".join(sentences)


def _served_more(arms: Sequence[ArmResult], winners: Sequence[str]) -> Iterator[str]:
    """The arms that served more than the one that recovered soonest, although they took longer."""
    best = min((arm for arm in arms if arm.name in winners), key=standing)
    least = best.median(AVAILABILITY)
    for arm in arms:
        share = arm.median(AVAILABILITY)
        if arm.name in winners or not arm.valid or share is None or least is None or share <= least:
            continue
        if arm.recovered_s < inf and SERVED.matters(least, share):
            availability = f"availability {units.percent(share)} against {units.percent(least)}"
            yield f"{quoted(arm.name)} took longer, but served more in all: {availability}."


def _what_did_it(arms: Sequence[ArmResult]) -> Iterator[str]:
    """The one variable whose values tell the arms that recovered from those that did not."""
    valid = [arm for arm in arms if arm.valid]
    if len(valid) < 3:
        return
    found: list[str] = []
    for key in arms[0].settings:
        good, bad = (
            list(dict.fromkeys(arm.settings[key] for arm in valid if (arm.recovered_s < inf) == recovered))
            for recovered in (True, False)
        )
        if good and bad and not {*good} & {*bad}:
            values = " or ".join(good)
            found.append(values if is_switch(key) else f"{key} = {values}")
    # Variables that always change together do not tell which of them it was.
    if len(found) == 1:
        yield f"Every arm with {found[0]} recovered; no other arm did."


def _one_arm(arm: ArmResult) -> str:
    if arm.runs == 1:
        return f"{arm.verdict}: {arm.reasons[0]}."
    names = {name: arm.verdicts.count(name) for name in dict.fromkeys(arm.verdicts)}
    tally = ", ".join(f"{number} {name}" for name, number in names.items())
    return f"{quoted(arm.name)} {outcome(arm)}{_served(arm)}; runs: {tally}."


def outcome(arm: ArmResult) -> str:
    """What became of an arm, as a predicate: `did not recover within 38 s (OUTAGE)`."""
    if not arm.valid:
        return "has no valid run"
    if arm.verdict == "STEADY":
        return f"was {state(arm)}"
    if arm.recovered_s < inf or _recoveries(arm):
        return state(arm)
    return f"did not recover{_within(arm)} ({arm.verdict})"


def state(arm: ArmResult) -> str:
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
        return outcome(best)
    worst = others[-1]
    outcomes = [outcome(arm) for arm in (best, worst)]
    if outcomes[0] == outcomes[1]:
        return _shared_outcome(best)
    if worst.recovered_s < inf:
        times = [units.seconds(arm.recovered_s) for arm in (best, worst)]
        return f"they recovered after {units.span(*times)}"
    return f"{quoted(best.name)} {outcomes[0]}, {quoted(worst.name)} {outcomes[1]}"


def _shared_outcome(arm: ArmResult) -> str:
    """The same of several arms: `none recovered within 38 s (OUTAGE)`."""
    if arm.verdict == "STEADY":
        return f"all were {state(arm)}"
    if arm.recovered_s < inf or _recoveries(arm):
        return f"each {state(arm)}"
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
            f"{quoted(best.name)} differs significantly from the reference (rank test of whole runs, "
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
    texts = [quoted(name) for name in names]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def quoted(name: str) -> str:
    """The name of an arm in a sentence."""
    return f"\u201c{name}\u201d"

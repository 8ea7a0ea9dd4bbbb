"""A comparison in sentences: who did best and by how much, what each change did alone, how sure that is."""

from collections.abc import Iterator, Sequence
from math import inf, sqrt

from reports import units
from reports.arms import TIE_AVAILABILITY, TIE_S, ArmResult, alike, standing
from reports.measures import TIME_TO_RECOVER, Range


def headline(arms: Sequence[ArmResult], winners: Sequence[str]) -> str:
    """One or two sentences: the best arm against the first one, which is the reference."""
    if len(arms) == 1:
        return _one_arm(arms[0])
    if not winners:
        return "No arm has a valid run, so nothing can be concluded."
    reference = arms[0]
    best = min((arm for arm in arms if arm.name in winners), key=standing)
    if len(winners) == len(arms):
        return f"The arms do not differ: each {_outcome(best)}{_served(best)}."
    if reference.name in winners:
        others = [name for name in winners if name != reference.name]
        beside = f"; {_names(others)} did as well" if others else ""
        return f"No arm beats the reference {_quoted(reference.name)}: it {_outcome(reference)}{beside}."
    if best.verdict == "RECOVERED":
        first = f"{_names(winners)} did best: {_outcomes(arms, winners)}."
    else:
        first = f"No arm recovered{_within(best)}. Least bad: {_names(winners)} ({best.verdict})."
    return f"{first} {_against(best, reference)}"


def effects(arms: Sequence[ArmResult], variables: Sequence[str]) -> tuple[str, ...]:
    """What each variable changed while all others stayed the same, one sentence for every such pair."""
    sentences: list[str] = []
    if not any(arm.valid for arm in arms):
        return ()
    for key in variables:
        pairs = list(_pairs(arms, key))
        sentences += [_effect(key, arms[0], before, after) for before, after in pairs]
        if not pairs:
            sentences.append(f"{key} never changes alone here: what it did by itself cannot be told.")
    return tuple(sentences)


def believe(arms: Sequence[ArmResult], winners: Sequence[str]) -> str:
    """How many runs stand behind it, how many are valid, and whether their ranges overlap."""
    runs, valid = sum(arm.runs for arm in arms), sum(arm.valid for arm in arms)
    fewest, most = min(arm.runs for arm in arms), max(arm.runs for arm in arms)
    number = str(fewest) if fewest == most else f"{fewest} to {most}"
    per_arm = " per arm" if len(arms) > 1 else ""
    sentences = []
    if not valid:
        return "No: not one run is valid, and the numbers only help to find out why."
    if most == 1:
        subject = "a difference" if len(arms) > 1 else "what it shows"
        sentences.append(f"One run{per_arm}: {subject} is an observation, not a proof; use --repeats 3.")
    else:
        sentences.append(f"{number} runs{per_arm}{', all valid' if valid == runs else ''}.")
    if valid < runs:
        missing = [(arm, arm.runs - arm.valid) for arm in arms if arm.valid < arm.runs]
        invalid = ", ".join(f"{_quoted(arm.name)} {number} of {arm.runs}" for arm, number in missing)
        sentences.append(f"{runs - valid} of {runs} runs invalid and left out ({invalid}).")
    sentences += _overlap(arms, winners)
    sentences += _metastable_shares(arms)
    return " ".join(sentences)


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share, for one run or more (Wilson 1927)."""
    z = 1.959964
    share = hits / runs
    centre = share + z * z / (2 * runs)
    width = z * sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    scale = 1 + z * z / runs
    return max(0.0, (centre - width) / scale), min(1.0, (centre + width) / scale)


def _one_arm(arm: ArmResult) -> str:
    if arm.runs == 1:
        return f"{arm.verdict}: {arm.reasons[0]}."
    names = {name: arm.verdicts.count(name) for name in dict.fromkeys(arm.verdicts)}
    tally = ", ".join(f"{number} {name}" for name, number in names.items())
    return f"{_quoted(arm.name)} {_outcome(arm)}{_served(arm)}; runs: {tally}."


def _outcome(arm: ArmResult) -> str:
    if not arm.valid:
        return "has no valid run"
    if arm.verdict == "STEADY":
        return "was steady without a trigger"
    if arm.recovered_s < inf:
        return f"recovered after {units.seconds(arm.recovered_s)}"
    return f"did not recover{_within(arm)} ({arm.verdict})"


def _outcomes(arms: Sequence[ArmResult], names: Sequence[str]) -> str:
    times = [units.seconds(arm.recovered_s) for arm in arms if arm.name in names]
    return f"recovered after {' and '.join(dict.fromkeys(times))}"


def _within(arm: ArmResult) -> str:
    return "" if arm.at_least_s is None else f" within {units.seconds(arm.at_least_s)}"


def _served(arm: ArmResult) -> str:
    share = arm.median("availability")
    return "" if share is None else f", availability {units.percent(share)}"


def _against(best: ArmResult, reference: ArmResult) -> str:
    sentence = f"The reference {_quoted(reference.name)} {_outcome(reference)}"
    if not reference.valid:
        return f"{sentence}."
    compared = [
        f"{what} {ours} against {theirs}"
        for what, key in (
            ("effective p99 afterwards", "effective_p99_after"),
            ("availability", "availability"),
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
    change = f"{key} {where} ({before.settings[key]} → {after.settings[key]})"
    without = [_quoted(arm.name) for arm in (before, after) if not arm.valid]
    if without:
        have = "has" if len(without) == 1 else "have"
        return f"{change}: cannot be told, {' and '.join(without)} {have} no valid run."
    served = " → ".join(units.percent(arm.median("availability")) for arm in (before, after))
    if alike(before, after):
        return f"{change} changed nothing: {_state(after)}; availability {served}."
    states = [_state(before), _state(after)]
    course = f"still {states[1]}" if states[0] == states[1] else " → ".join(states)
    return f"{change}: {course}; availability {served}."


def _state(arm: ArmResult) -> str:
    return _outcome(arm).replace("did not recover", "not recovered").removeprefix("was ")


def _overlap(arms: Sequence[ArmResult], winners: Sequence[str]) -> Iterator[str]:
    reference = arms[0]
    best = min((arm for arm in arms if arm.name in winners), key=standing, default=None)
    if best is None or len(arms) == 1:
        return
    if len(winners) > 1:
        yield (
            f"{_names(winners)} cannot be told apart: their ranges overlap, or less than "
            f"{units.seconds(TIE_S)} and {TIE_AVAILABILITY * 100:.0f} points of availability lie between "
            "each and the best."
        )
    if reference.name in winners or min(best.valid, reference.valid) < 2:
        return
    recovered = best.recovered_s < inf
    key, what = (TIME_TO_RECOVER, "time to recover") if recovered else ("availability", "availability")
    ours, theirs = best.ranges.get(key), reference.ranges.get(key)
    if ours is None or theirs is None:
        return
    apart = ours.highest < theirs.lowest or theirs.highest < ours.lowest
    spans = f"{_span(best, ours, key)} against {_span(reference, theirs, key)}"
    yield f"Ranges of {what} {'do not overlap' if apart else 'overlap'}: {spans}."


def _metastable_shares(arms: Sequence[ArmResult]) -> Iterator[str]:
    tallies: dict[tuple[int, int], list[str]] = {}
    for arm in arms:
        hits = arm.verdicts.count("METASTABLE")
        if hits and arm.valid > 1:
            tallies.setdefault((hits, arm.valid), []).append(arm.name)
    for (hits, valid), names in tallies.items():
        low, high = wilson(hits, valid)
        was = "was" if len(names) == 1 else "were each"
        yield (
            f"{_names(names)} {was} metastable in {hits} of {valid} valid runs: "
            f"a true share of {low * 100:.0f} to {high * 100:.0f} % (Wilson, 95 %)."
        )


def _value(arm: ArmResult, key: str) -> str:
    found = arm.ranges.get(key)
    if found is None or found.median is None:
        return ""
    write = units.percent if key == "availability" else units.milliseconds
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

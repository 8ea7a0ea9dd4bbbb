"""Is a comparison decided? Interim analyses of every arm against the reference, by the gate's rules.

- *better*, *worse*: the rank test of whole runs, within the share of α that this interim analysis may spend,
  and a difference that matters.
- *no difference*: a gate of either direction passes, so a difference that matters is excluded.
- *inconclusive*: neither; more rounds may decide it.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from reports.compare.arm import ArmResult, arm_result, differs_enough, order_p, standing
from reports.compare.comparable import by_arm
from reports.compare.comparison import Decision as ArmDecision
from reports.compare.control import controls, under_control
from reports.compare.measures import AVAILABILITY, TIME_TO_RECOVER
from reports.compare.statistics import ALPHA
from reports.gate.decision import Decision, decide, fewest_rounds, look_of
from reports.gate.looks import share_of_alpha
from reports.gate.measures import gauges
from reports.gate.sides import side
from reports.rundir.reader import Run
from reports.text import units

_GAUGES = gauges((TIME_TO_RECOVER, AVAILABILITY))


class Interim(Struct, frozen=True, kw_only=True):
    """What an interim analysis says of one arm."""

    arm: str
    decision: ArmDecision
    p: float | None
    """Of the rank test of whole runs; None where an arm has no valid run."""
    gates: tuple[Decision, Decision]
    """Of the arm against the reference, and the other way round: the next analysis needs them."""


def first_round(repeats: int, most_rounds: int) -> int:
    """The round after which the first interim analysis can decide either way; more than `most_rounds` where
    none can."""
    return fewest_rounds(_GAUGES, repeats, most_rounds)


def interim(
    runs: Sequence[Run], *, first: int, most_rounds: int, earlier: Sequence[Interim] = ()
) -> tuple[Interim, ...]:
    """Every arm against the first one, the reference; `first` rounds come before the first analysis.

    earlier: what the previous analysis said.
    """
    groups = by_arm(under_control(runs, controls(runs)))
    reference, *others = groups
    before = {one.arm: one for one in earlier}
    looks = most_rounds - first + 1
    return tuple(_interim(name, reference, groups, first, looks, before.get(name)) for name in others)


def decided(found: Sequence[Interim]) -> bool:
    """Whether no arm is inconclusive."""
    return all(one.decision != "inconclusive" for one in found)


def interim_lines(found: Sequence[Interim], reference: str, rounds: int) -> list[str]:
    """What is decided after so many rounds, and what is not."""
    said = [
        f"\u201c{one.arm}\u201d: {one.decision}{' than' if one.decision in {'better', 'worse'} else ' from'} "
        f"the reference{f' ({shown})' if (shown := units.p_value(one.p)) else ''}"
        for one in found
        if one.decision != "inconclusive"
    ]
    open_arms = [f"\u201c{one.arm}\u201d" for one in found if one.decision == "inconclusive"]
    after = f"after {rounds} round{'s' if rounds > 1 else ''}, against the reference \u201c{reference}\u201d"
    lines = [f"Decided {after}: {'; '.join(said) if said else 'nothing'}."]
    if open_arms:
        lines.append(f"Not decided: {', '.join(open_arms)}.")
    return lines


def _interim(
    name: str,
    reference: str,
    groups: Mapping[str, Sequence[Run]],
    first: int,
    looks: int,
    earlier: Interim | None,
) -> Interim:
    ours, theirs = side(name, groups[name]), side(reference, groups[reference])
    look = look_of(theirs, ours, first)
    before = earlier.gates if earlier is not None else (None, None)
    gates = (
        decide(theirs, ours, _GAUGES, look=look, looks=looks, earlier=before[0]),
        decide(ours, theirs, _GAUGES, look=look, looks=looks, earlier=before[1]),
    )
    arm, base = (arm_result(one, groups[one], ()) for one in (name, reference))
    p = order_p(arm, base) if arm.valid and base.valid else None
    # An analysis of no more runs than the previous one may spend nothing.
    spent = earlier is not None and look <= earlier.gates[0].look
    share = 0.0 if spent else share_of_alpha(look, looks)
    if earlier is not None and earlier.decision != "inconclusive":
        # What an analysis has decided is decided.
        return Interim(arm=name, decision=earlier.decision, p=earlier.p, gates=gates)
    return Interim(arm=name, decision=_decision(arm, base, p, share, gates), p=p, gates=gates)


def _decision(
    arm: ArmResult, base: ArmResult, p: float | None, share: float, gates: tuple[Decision, Decision]
) -> ArmDecision:
    if p is not None and p <= ALPHA * share and differs_enough(arm, base):
        return "better" if standing(arm) < standing(base) else "worse"
    return "no difference" if all(gate.outcome == "pass" for gate in gates) else "inconclusive"

"""Plays the rounds of a comparison: so many, or more of them until the result is decided."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from scenarios.runner.plan import Plan
from scenarios.runner.progress import RunView


def play_rounds(
    todo: Sequence[Plan],
    view: RunView,
    *,
    rounds: int,
    play: Callable[[Plan], bool],
    decided: Callable[[], bool],
) -> None:
    """Plays `rounds` rounds, and further ones of those in `todo` until the result is decided.

    play(plan): carries out a run; returns whether other load left it alone. decided(): asked after each round
    from `rounds` on.
    """
    disturbed = []
    for plan in todo:
        if plan.control or plan.round <= rounds:
            view.begin(plan.arm)
            if not play(plan) and plan.control:
                disturbed.append(plan)
    # Without its control no arm counts, so one that was disturbed gets another chance.
    view.expect_more(len(disturbed))
    for plan in disturbed:
        view.begin(plan.arm)
        play(replace(plan, directory=plan.directory.with_name(f"{plan.directory.name}-later")))
    number, last = rounds, max((plan.round for plan in todo), default=rounds)
    while not decided() and number < last:
        number += 1
        following = [plan for plan in todo if plan.round == number and not plan.control]
        view.expect_more(len(following))
        for plan in following:
            view.begin(f"{plan.arm}, round {number}")
            play(plan)

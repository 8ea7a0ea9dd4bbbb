"""Successive halving: everybody plays one storm, the better ones play more, the best ones play them all.

What grows from rung to rung is the number of storms, over their sizes and seeds. Source: Jamieson and
Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016.
"""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

SHARE = 3
"""One in so many goes on to the next rung."""
MORE = 4
"""A rung plays so many times as many storms as the one before."""


class Storm(Struct, frozen=True):
    """One storm that every candidate of a rung plays."""

    trigger: str
    seed: int


class Rung(Struct, frozen=True):
    """Who is left plays so many storms, and so many of them go on."""

    storms: int
    keep: int


def storms(triggers: Sequence[str], seeds: Sequence[int]) -> list[Storm]:
    """Every trigger with every seed, so that the first few have the extremes in size and several seeds.

    triggers: from the largest on.
    """
    if not triggers:
        return []
    ends = [triggers[0], triggers[-1]] if len(triggers) > 1 else [triggers[0]]
    between = [trigger for trigger in triggers if trigger not in ends]
    return [Storm(trigger, seed) for group in (ends, between) for seed in seeds for trigger in group]


def rungs(candidates: int, all_storms: int, finalists: int) -> list[Rung]:
    """From one storm for everybody to all storms for no more than the finalists; the last rung keeps all."""
    found = []
    played, left = 1, candidates
    while left > finalists and played < all_storms:
        then = min(all_storms, played * MORE)
        left = finalists if then == all_storms else max(finalists, -(-left // SHARE))
        found.append(Rung(played, left))
        played = then
    found.append(Rung(all_storms, min(left, finalists)))
    return found


def halve(
    names: Sequence[str],
    always: Sequence[str],
    plan: Sequence[Rung],
    play: Callable[[Sequence[str], int], None],
    ranked: Callable[[Sequence[str]], Sequence[str]],
) -> Iterator[tuple[Rung, tuple[str, ...]]]:
    """Plays rung after rung; yields each with who has played it.

    always: these go on whatever their rank, beyond the number that is kept. play(names, storms): sees to it
    that each of them has played the first so many storms. ranked(names): from the best to the worst.
    """
    left = tuple(names)
    for rung in plan:
        play(left, rung.storms)
        yield rung, left
        better = [name for name in ranked(left) if name not in always]
        left = (*(name for name in left if name in always), *better[: rung.keep])

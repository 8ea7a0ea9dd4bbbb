"""The page of the same outage with each stock client: on the bench, and simulated."""

from collections import Counter

from msgspec import Struct

from scenarios.policies.stock.catalogue import STOCK
from tools.pages.rendering import rendered
from tools.stock_fleets import Outcome, Source, read

BENCH, SIMULATED, MILLION = "bench", "simulated", "million"

_SAME_S = 3
"""Recoveries that differ by no more than this are called the same."""

_FEW = 0.01
"""A fleet of which no larger share gave up counts as one that did not."""


class Row(Struct, frozen=True):
    """One stock client."""

    name: str
    version: str
    bench: Outcome | None
    simulated: Outcome | None
    million: Outcome | None


class Agreement(Struct, frozen=True):
    """The simulator beside the bench, over the clients that both have played."""

    clients: int
    same_verdict: int
    other_verdict: list[Row]
    recovered_at_both: int
    within_same_s: int
    attempts_ratio_low: float
    """Attempts of the simulator per attempt of the bench: the lowest client."""
    attempts_ratio_median: float
    attempts_ratio_high: float


def rows(kept: dict[str, Source]) -> list[Row]:
    """In the order of the catalogue, without clients that nobody has played."""
    found = [
        Row(
            name,
            kind.version,
            *(kept.get(where, {}).get(name) for where in (BENCH, SIMULATED, MILLION)),
        )
        for name, kind in STOCK.items()
    ]
    return [row for row in found if row.bench or row.simulated or row.million]


def agreement(played: list[Row]) -> Agreement:
    """Raises ValueError where bench and simulator have no client in common."""
    pairs = [(row, row.bench, row.simulated) for row in played if row.bench and row.simulated]
    if not pairs:
        raise ValueError("bench and simulator have no stock client in common")
    # A client that never comes back by itself makes no attempt.
    ratios = sorted(
        model.attempts_per_client / real.attempts_per_client
        for _, real, model in pairs
        if real.attempts_per_client
    )
    differences_s = [
        abs(model.recovered_after_s - real.recovered_after_s)
        for _, real, model in pairs
        if real.recovered_after_s is not None and model.recovered_after_s is not None
    ]
    return Agreement(
        clients=len(pairs),
        same_verdict=sum(real.verdict == model.verdict for _, real, model in pairs),
        other_verdict=[row for row, real, model in pairs if real.verdict != model.verdict],
        recovered_at_both=len(differences_s),
        within_same_s=sum(difference_s <= _SAME_S for difference_s in differences_s),
        attempts_ratio_low=ratios[0],
        attempts_ratio_median=ratios[len(ratios) // 2],
        attempts_ratio_high=ratios[-1],
    )


def verdicts(outcomes: list[Outcome | None]) -> str:
    """How many fleets have which verdict: `20 RECOVERED, 2 OUTAGE`."""
    counts = Counter(outcome.verdict for outcome in outcomes if outcome)
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())


def fleets(played: list[Row]) -> dict[str, list[Row]]:
    """Clients by what became of their fleet on the bench, the fastest first."""
    groups: dict[str, list[Row]] = {"recovered": [], "still waiting": [], "gave up": []}
    for row in played:
        if row.bench:
            groups[_group(row.bench)].append(row)
    groups["recovered"].sort(key=lambda row: (row.bench and row.bench.recovered_after_s) or 0.0)
    return groups


def _group(outcome: Outcome) -> str:
    if outcome.recovered_after_s is not None:
        return "recovered"
    return "gave up" if outcome.gave_up > _FEW else "still waiting"


def cell(outcome: Outcome | None) -> str:
    """An outcome in a table."""
    if outcome is None:
        return "not played"
    words = outcome.verdict
    if outcome.recovered_after_s is not None:
        words += f" after {outcome.recovered_after_s:g} s"
    if outcome.gave_up:
        words += f", {outcome.gave_up:.0%} gave up".replace("%", " %")
    return words


def page(kept: dict[str, Source] | None = None) -> str:
    """The page in Markdown; by default, of the data in docs/data/."""
    played = rows(read() if kept is None else kept)
    return rendered(
        "stock-fleets.md.j2",
        rows=played,
        cell=cell,
        fleets=fleets(played),
        agreement=agreement(played),
        same_s=_SAME_S,
        verdicts={
            where: verdicts([getattr(row, where) for row in played]) for where in (BENCH, SIMULATED, MILLION)
        },
    )

"""The estimate as rows and sentences."""

from collections.abc import Sequence

from reports.gate.measures import Gauge
from reports.noise.estimate import Estimate, rounds_for_all
from reports.noise.power import MOST_ROUNDS
from reports.noise.reference import RUNS, SCENARIO
from reports.noise.scatter import difference_text, rounds_text
from reports.text import units
from reports.text.tables import TextTable


def estimate_table(found: Sequence[Estimate], gauges: Sequence[Gauge], gate_rounds: int) -> TextTable:
    """A row for each measure."""
    by_key = {gauge.key: gauge for gauge in gauges}
    return TextTable(
        label=f"Estimate for {SCENARIO} on this host",
        headings=(
            "measure",
            "minimum effect",
            "scatter, quiet host",
            "scatter here",
            "rounds",
            f"seen from ({gate_rounds} rounds)",
        ),
        rows=tuple(
            (
                one.name,
                by_key[one.key].least,
                difference_text(by_key[one.key], one.quiet_deviation),
                difference_text(by_key[one.key], one.deviation),
                rounds_text(one.rounds),
                units.NOTHING if one.seen_from is None else difference_text(by_key[one.key], one.seen_from),
            )
            for one in found
        ),
        words=frozenset({"measure", "minimum effect"}),
    )


def advice(found: Sequence[Estimate], gate_rounds: int, most_rounds: int, scenario: str) -> list[str]:
    """What the table means, what to do, and how to check it, for a gate of so many rounds by default."""
    rounds = rounds_for_all(found)
    if rounds is None:
        noisy = ", ".join(one.name for one in found if one.rounds is None)
        first = (
            f"More than {MOST_ROUNDS} rounds would be needed for {noisy}: use a quieter runner, or select "
            "other metrics with --measure."
        )
    elif rounds > most_rounds:
        first = f"{rounds} rounds needed: `gate --rounds {rounds}`, or a quieter runner."
    elif rounds > gate_rounds:
        first = (
            f"{rounds} rounds needed, more than the {gate_rounds} of a gate by default. It adds rounds by "
            f"itself where it is inconclusive, up to {most_rounds}; `gate --rounds {rounds}` decides more "
            "often."
        )
    else:
        first = f"{gate_rounds} rounds, the default of the gate, are enough."
    lines = [
        first,
        "Scatter is the standard deviation between runs. Rounds: after these, 9 in 10 gates of an unchanged "
        "version exclude the minimum effect. Seen from: the smallest regression that 9 in 10 gates report.",
        f"This is an estimate: the scatter of {RUNS} runs on a quiet host, widened by the noise measured "
        "here; docs/gate.md has the assumptions.",
        "Check it with an A/A gate, which should pass: "
        f"`reconnect-storm gate {scenario} --baseline {scenario}`",
    ]
    if scenario != SCENARIO:
        lines.insert(
            2, f"The figures are those of {SCENARIO}; the scatter of {scenario} on a quiet host is not known."
        )
    return lines

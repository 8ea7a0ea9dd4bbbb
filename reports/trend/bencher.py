"""The candidate's measures in Bencher Metric Format, the JSON that `bencher run --adapter json` reads.

    {"<benchmark>": {"<measure>": {"value": 51.3, "lower_value": 48.3, "upper_value": 56.9}}}

The benchmark is the scenario. A measure is named by its slug: the key with its unit, such as
`pod-loop-percent`; Bencher creates measures that it does not know. The value is the median of the candidate's
valid runs, in this unit; the bounds are the lowest and the highest run, left out where that run has no end.
A measure that never came has no value, and the format none to say so: it is left out.
"""

import json
from collections.abc import Sequence
from typing import Any

from reports.compare.measures import BY_KEY
from reports.gate.effect import spread_of
from reports.gate.measures import VERDICT, Gauge, Measured

MOST_SLUG = 64
"""Characters that Bencher allows."""


def slug(key: str) -> tuple[str, float]:
    """The slug of a measure, and the factor from its own unit to that of the slug."""
    unit, scale = BY_KEY[key].unit
    name = key.replace("_", "-")
    named = name if not unit or name.endswith(f"-{unit}") else f"{name}-{unit}"
    return named[:MOST_SLUG].rstrip("-"), scale


def bencher(scenario: str, runs: Sequence[Measured], gauges: Sequence[Gauge]) -> str:
    """The whole document; `runs`: the valid ones of the candidate."""
    measures: dict[str, dict[str, float]] = {}
    for gauge in gauges:
        spread = spread_of(gauge, runs) if gauge.key != VERDICT else None
        if spread is None or spread.median is None:
            continue
        name, scale = slug(gauge.key)
        known = {"value": spread.median, "lower_value": spread.low, "upper_value": spread.high}
        measures[name] = {
            field: round(value * scale, 9) for field, value in known.items() if value is not None
        }
    document: dict[str, Any] = {scenario: measures} if measures else {}
    return f"{json.dumps(document, indent=2)}\n"

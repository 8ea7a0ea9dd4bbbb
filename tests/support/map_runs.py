"""Judged runs of a load × trigger map, for tests that read or draw one."""

from collections.abc import Mapping
from typing import Any

import msgspec

from reports.analysis.judgement import Judgement
from reports.analysis.metrics import PhaseSummary, Summary
from reports.analysis.validity import Validity
from reports.analysis.verdict import Verdict, VerdictName
from reports.rundir.reader import Run
from tests.support.histories import CLIENTS, history, scenario, seconds

LOADS = (100, 200, 300, 400)
SHARES = (0.25, 0.5, 1.0)
R: VerdictName = "RECOVERED"
D: VerdictName = "SLOW_DRAIN"
M: VerdictName = "METASTABLE"
O: VerdictName = "OUTAGE"  # noqa: E741 - a letter in a grid
X: VerdictName = "INVALID"

Grid = Mapping[tuple[float, float], VerdictName]
"""By load and trigger; a place that is missing has no run."""


def grid(*rows: str, loads: tuple[float, ...] = LOADS, shares: tuple[float, ...] = SHARES) -> Grid:
    """`grid("RRM", "RMM")` as verdicts: a row for each load, a letter for each share, `.` for no run."""
    letters = {"R": R, "D": D, "M": M, "O": O, "X": X, "F": "FLAPPING"}
    return {
        (load, share): letters[letter]
        for load, row in zip(loads, rows, strict=False)
        for share, letter in zip(shares, row, strict=True)
        if letter != "."
    }


def drop(share: float) -> list[dict[str, Any]]:
    """A timeline of one event."""
    return [{"at_s": 8.0, "do": "drop_share", "share": share}]


def run(load: float, share: float, verdict: VerdictName, **info: Any) -> Run:
    """A run with that verdict, without any seconds, whose S1 and S2 grow with both."""
    scale = load * share / CLIENTS
    made: dict[str, Any] = {
        "scenario": scenario(fleet__clients=load, event=drop(share)),
        "arm": f"{load} + {share}",
        "stability": {"s1": [1.25 * scale], "s2": 0.55 * scale},
    } | info
    problems = ("another process took the cores",) if verdict == "INVALID" else ()
    judgement = Judgement(
        Summary(clients=int(load)), Validity(not problems, problems), Verdict(verdict, "as the test says")
    )
    return history([], **{**msgspec.to_builtins(judgement), **made})


def runs(verdicts: Grid, **info: Any) -> list[Run]:
    """One round, a run for each place."""
    return [run(load, share, verdict, **info) for (load, share), verdict in verdicts.items()]


def control(load: float, *, useful: float = CLIENTS, **changes: Any) -> Run:
    """A control that holds, as it is judged by its seconds, unless fewer than all clients are useful."""
    made: dict[str, Any] = {
        "scenario": scenario(fleet__clients=load, event=[]),
        "arm": "control",
        "control": True,
    } | changes
    return history(seconds(0, 12, useful=useful), trigger_s=None, **made)


def judged_control(
    load: float,
    validity: Validity,
    *,
    before: PhaseSummary | None = None,
    useful: float = CLIENTS,
    **changes: Any,
) -> Run:
    """A control with that judgement, whatever its seconds are."""
    name: VerdictName = "STEADY" if validity.valid else "INVALID"
    judgement = Judgement(
        Summary(clients=int(load), before=before), validity, Verdict(name, "as the test says")
    )
    return control(load, useful=useful, **msgspec.to_builtins(judgement), **changes)

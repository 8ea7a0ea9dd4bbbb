"""Literal runs of arms that are compared: two policies with and without a limit."""

from typing import Any

from reports.rundir.reader import Run
from tests.support.histories import history, scenario, storm

HOSTILE = '<script>alert("a")</script> | `b` $x^$ _c_ \u0007 ![](http://example.com/d)'
"""A name that is to be text in every medium."""


def arm(name: str, recovered_s: int | None, **info: Any) -> Run:
    """One run, `policy + limit`, that recovered after so many seconds, or only with the rescue."""
    policy, _, limit = name.partition(" + ")
    back = None if recovered_s is None else 8 + recovered_s
    rows = storm(lambda t: (100.0 if t >= back else 5.0) if back else 98.0 if t >= 48 else 5.0)
    made = {"scenario": scenario(fleet__policy=policy, edge__limit=limit or "none")} | info
    return history(rows, arm=name, rescued_at_s=None if back else 48, **made)


def two_by_two(rounds: int = 1) -> list[Run]:
    """Both policies with and without the limit, of which the second policy recovers."""
    return [
        arm(name, recovered_s, round=number, seed=number)
        for number in range(1, rounds + 1)
        for name, recovered_s in (
            ("naive + none", None),
            ("naive + per-ip", None),
            ("incident + none", 12),
            ("incident + per-ip", 9 + number),
        )
    ]

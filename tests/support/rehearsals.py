"""Literal rehearsals, for tests of what their reports say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from reports.analysis.judgement import judgement_of
from reports.rundir.reader import Run
from reports.rundir.schema import Decision, PreCheck, Rehearsal
from reports.rundir.series import Row
from reports.rundir.writer import RunWriter
from tests.support.acted_runs import LIMIT, PUSH, SCALE, acted
from tests.support.histories import Event, history, latencies_of, scenario, seconds, shared_ips, storm

HOSTILE = (
    '<script>alert("a")</script> | `b` $x^$ _c_ \u0007 ![](http://example.com/d) \u6f22\u5b57 \U0001f525'
)

SLO: list[dict[str, Any]] = [
    {"metric": "availability", "phase": "before", "operator": ">=", "bound": 0.99},
    {"metric": "effective_p99_ms", "phase": "during", "operator": "<=", "bound": 500.0},
    {"metric": "availability", "phase": "storm", "operator": ">=", "bound": 0.9},
    {"metric": "time_to_recover_s", "operator": "<=", "bound": 60.0},
]
HYPOTHESIS: dict[str, Any] = {
    "metric": "time_to_recover_s",
    "phase": "storm",
    "operator": "<=",
    "bound": 20.0,
    "statement": "Back-off brings everybody back within 20 s.",
}
CHECKS = (
    PreCheck(name="steady state", wanted="99 % for 5 s", found="100 %", passed=True),
    PreCheck(name="abort conditions", wanted="armed", found="loopback", passed=True),
)
DECISIONS = (
    Decision(
        t_s=16.0, asked_s=14.0, chosen="scale to 3 pods", event={"do": "scale", "at_s": 16.0, "pods": 3}
    ),
    Decision(t_s=20.0, asked_s=18.0, chosen="wait"),
)


def judged(run: Run) -> Run:
    """The run as `judge_run` leaves it: judged, and without its histograms."""
    info = msgspec.structs.replace(run.info, **msgspec.to_builtins(judgement_of(run)))
    return msgspec.structs.replace(run, info=info, histograms={})


def rehearsed(
    back_s: int | None = 30,
    *actions: list[Event],
    name: str = "incident",
    rehearsal: Rehearsal | None = None,
    slo: list[dict[str, Any]] | None = None,
    hypothesis: dict[str, Any] | None = None,
    limited: float = 0.0,
    **info: Any,
) -> Run:
    """A feed burst for four seconds, then `actions`; the clients are back in second `back_s`, or never."""
    given = {
        "slo": SLO if slo is None else slo,
        "hypothesis": HYPOTHESIS if hypothesis is None else hypothesis,
    }
    made: dict[str, Any] = {
        "scenario": scenario(name=name, summary="What if the market opens?", **given),
        "rehearsal": rehearsal or Rehearsal(prechecks=CHECKS),
    }
    run = acted(name, back_s, *actions, limited=limited, **(made | info))
    return judged(msgspec.structs.replace(run, shared_ips=shared_ips(limited)))


def plain(rows: list[Row], **info: Any) -> Run:
    """A rehearsal with these seconds and nothing else."""
    return judged(history(rows, **{"rehearsal": Rehearsal(), **info}))


def mixed_fleet() -> Run:
    """A rehearsal with clients that are served, and old ones that never are and give up in the end."""
    groups = [{"name": "web"}, {"name": "old-tabs", "share": 0.25, "protocol": 3}]
    rows = storm(lambda t: 100.0 if t > 20 else 5.0)
    web = [{**row, "group": 0.0} for row in rows]
    old = [
        {
            **row,
            "group": 1.0,
            "clients": 40.0,
            "useful": 0.0,
            "failed": 9.0,
            "gave_up": float(row["t_s"] == 30),
        }
        for row in rows
    ]
    run = history(rows, rehearsal=Rehearsal(), scenario=scenario(fleet__group=groups))
    return judged(msgspec.structs.replace(run, groups=(*web, *old)))


REHEARSALS: dict[str, Callable[[], Run]] = {
    "scripted, recovered": lambda: rehearsed(30, SCALE, PUSH, LIMIT, limited=3.0),
    "decided by an operator": lambda: rehearsed(
        30,
        SCALE,
        PUSH,
        rehearsal=Rehearsal(interactive=True, prechecks=CHECKS, decisions=DECISIONS),
    ),
    "nothing was done": lambda: rehearsed(None),
    "rescued": lambda: rehearsed(None, SCALE, rescued_at_s=48),
    "aborted": lambda: rehearsed(
        None,
        status="interrupted",
        problem="an abort condition",
        rehearsal=Rehearsal(
            prechecks=(PreCheck(name="steady state", wanted="99 %", found="80 %", passed=False),),
            aborted="fan-out p99 above 10 s for 10 s",
        ),
    ),
    "no hypothesis, no objectives": lambda: plain(storm(lambda t: 100.0 if t > 20 else 5.0)),
    "no trigger": lambda: plain(seconds(0, 20), trigger_s=None),
    "nobody was hit": lambda: plain(storm(100.0)),
    "nothing recorded": lambda: plain([], status="interrupted", phases=(), latencies={}),
    "a mixed fleet": mixed_fleet,
    "an operator who was asked nothing": lambda: plain(storm(0.0), rehearsal=Rehearsal(interactive=True)),
    "a foreign gateway": lambda: plain(storm(0.0), stability={}),
    "interrupted in the storm": lambda: plain(storm(0.0)[:12], status="interrupted"),
    "hostile": lambda: rehearsed(
        30,
        SCALE,
        name=HOSTILE,
        rehearsal=Rehearsal(
            interactive=True,
            prechecks=(PreCheck(name=HOSTILE, wanted=HOSTILE, found=HOSTILE, passed=False),),
            decisions=(Decision(t_s=1.0, asked_s=0.5, chosen=HOSTILE * 40),),
            aborted=HOSTILE,
        ),
        hypothesis={**HYPOTHESIS, "statement": HOSTILE, "metric": HOSTILE},
        slo=[{**SLO[0], "metric": HOSTILE}],
        command=["run", HOSTILE],
        machine={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        started_utc=HOSTILE,
        problem=HOSTILE,
    ),
}
"""By what they are."""


def saved(run: Run, directory: Path) -> Path:
    """The run as a directory; returns where."""
    writer = RunWriter(directory, run.info)
    for row in run.rows:
        writer.row(row)
    writer.shared_ips(run.shared_ips)
    writer.pods(run.pods)
    for line in run.events:
        details = {key: value for key, value in line.items() if key not in {"t_s", "event"}}
        writer.event(line["t_s"], line["event"], **details)
    for tag, by_second in latencies_of(run.rows).items():
        for t, histogram in by_second.items():
            writer.histogram(tag, t, histogram)
    writer.close()
    return directory

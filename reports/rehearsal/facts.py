"""What a rehearsal found: everything that its report says, before it is put into words."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from reports.alerts.detections import Detection, detections
from reports.analysis.judgement import Judgement, judgement_of
from reports.analysis.metrics import unaided_stretch
from reports.analysis.slo import SloResult, evaluate, hypothesis_of, objectives_of
from reports.rehearsal.detection import Alert, alerts
from reports.rehearsal.fixes import Fix, fixes
from reports.rehearsal.surprises import Surprise, surprises
from reports.rundir import series
from reports.rundir.reader import Run
from reports.rundir.schema import RecordError, Rehearsal

EDGE_FILES = ("gateway.conf", "gateway.yaml", "haproxy.cfg")
"""Configurations of proxies; a copy from before the events has the suffix `.before`."""
REPLAY = "rehearsed.toml"
"""The scenario that an operator's choices became."""
MOST_DIFF_LINES = 400


class BlastRadius(Struct, frozen=True, kw_only=True):
    """How far it reached, between the trigger and the rescue or the end."""

    clients: int
    out_at_worst: int
    """Clients without a tick under 1 s old in the worst second."""
    worst_s: int
    """When that was, from the trigger."""
    disconnects: int
    pods: int
    """That reported in this time."""
    pods_saturated: int
    pods_gone: int
    """Not there at the end."""


class Facts(Struct, frozen=True, kw_only=True):
    """One rehearsal."""

    run: Run
    rehearsal: Rehearsal
    judgement: Judgement
    hypothesis: SloResult | None
    objectives: tuple[SloResult, ...]
    alerts: tuple[Alert, ...]
    detections: tuple[Detection, ...]
    """When the alert rules for Prometheus would have fired; empty without a trigger."""
    fixes: tuple[Fix, ...]
    blast: BlastRadius | None
    """None without a trigger, or without anything recorded after it."""
    surprises: dict[str, Surprise]
    """By the name of the rule that found them."""
    replay: Path | None
    """Where the operator's choices can be played again; None where there are none."""
    edge_diff: tuple[str, ...]
    """Changes of the proxy's configuration, as a unified diff; empty where there are none, or no files."""


def facts(run: Run) -> Facts:
    """Everything about one rehearsal, from its judged run. Raises RecordError where it is none."""
    if run.info.rehearsal is None:
        raise RecordError(f"{run.directory}: not a rehearsal: run.json has no rehearsal")
    judgement = judgement_of(run)
    summary = judgement.summary
    objectives, hypothesis = objectives_of(run), hypothesis_of(run)
    return Facts(
        run=run,
        rehearsal=run.info.rehearsal,
        judgement=judgement,
        hypothesis=None if hypothesis is None else evaluate(hypothesis, summary),
        objectives=tuple(evaluate(bound, summary) for bound in objectives),
        alerts=alerts(run, objectives),
        detections=detections(run),
        fixes=fixes(run, summary),
        blast=_blast(run, judgement),
        surprises=surprises(run, summary, judgement.findings),
        replay=replay if (replay := run.directory / REPLAY).exists() else None,
        edge_diff=edge_diff(run.directory / "nginx"),
    )


def edge_diff(directory: Path) -> tuple[str, ...]:
    """What events changed in the proxy's configuration. Raises RecordError where it cannot be read."""
    for after in EDGE_FILES:
        texts: list[list[str]] = []
        for name in (f"{after}.before", after):
            try:
                texts.append((directory / name).read_text(encoding="utf-8", errors="replace").splitlines())
            except FileNotFoundError:
                break
            except OSError as error:
                raise RecordError(f"{directory / name}: {error}") from None
        else:
            return unified(texts[0], texts[1], name=after)
    return ()


def unified(before: Sequence[str], after: Sequence[str], name: str = EDGE_FILES[0]) -> tuple[str, ...]:
    """The lines that differ, with three lines around them; a very long diff is cut, and says so."""
    lines = [*difflib.unified_diff(before, after, f"nginx/{name}.before", f"nginx/{name}", lineterm="")]
    cut = [f"… and {len(lines) - MOST_DIFF_LINES} lines more"] if len(lines) > MOST_DIFF_LINES else []
    return (*lines[:MOST_DIFF_LINES], *cut)


def _blast(run: Run, judgement: Judgement) -> BlastRadius | None:
    stretch = unaided_stretch(run)
    if stretch is None:
        return None
    rows = run.between(*stretch)
    out = series.column(rows, "clients") - series.column(rows, "useful")
    worst = int(np.argmax(np.nan_to_num(out)))
    pods = judgement.summary.pods
    return BlastRadius(
        clients=judgement.summary.clients,
        out_at_worst=round(float(np.nan_to_num(out)[worst])),
        worst_s=int(rows[worst]["t_s"] or 0) - stretch[0],
        disconnects=round(series.total(series.column(rows, "disconnects"))),
        pods=len(pods),
        pods_saturated=sum(pod.saturated_after_s is not None for pod in pods),
        pods_gone=sum(pod.clients_at_end is None for pod in pods),
    )

"""The report on a rehearsal for programs: rehearsal.json."""

from collections.abc import Sequence
from typing import Any

import msgspec

from reports.analysis.slo import SloResult
from reports.rehearsal.blocks import RehearsalPage
from reports.rehearsal.detection import Alert
from reports.rehearsal.facts import Facts
from reports.rehearsal.findings import finding_sentences, questions
from reports.rehearsal.previous import changes, differences

SCHEMA_VERSION = 2


def document(page: RehearsalPage, found: Sequence[Facts]) -> dict[str, Any]:
    """Everything about the latest rehearsal, and the main results of the earlier ones, oldest first.

    Times are seconds from the trigger where a key says `t_s` or `began_s`; None is what is not known, and
    what people have to fill in.
    """
    *earlier, latest = found
    info, judged = latest.run.info, msgspec.to_builtins(latest.judgement)
    return {
        "rehearsal_schema_version": SCHEMA_VERSION,
        "title": page.title,
        "outcome": page.outcome,
        "alarms": page.alarms,
        **_result(latest),
        "interactive": latest.rehearsal.interactive,
        "aborted": latest.rehearsal.aborted,
        "prechecks": latest.rehearsal.prechecks,
        "decisions": latest.rehearsal.decisions,
        "summary": judged["summary"],
        "validity": judged["validity"],
        "stability": info.stability,
        "blast_radius": latest.blast,
        "alerts": [_alert(alert) for alert in latest.alerts],
        "detections": latest.detections,
        "fixes": latest.fixes,
        "surprises": latest.surprises,
        "findings": finding_sentences(latest),
        "action_items": [
            {"question": question, "owner": None, "ticket": None, "retest_on": None}
            for question in questions(latest)
        ],
        "scenario": info.scenario,
        "versions": info.versions,
        "machine": info.machine,
        "command": info.command,
        "nginx_diff": latest.edge_diff,
        "events": latest.run.events,
        "earlier": [_result(one) for one in earlier],
        "compared_with_previous": changes(found),
        "differences": differences(earlier[-1], latest) if earlier else [],
    }


def _result(found: Facts) -> dict[str, Any]:
    """What identifies a rehearsal, and how it came out."""
    info = found.run.info
    summary = found.judgement.summary
    return {
        "directory": found.run.directory.name,
        "scenario_name": info.scenario.get("name", ""),
        "arm": info.arm,
        "started_utc": info.started_utc,
        "seed": info.seed,
        "status": info.status,
        "verdict": found.judgement.verdict,
        "valid": found.judgement.validity.valid,
        "time_to_recover_s": summary.recovery.time_to_recover_s,
        "hypothesis": _bound_result(found.hypothesis) if found.hypothesis else None,
        "objectives": [_bound_result(result) for result in found.objectives],
    }


def _alert(alert: Alert) -> dict[str, Any]:
    """Without the text of the measured value: `found` is the number."""
    return {key: value for key, value in msgspec.to_builtins(alert).items() if key != "found_text"}


def _bound_result(result: SloResult) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(result.bound),
        "found": result.found,
        "at_least": result.at_least,
        "met": result.met,
    }

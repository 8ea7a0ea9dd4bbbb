"""From a run directory to a judged one: numbers, validity, verdict and findings, kept in its run.json."""

from pathlib import Path

import msgspec
from msgspec import Struct

from reports.analysis.findings.finding import RunFinding
from reports.analysis.findings.registry import findings
from reports.analysis.metrics import Summary, summarise
from reports.analysis.validity import Evidence, Validity, check
from reports.analysis.verdict import Verdict, judge
from reports.rundir.reader import Run
from reports.rundir.writer import save_info


class Judgement(Struct, frozen=True):
    """Everything that is said about one run."""

    summary: Summary
    validity: Validity
    verdict: Verdict
    findings: tuple[RunFinding, ...] = ()


def assess(run: Run) -> Judgement:
    """Judges a run by its series and histograms."""
    summary = summarise(run)
    validity = check(run, summary)
    verdict = judge(run, summary, validity)
    return Judgement(summary, validity, verdict, findings(Evidence(run, summary)))


def judgement_of(run: Run) -> Judgement:
    """The judgement in run.json, or a new one where there is none or another version wrote it."""
    stored = {
        "summary": run.info.summary,
        "validity": run.info.validity,
        "verdict": run.info.verdict,
        "findings": run.info.findings,
    }
    try:
        return msgspec.convert(stored, Judgement)
    except msgspec.ValidationError:
        return assess(run)


def judge_run(directory: Path) -> Run:
    """Loads, judges and saves; a run that is still being written is judged but left alone.

    The run comes back without its histograms: ten minutes of them fill 300 MB, and once the summary is there
    nothing else asks for them. Raises RecordError.
    """
    run = Run.load(directory)
    judgement = msgspec.json.decode(msgspec.json.encode(assess(run)))
    run.info.summary = judgement["summary"]
    run.info.validity = judgement["validity"]
    run.info.verdict = judgement["verdict"]
    run.info.findings = judgement["findings"]
    if run.info.status != "running":
        save_info(directory, run.info)
    return msgspec.structs.replace(run, histograms={}, group_histograms={})

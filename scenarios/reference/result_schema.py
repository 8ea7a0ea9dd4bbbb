"""JSON Schema of what commands print with `--json`, and of run.json."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from reports.analysis.findings.finding import RunFinding
from reports.analysis.judgement import Judgement
from reports.analysis.metrics import Summary
from reports.analysis.slo import SloResult
from reports.analysis.validity import Validity
from reports.analysis.verdict import Verdict
from reports.gate.decision import Decision
from reports.gate.power import Tally
from reports.rundir.schema import Rehearsal, RunInfo, Status
from reports.tuning.result import Tuning
from scenarios.bench.result import BenchResult
from scenarios.estimate.estimate import ArmEstimate
from scenarios.lint.result import LintFinding
from scenarios.measure.result import Measured
from scenarios.reference.definitions import DIALECT, JsonSchema, definitions, reference_to
from scenarios.selftest.aa import Verdicts
from scenarios.selftest.other_load import OtherLoad
from scenarios.selftest.readings import Reading


class RunResult(Struct, kw_only=True):
    """One run, as `run`, `compare`, `simulate` and `report` print it."""

    directory: str
    """Its run directory."""
    arm: str
    round: int
    status: Status
    summary: Summary
    validity: Validity
    verdict: Verdict
    findings: tuple[RunFinding, ...]


class RehearsalSlo(SloResult, frozen=True, kw_only=True):
    """An SLO, or the hypothesis, of a rehearsal."""

    kind: str


class RehearsalResult(Struct, kw_only=True):
    """One rehearsal, as `rehearse` prints it."""

    directory: str
    """Its run directory."""
    status: Status
    rehearsal: Rehearsal | None
    slos: tuple[RehearsalSlo, ...]
    summary: Summary
    validity: Validity
    verdict: Verdict
    findings: tuple[RunFinding, ...]


class GateResult(Decision, frozen=True, kw_only=True):
    """The decision of a gate, as `gate` prints it."""

    scenario: str
    exit_status: int
    runs: str | None
    """Folder of the runs that were made for it."""


class GateTally(Tally, frozen=True, kw_only=True):
    """Simulated gates of one arm, as `calibrate-gate` prints them."""

    good: bool
    """Whether the gate met its targets for this arm."""


class CalibrationReading(Reading, frozen=True, kw_only=True):
    """One check of the self-test."""

    error: float | None
    """How far the measurement is off, as a share of what is known."""
    allowed: float
    good: bool


class SameScenario(Verdicts, frozen=True, kw_only=True):
    """Comparisons of a scenario with itself."""

    good: bool


class Calibration(Struct, kw_only=True):
    """The self-test, as `calibrate` prints it."""

    readings: tuple[CalibrationReading, ...]
    aa: SameScenario | None
    other_load: tuple[OtherLoad, ...]


class Listing(Struct, kw_only=True):
    """What there is to run, as `list` prints it."""

    scenarios: dict[str, str]
    """Summaries by name."""
    policies: tuple[str, ...]
    limits: tuple[str, ...]
    events: tuple[str, ...]


RESULTS: Mapping[str, Any] = {
    **dict.fromkeys(("run", "compare", "simulate", "report"), tuple[RunResult, ...]),
    "rehearse": RehearsalResult,
    "gate": GateResult,
    "estimate": tuple[ArmEstimate, ...],
    "measure": Measured,
    "tune": Tuning,
    "bench": BenchResult,
    "calibrate": Calibration,
    "calibrate-gate": tuple[GateTally, ...],
    "list": Listing,
    "lint": tuple[LintFinding, ...],
}
"""What each command prints with `--json`."""


def result_schema(others: Mapping[str, Any]) -> JsonSchema:
    """The schema of any result of `RESULTS` and `others`; `#/$defs/gate` is that of one command."""
    results = {**RESULTS, **others}
    found = definitions(results.values())
    commands = {command: _of_result(kind, found) for command, kind in results.items()}
    return {
        "$schema": DIALECT,
        "title": "reconnect-storm result",
        "description": "What a command prints with --json; $defs has each command by its name.",
        "anyOf": [{"$ref": f"#/$defs/{command}"} for command in commands],
        "$defs": {**commands, **found},
    }


def run_schema() -> JsonSchema:
    """The schema of run.json."""
    found = definitions([RunInfo, Judgement])
    root = found.pop(RunInfo.__name__)
    for name, kind in (("summary", Summary), ("validity", Validity), ("verdict", Verdict)):
        judged = reference_to(kind, found)
        root["properties"][name] = {
            "title": name,
            "description": "Empty until the run has been judged.",
            "if": {"minProperties": 1},
            "then": judged,
        }
    root["properties"]["findings"]["items"] = reference_to(RunFinding, found)
    return {"$schema": DIALECT, **root, "title": "reconnect-storm run.json", "$defs": found}


def _of_result(kind: Any, found: Mapping[str, JsonSchema]) -> JsonSchema:
    listed = getattr(kind, "__args__", None)
    if listed is None:
        return reference_to(kind, found)
    return {"type": "array", "items": reference_to(listed[0], found)}

"""Files that grow from gate to gate: a table for change-point tools, and a trend across commits.

Both are rewritten as a whole, so that no reader ever finds half a line in them.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from reports.analysis.judgement import judgement_of
from reports.compare.measures import BY_KEY, TIME_TO_RECOVER
from reports.gate.commit import Commit
from reports.gate.decision import Decision, Outcome
from reports.gate.effect import spread_of
from reports.gate.finding import Spread
from reports.gate.measures import Gauge
from reports.rundir.files import replacing
from reports.rundir.reader import Run


class GateFileError(Exception):
    """A file that cannot be continued; the message names it, and says what was expected."""


class TrendEntry(Struct, frozen=True, kw_only=True):
    """One gate in the history of a project."""

    commit: Commit
    recorded: str
    """When the gate ran, in ISO 8601."""
    scenario: str
    machine: str
    """What the figures depend on besides the commit."""
    outcome: Outcome
    reason: str
    runs: int
    """Valid ones, of the candidate."""
    measures: dict[str, Spread]
    """The candidate's, by key."""


def append_runs(path: Path, runs: Sequence[Run], keys: Sequence[str], commit: Commit) -> None:
    """Adds a row for each valid run: `time`, `commit`, `scenario`, and a column for each of these measures
    that was measured.

    Every cell of a measure is a number, as Otava wants it: where only a lower bound is known, that. Raises
    GateFileError, OSError.
    """
    rows = []
    for run in runs:
        if not judgement_of(run).validity.valid:
            continue
        numbers = {key: _number(run, key) for key in keys}
        started = {"time": run.info.started_utc, "commit": commit.label}
        started["scenario"] = str(run.info.scenario.get("name", ""))
        rows.append(started | {key: repr(value) for key, value in numbers.items() if value is not None})
    if not rows:
        return
    columns = list(rows[0])
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    header = next(csv.reader(io.StringIO(before)), columns)
    for row in rows:
        if list(row) != header:
            raise GateFileError(
                f"{path}: invalid columns {','.join(header)}: expected {','.join(row)}; "
                "use another file if the metrics change"
            )
    with replacing(path) as stream:
        stream.write(before)
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        if not before:
            writer.writeheader()
        writer.writerows(rows)


def read_trend(path: Path) -> list[TrendEntry]:
    """The entries of a trend, oldest first; none where there is no file yet. Raises GateFileError."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise GateFileError(f"{path}: cannot be read: {error}") from None
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            entries.append(msgspec.json.decode(line, type=TrendEntry))
        except msgspec.DecodeError as error:
            raise GateFileError(f"{path}: line {number}: {error}; expected lines written by a gate") from None
    return entries


def write_trend(path: Path, entries: Sequence[TrendEntry]) -> None:
    """Writes all entries, a line of JSON each."""
    with replacing(path) as stream:
        stream.writelines(f"{msgspec.json.encode(entry).decode()}\n" for entry in entries)


def trend_entry(
    decision: Decision, gauges: Sequence[Gauge], *, commit: Commit, run: Run, recorded: str
) -> TrendEntry:
    """What is kept of a decision; `run` is one of the candidate's."""
    measures = {gauge.key: spread_of(gauge, decision.candidate.measured) for gauge in gauges}
    machine = run.info.machine
    return TrendEntry(
        commit=commit,
        recorded=recorded,
        scenario=str(run.info.scenario.get("name", "")),
        machine=f"{machine.get('cores')} cores, {machine.get('cpu_model')}, Python {machine.get('python')}",
        outcome=decision.outcome,
        reason=decision.reason,
        runs=len(decision.candidate.measured),
        measures={key: spread for key, spread in measures.items() if spread is not None},
    )


def _number(run: Run, key: str) -> float | None:
    summary = judgement_of(run).summary
    if key == TIME_TO_RECOVER:
        recovery = summary.recovery
        time_s = recovery.at_least_s if recovery.time_to_recover_s is None else recovery.time_to_recover_s
        return None if time_s is None else float(time_s)
    value = BY_KEY[key].of(summary)
    return value if value is None or isinstance(value, float | int) else value.ms

"""The CI gate: says whether a change has made a storm worse. It makes runs and judges them."""

import asyncio
import contextlib
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from reports.analysis.judgement import judge_run
from reports.compare.comparable import ComparisonError
from reports.gate.accepted import Accepted
from reports.gate.decision import EXIT_STATUS, Decision, Outcome, Side, decide, fewest_rounds, look_of
from reports.gate.history import GateFileError, append_runs, read_trend
from reports.gate.measures import ALLOWED_KEYS, DEFAULT_KEYS, Gauge, gauges
from reports.gate.sides import (
    BASELINE,
    CANDIDATE,
    changes,
    missing_rounds,
    side,
    sides_on_one_reference,
)
from reports.gate.slo import slo_decisions
from reports.gate.terminal import terminal_decision
from reports.gate.text import title
from reports.noise.scatter import inconclusive_note
from reports.rundir.files import find_runs, point_latest
from reports.rundir.reader import Run
from reports.rundir.schema import RecordError
from scenarios.cli.commands.gate_output import (
    as_json,
    continue_trend,
    tell_github,
    with_notes,
    write_bencher,
    write_comment,
    write_junit,
)
from scenarios.cli.forecast import gate_line
from scenarios.cli.gate_options import (
    MOST_ROUNDS,
    MOST_ROUNDS_ALONE,
    ROUNDS,
    ROUNDS_ALONE,
    WITH_OPTIONS,
)
from scenarios.cli.options import gateway_override
from scenarios.cli.progress import LiveView
from scenarios.cli.terminal import (
    complain,
    console,
    errors,
    fail,
    stack_failed,
    usage_errors,
    warn_of_leftovers,
)
from scenarios.exit_status import FAILED, INTERRUPTED
from scenarios.fields import invalid
from scenarios.gate.acceptance import accepted_changes
from scenarios.gate.repository import CheckoutError
from scenarios.gate.request import Request
from scenarios.gate.rounds import Schedule, play, set_up
from scenarios.gate.source import Source, sources
from scenarios.host import machine
from scenarios.host.process import StackError
from scenarios.programs.commands import check_commands
from scenarios.runner.plan import stamped_folder
from scenarios.runner.retry import other_load
from scenarios.runner.until_done import run_until_done
from scenarios.scenario.validate import ScenarioError


class _Gate(Struct, frozen=True, kw_only=True):
    """What to decide, and on which data."""

    options: Request
    directory: Path
    baseline: Source | None
    candidate: Source
    gauges: tuple[Gauge, ...]
    schedule: Schedule
    accepted: Accepted


@click.command("gate")
@WITH_OPTIONS
def gate_command(**values: Any) -> None:
    """Decide whether a change has made the storm worse.

    Runs both sides until the result is conclusive or --max-rounds is reached.

    Exit status: 0 no regression, 1 a regression or an SLO violated, 2 usage, 3 no valid run, 4 inconclusive,
    5 a part of the stack failed.
    """
    own = gateway_override(values["gateway"])
    options = Request(**{**values, "overrides": (*values["overrides"], *own)})
    with contextlib.ExitStack() as stops, _usage_errors():
        gate = _prepared(options, stops)
        decision, candidate = _carried_out(gate)
        _write(gate, decision, candidate)
    sys.exit(EXIT_STATUS[decision.outcome])


# -- before anything is started ------------------------------------------------------------------------------


def _prepared(options: Request, stops: contextlib.ExitStack) -> _Gate:
    rounds, most = _rounds(options)
    for file in options.files:
        if not file.absolute().parent.is_dir():
            fail(f"{file}: no such folder {file.absolute().parent}: expected a file in an existing folder")
    if options.trend_file:
        read_trend(options.trend_file)
    baseline, candidate = sources(options, stops, _said(options))
    live = [source for source in (baseline, candidate) if source and source.player]
    gate = _Gate(
        options=options,
        directory=stamped_folder(options.runs_folder / "gate"),
        baseline=baseline,
        candidate=candidate,
        gauges=gauges(options.measures or DEFAULT_KEYS),
        schedule=Schedule(rounds=rounds, most_rounds=most if live else rounds, retries=options.retries),
        accepted=accepted_changes(
            options.accepted_file,
            options.accepted_because,
            baseline.commit.id if baseline and baseline.commit else "",
        ),
    )
    for source in live:
        assert source.player is not None  # noqa: S101
        machine.check(source.player.scenario)
        check_commands(source.player.scenario, allow_exec=options.allow_exec)
    if live and baseline:
        gate = _first_look(gate, baseline)
    if not baseline and candidate.player and not candidate.player.scenario.slo:
        fail(f"{candidate.text}: slo: missing: expected at least one SLO, or --baseline")
    return gate


def _rounds(options: Request) -> tuple[int, int]:
    usual = (ROUNDS, MOST_ROUNDS) if options.baseline else (ROUNDS_ALONE, MOST_ROUNDS_ALONE)
    rounds = options.rounds or min(usual[0], options.most_rounds or usual[0])
    most = options.most_rounds or max(usual[1], rounds)
    if most < rounds:
        fail(invalid("--max-rounds", most, f">= {rounds}, the value of --rounds"))
    return rounds, most


def _first_look(gate: _Gate, baseline: Source) -> _Gate:
    """The gate with no look before it can decide anything; nobody waits for rounds that never can."""
    fewest = fewest_rounds(gate.gauges, gate.schedule.rounds, gate.schedule.most_rounds)
    if gate.schedule.most_rounds < fewest:
        fail(
            invalid(
                "--max-rounds",
                gate.schedule.most_rounds,
                f">= {fewest} to decide on {len(gate.gauges)} metrics",
            )
        )
    if baseline.stored:
        valid = side(baseline.text, baseline.stored).measured
        if 0 < len(valid) < fewest:
            fail(f"{baseline.text}: has {len(valid)} valid runs: expected at least {fewest}")
    return msgspec.structs.replace(gate, schedule=msgspec.structs.replace(gate.schedule, rounds=fewest))


def _said(options: Request) -> Callable[[str], None]:
    """Prints text as it is, where the live view is."""
    where = errors if options.as_json else console
    return functools.partial(where.print, end="", markup=False, highlight=False, soft_wrap=True)


# -- the runs ------------------------------------------------------------------------------------------------


def _carried_out(gate: _Gate) -> tuple[Decision, list[Run]]:
    """What the last look decided, and the candidate's runs."""
    players = [source.player for source in (gate.baseline, gate.candidate) if source and source.player]
    broken_off: tuple[Outcome, str] | None = None
    decision: Decision | None = None

    def enough(number: int) -> bool:
        nonlocal decision
        baseline, candidate = _runs(gate)
        if gate.baseline:
            # Two sides that must not be compared are refused after the first round, not after the last.
            _changes(gate, baseline, candidate)
        if number < gate.schedule.rounds:
            return False
        decision = _decision(gate, baseline, candidate, decision)
        if decision.outcome in {"pass", "regression"}:
            return True
        if number < gate.schedule.most_rounds:
            _said(gate.options)(f"round {number}: {title(decision)}\n")
        return False

    if players and not _nothing_to_compare_with(gate):
        warn_of_leftovers()
        said = errors if gate.options.as_json else console
        forecast = gate_line(
            [player.scenario for player in players], gate.schedule.rounds, gate.schedule.most_rounds
        )
        said.print(forecast, highlight=False, markup=False)
        try:
            run_until_done(set_up(players, gate.directory, _said(gate.options)))
            with LiveView(said, gate.schedule.rounds * len(players)) as view:
                run_until_done(
                    play(players, gate.schedule, gate.directory, view, invalidated=other_load, enough=enough)
                )
        except asyncio.CancelledError:
            complain("interrupted")
            if gate.directory.exists():
                point_latest(gate.directory, gate.options.runs_folder / "latest")
                _say_what_is_left(gate)
            sys.exit(INTERRUPTED)
        except StackError as error:
            broken_off = "failed" if stack_failed(error) == FAILED else "invalid", str(error)
        except OSError as error:
            fail(f"{gate.directory}: {error}")
        if gate.directory.exists():
            point_latest(gate.directory, gate.options.runs_folder / "latest")
    baseline, candidate = _runs(gate)
    if decision is None or broken_off:
        decision = _decision(gate, baseline, candidate, decision, broken_off)
    return decision, candidate


def _say_what_is_left(gate: _Gate) -> None:
    """Which runs an interrupted gate has left, and how to judge them."""
    errors.print(f"runs: {gate.directory}", highlight=False, markup=False, soft_wrap=True)
    if gate.baseline and not gate.baseline.stored and not gate.candidate.stored:
        sides = (f"--{name} runs:{gate.directory / name}" for name in (BASELINE, CANDIDATE))
        errors.print(f"judge them: reconnect-storm gate {' '.join(sides)}", markup=False, soft_wrap=True)


def _nothing_to_compare_with(gate: _Gate) -> bool:
    return bool(gate.baseline and gate.baseline.stored) and not side("", _stored(gate.baseline)).measured


def _stored(source: Source | None) -> tuple[Run, ...]:
    return source.stored if source else ()


def _runs(gate: _Gate) -> tuple[list[Run], list[Run]]:
    """What there is by now, of the baseline and of the candidate."""

    def found(name: str, source: Source | None) -> list[Run]:
        if source is None or source.player is None:
            return list(_stored(source))
        folder = gate.directory / name
        return [judge_run(path) for path in find_runs([folder])] if folder.is_dir() else []

    return found(BASELINE, gate.baseline), found(CANDIDATE, gate.candidate)


def _changes(gate: _Gate, baseline: Sequence[Run], candidate: Sequence[Run]) -> tuple[str, ...]:
    assert gate.baseline is not None  # noqa: S101
    both_live = all(source.player is not None for source in (gate.baseline, gate.candidate))
    own_files = not gate.options.asks_for_versions or gate.options.scenario_from == "each"
    return changes(baseline, candidate, same_scenario=not (both_live and own_files))


# -- the decision --------------------------------------------------------------------------------------------


def _decision(
    gate: _Gate,
    baseline: Sequence[Run],
    candidate: Sequence[Run],
    earlier: Decision | None = None,
    broken_off: tuple[Outcome, str] | None = None,
) -> Decision:
    """What these runs say; `earlier` is what the look before this one decided."""
    notes = list(gate.accepted.ignored)
    against: Side | None = None
    # An SLO is about the runs of one side, however the other side counts.
    slos = slo_decisions(candidate)
    if gate.baseline:
        baseline, candidate, warning = sides_on_one_reference(baseline, candidate)
        notes += [warning] if warning else []
    ours = _side(gate, CANDIDATE, gate.candidate, candidate)
    notes += [note for source in (gate.baseline, gate.candidate) if source for note in source.notes]
    if gate.baseline:
        against = _side(gate, BASELINE, gate.baseline, baseline)
        if baseline and candidate:
            varied = _changes(gate, baseline, candidate)
            notes.append(
                f"The sides differ in {', '.join(varied)}."
                if varied
                else "Both sides have the same scenario: any difference comes from the program."
            )
        if not (gate.baseline.player and gate.candidate.player):
            notes.append(
                "The sides did not alternate: any other change of the machine in between counts as part of "
                "the change."
            )
    return decide(
        against,
        ours,
        gate.gauges,
        slos=slos,
        look=_look(gate, against, ours),
        looks=gate.schedule.looks,
        earlier=earlier,
        accepted=gate.accepted.reasons,
        notes=notes,
        broken_off=broken_off,
    )


def _look(gate: _Gate, against: Side | None, ours: Side) -> int:
    """Which interim analysis this is; without a baseline it is below 0 while there are too few valid runs."""
    rounds = gate.schedule.rounds
    if gate.schedule.looks > 1:
        return look_of(against, ours, rounds)
    if against is not None:
        return 0
    if gate.candidate.player is None and gate.options.rounds is None:
        # Who names a folder with one run asks about that run.
        rounds = min(rounds, ours.runs)
    return min(0, look_of(None, ours, rounds))


def _side(gate: _Gate, name: str, source: Source, runs: Sequence[Run]) -> Side:
    missing = missing_rounds(gate.directory / name) if source.player else source.missing
    return side(source.text, runs, missing, commit=source.commit, working_tree=source.working_tree)


def _write(gate: _Gate, decision: Decision, candidate: Sequence[Run]) -> None:
    options = gate.options
    name = str(candidate[0].info.scenario.get("name", "")) if candidate else options.scenario_name
    runs = gate.directory if gate.directory.exists() else None
    commit = gate.candidate.commit
    try:
        if commit and options.csv_file:
            keys = [gauge.key for gauge in gate.gauges if gauge.key in ALLOWED_KEYS]
            append_runs(options.csv_file, candidate, keys, commit)
        if options.bencher_file and decision.candidate.measured:
            write_bencher(options.bencher_file, decision, gate.gauges, name)
        notes = [inconclusive_note(decision, gate.gauges)]
        if commit and options.trend_file and decision.candidate.measured:
            notes.append(continue_trend(options.trend_file, decision, gate.gauges, commit, candidate[-1]))
        decision = with_notes(decision, notes)
        if options.junit_file:
            write_junit(options.junit_file, decision, name)
        if options.comment_file:
            write_comment(options.comment_file, decision, name)
        if options.as_json:
            click.echo(as_json(decision, name, runs))
        else:
            console.print(terminal_decision(decision))
            if runs:
                console.print(f"\nruns: {runs}", highlight=False, markup=False, soft_wrap=True)
        if options.on_github:
            tell_github(decision, name, runs, to_stderr=options.as_json)
    except OSError as error:
        fail(str(error))


def _usage_errors() -> contextlib.AbstractContextManager[None]:
    return usage_errors(
        ScenarioError, RecordError, ComparisonError, CheckoutError, GateFileError, machine.MachineError
    )

"""`rehearse`: plays an outage live, and writes its report."""

import asyncio
import contextlib
import functools
import json
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from reports.analysis.disturbance import taken
from reports.analysis.judgement import judge_run, judgement_of
from reports.analysis.slo import SloResult, evaluate, hypothesis_of, objectives_of
from reports.analysis.validity import GENERATOR_LAG_MS
from reports.compare.event_text import short_words
from reports.page.table import terminal_report
from reports.rundir.files import point_latest, replacing
from reports.rundir.reader import Run
from reports.rundir.schema import PreCheck, RecordError
from scenarios.cli.options import Options, carries_out_a_scenario
from scenarios.cli.terminal import console, errors, fail, stack_failed, usage_errors, warn_of_leftovers
from scenarios.clients.protocol.target import TargetError, resolve
from scenarios.exit_status import BROKEN, GOOD, INTERRUPTED, INVALID
from scenarios.fields import invalid
from scenarios.generator.abort import armed
from scenarios.host import machine
from scenarios.host.process import StackError
from scenarios.rehearsal.decisions import OPTIONS, left_to_the_operator, options
from scenarios.rehearsal.keys import keys_pressed
from scenarios.rehearsal.operator import ByKey, ByList, Choices, Rehearsing
from scenarios.rehearsal.prechecks import LEAST_STEADY_S, PrecheckInput, Thresholds, prechecks
from scenarios.rehearsal.replay import rehearsed, scenario_file
from scenarios.rehearsal.state import DashboardState
from scenarios.rehearsal.view import RehearsalView
from scenarios.runner import deployment
from scenarios.runner.operator import RunControl
from scenarios.runner.plan import Plan, slug, stamped_folder
from scenarios.runner.run import run
from scenarios.runner.until_done import run_until_done
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError

STOPPED = "stopped by the operator"
REPLAY = "rehearsed.toml"
_KINDS = {"hypothesis": "hypothesis", "objective": "SLO"}
"""Kinds of bounds in the JSON output, and what the terminal calls them."""


@click.command("rehearse")
@click.option(
    "--interactive", is_flag=True, help="Choose each mitigation by key instead of following the script."
)
@click.option(
    "--choose",
    metavar="CHOICE,…",
    help=f"Choices of an interactive rehearsal, given in advance: {', '.join(OPTIONS)}.",
)
@click.option("--force", is_flag=True, help="Continue if a check before the first fault fails.")
@functools.partial(carries_out_a_scenario, default="incident", once=True)
def rehearse_command(options: Options, *, interactive: bool, choose: str | None, force: bool) -> None:
    """Rehearse an outage live and write a report.

    The steady state is checked before the first fault. With --interactive the faults fire as scripted, and
    you choose the mitigations by key while the storm runs; your choices are saved as a scenario,
    rehearsed.toml, which you can run again. Ctrl-C or a condition in [abort] ends the rehearsal early; the
    report is written anyway.

    Exit status: 0 the hypothesis and all SLOs are met, 1 one of them is violated, or a check or an abort
    condition ended the rehearsal, 2 usage or configuration, 3 invalid run, 5 a part of the stack failed,
    130 ended with Ctrl-C.
    """
    with _usage_errors():
        script = replace(options.load(), matrix={}, arms={})
        choices = None if choose is None else _choices(choose, script)
        _check_script(script)
        deployment.check([script], options.nginx_binary, allow_exec=options.allow_exec)
    if interactive and choices is None and not sys.stdin.isatty():
        fail("--interactive: standard input is not a terminal: expected a terminal, or --choose")
    warn_of_leftovers()
    directory = stamped_folder(options.runs_folder / slug(script.name))
    stage = _Stage(script, options, directory, interactive=interactive or choices is not None, force=force)
    try:
        run_until_done(stage.play(choices))
    except asyncio.CancelledError:
        stage.interrupted = True
    except StackError as error:
        stage.failed = stack_failed(error)
    except OSError as error:
        fail(f"{directory}: {error}")
    if not directory.exists():
        sys.exit(INTERRUPTED)
    point_latest(directory, options.runs_folder / "latest")
    with _usage_errors():
        sys.exit(stage.report())


class _Stage:
    """One rehearsal: played, then reported."""

    def __init__(
        self, script: Scenario, options: Options, directory: Path, *, interactive: bool, force: bool
    ) -> None:
        self.interrupted = False
        self.failed = GOOD
        """Exit status of a failure; 0 without one."""
        self._script = script
        self._options = options
        self._directory = directory
        self._interactive = interactive
        self._force = force

    async def play(self, choices: Choices | None) -> None:
        """Runs the rehearsal; writes the replay of an interactive one."""
        script, options = self._script, self._options
        scenario = left_to_the_operator(script) if self._interactive else script
        plan = Plan(
            scenario=scenario,
            directory=self._directory,
            arm=script.name,
            nginx_binary=options.nginx_binary,
            allow_remote=options.allow_remote,
            allow_exec=options.allow_exec,
        )
        dashboard = DashboardState(scenario, short_words)
        screen = errors if options.as_json else console
        with contextlib.ExitStack() as stack:
            if self._interactive and choices is None:
                choices = ByKey(stack.enter_context(keys_pressed(sys.stdin)))
            view = stack.enter_context(RehearsalView(screen, dashboard))
            rehearsing = Rehearsing(
                script, dashboard, view, check=self._check, choices=choices, force=self._force
            )
            stack.enter_context(_ended_by_signals(rehearsing, self._on_signal))
            await run(plan, view.progress, rehearsing)
        if self._interactive:
            with replacing(self._directory / REPLAY) as stream:
                stream.write(scenario_file(rehearsed(rehearsing.played, rehearsing.chosen), REPLAY))

    def report(self) -> int:
        """Judges the run and writes its report; returns the exit status."""
        # Loading the plotting library takes longer than all the rest of the program's start.
        from reports.rehearsal import write_rehearsal  # noqa: PLC0415

        judged = judge_run(self._directory)
        results = _slo_results(judged)
        files = write_rehearsal(judged, self._directory)
        if self._options.as_json:
            click.echo(json.dumps(_as_dict(judged, results), indent=2))
        else:
            console.print(terminal_report([judged], console.width))
            for kind, result in results:
                text = f"{result.rule}: {result.answer} ({result.found_text})"
                console.print(f"{_KINDS[kind]}: {text}", markup=False)
            if judged.info.rehearsal and judged.info.rehearsal.aborted:
                console.print(f"ended early: {judged.info.rehearsal.aborted}", markup=False, soft_wrap=True)
            if self._interactive and (self._directory / REPLAY).exists():
                console.print(f"replay: {self._directory / REPLAY}", markup=False, soft_wrap=True)
            written = "\n        ".join(map(str, msgspec.structs.astuple(files)))
            console.print(f"report: {written}", markup=False, highlight=False, soft_wrap=True)
        return self._status(judged, results)

    def _status(self, judged: Run, results: list[tuple[str, SloResult]]) -> int:
        if self.interrupted:
            return INTERRUPTED
        if self.failed:
            return self.failed
        if judged.info.rehearsal and judged.info.rehearsal.aborted:
            return BROKEN
        if not judged.info.validity.get("valid"):
            return INVALID
        return GOOD if all(result.met for _, result in results) else BROKEN

    def _on_signal(self) -> None:
        self.interrupted = True

    def _check(self, run_control: RunControl) -> tuple[PreCheck, ...]:
        scenario = run_control.scenario
        seconds = int(run_control.now_s())
        remote = bool(scenario.target.url) and not _loopback(scenario, self._options)
        rows = [row for row in run_control.rows(0, seconds) if "connected" in row]
        known = PrecheckInput(
            scenario=scenario,
            rows=rows,
            # An external target on this host counts as another process.
            taken=taken(
                [dict(row) for row in rows],
                machine.describe(machine.assign_cores(scenario.gateway.cores)),
                foreign=not scenario.target.url,
            ),
            percentile=lambda tag, percent: run_control.percentile_ms(tag, percent, 0, seconds),
            armed=armed(scenario.abort, remote=remote),
            remote=remote,
            needed_descriptors=machine.descriptors_of_run(scenario),
            allowed_descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        )
        return prechecks(known, Thresholds(generator_lag_ms=GENERATOR_LAG_MS))


@contextlib.contextmanager
def _ended_by_signals(rehearsing: Rehearsing, on_signal: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the rehearsal in order; before its steady state they end it at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101

    def end() -> None:
        on_signal()
        if rehearsing.begun:
            rehearsing.end(STOPPED)
        elif not task.cancelling():
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    yield


def _choices(text: str, script: Scenario) -> ByList:
    names = [name.strip() for name in text.split(",")]
    offered = [option.name for option in options(script, None if script.target.url else script.gateway.pods)]
    for name in names:
        if name not in offered:
            raise ScenarioError(invalid("--choose", name, f"one of {', '.join(offered)}"))
    return ByList(names)


def _check_script(script: Scenario) -> None:
    """Raises ScenarioError if the script has no fault, or one without a steady state before it."""
    if script.trigger_s is None:
        raise ScenarioError(f"{script.name}: event: expected at least one fault in a rehearsal")
    least = LEAST_STEADY_S + 1
    if script.trigger_s < least:
        raise ScenarioError(
            invalid(
                f"{script.name}: event[].at_s",
                script.trigger_s,
                f">= {least} for a fault in a rehearsal, after a steady state",
            )
        )


def _slo_results(judged: Run) -> list[tuple[str, SloResult]]:
    """The hypothesis and the objectives, with what was found."""
    summary = judgement_of(judged).summary
    hypothesis = hypothesis_of(judged)
    found = [("hypothesis", evaluate(hypothesis, summary))] if hypothesis else []
    return found + [("objective", evaluate(bound, summary)) for bound in objectives_of(judged)]


def _as_dict(judged: Run, results: list[tuple[str, SloResult]]) -> dict[str, object]:
    return {
        "directory": str(judged.directory),
        "status": judged.info.status,
        "rehearsal": msgspec.to_builtins(judged.info.rehearsal),
        "slos": [{"kind": kind, **msgspec.to_builtins(result)} for kind, result in results],
        "summary": judged.info.summary,
        "validity": judged.info.validity,
        "verdict": judged.info.verdict,
        "findings": judged.info.findings,
    }


def _loopback(scenario: Scenario, options: Options) -> bool:
    return resolve(scenario.target, allow_remote=options.allow_remote).loopback


def _usage_errors() -> contextlib.AbstractContextManager[None]:
    return usage_errors(ScenarioError, TargetError, RecordError, machine.MachineError)

"""The recommended settings on the real stack, compared with what the model predicts for it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from reports.analysis.judgement import judge_run
from reports.compare.agreement import agreement
from reports.rundir.files import find_runs
from scenarios.cli.print_report import report, shown_agreement
from scenarios.cli.progress import LiveView
from scenarios.cli.terminal import console, errors, stack_failed, usage_errors
from scenarios.exit_status import INTERRUPTED
from scenarios.host.machine import MachineError
from scenarios.host.process import StackError
from scenarios.runner import deployment
from scenarios.runner.plan import plans
from scenarios.runner.retry import run_until_quiet
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError
from scenarios.simulator.costs import Costs
from scenarios.simulator.run import Prediction, simulate
from scenarios.tuning.candidate import Candidate
from scenarios.tuning.scaling import Scaled, scaled, scaled_limit

_DURING_S = 15
_RETRIES = 1
"""Retries for runs invalidated by other load on this host."""


def confirm(
    scenario: Scenario,
    arms: Mapping[str, Candidate],
    directory: Path,
    *,
    costs: Costs,
    most_clients: int,
    watch_s: int,
) -> int:
    """Runs each arm once, scaled to this host, and reports the agreement; returns the exit status."""
    bench = on_the_bench(scenario, arms, most_clients=most_clients, watch_s=watch_s)
    for sentence in bench.sentences:
        errors.print(f"scaled: {sentence}", markup=False, highlight=False, soft_wrap=True)
    measured, predicted = directory / "measured", directory / "predicted"
    todo = plans(bench.scenario, repeats=1, directory=measured)
    with usage_errors(MachineError, ScenarioError):
        deployment.check([plan.scenario for plan in todo], None)
    try:
        with LiveView(errors, len(todo)) as view:
            for plan in todo:
                view.begin(plan.arm)
                run_until_quiet(plan, _RETRIES, view)
    except asyncio.CancelledError:
        return INTERRUPTED
    except StackError as error:
        return stack_failed(error)
    for plan in todo:
        simulate(
            Prediction(
                scenario=plan.scenario,
                directory=predicted / plan.directory.name,
                arm=plan.arm,
                control=plan.control,
                costs=costs,
            )
        )
    runs = [judge_run(path) for path in find_runs([measured])]
    status = report(runs, measured, as_json=False)
    found = agreement(runs, [judge_run(path) for path in find_runs([predicted])])
    console.print(shown_agreement(found))
    same, every = found.same_verdict
    console.print(f"predicted verdict matches the measured one in {same} of {every} arms", highlight=False)
    return status


def on_the_bench(
    scenario: Scenario, arms: Mapping[str, Candidate], *, most_clients: int, watch_s: int
) -> Scaled:
    """The scenario scaled down, with the arms, ending `watch_s` after its trigger at the latest."""
    found = scaled(scenario, most_clients)
    small, phases = found.scenario, found.scenario.phases
    length_s = min(phases.duration_s, int(small.trigger_s or 0) + watch_s)
    return msgspec.structs.replace(
        found,
        scenario=replace(
            small,
            phases=replace(
                phases, duration_s=length_s, during_s=min(phases.during_s, _DURING_S), rescue_at_s=0
            ),
            arms={
                label: {
                    "fleet.policy": one.policy,
                    "fleet.reset_backoff": one.reset_backoff,
                    **({} if one.stable_after_s is None else {"fleet.stable_after_s": one.stable_after_s}),
                    "edge.limit": scaled_limit(one.limit, found.clients),
                }
                for label, one in arms.items()
            },
        ),
    )

"""A run, carried out again as long as others on the machine disturb it."""

from msgspec.structs import replace

from reports.analysis.judgement import judge_run
from scenarios.runner.plan import Plan
from scenarios.runner.progress import RunView
from scenarios.runner.run import run
from scenarios.runner.until_done import run_until_done


def run_undisturbed(plan: Plan, retries: int, view: RunView) -> bool:
    """Carries out one plan, and again as long as others had the machine's cores and a try is left.

    Returns whether the last try was left in peace. Raises StackError, and CancelledError on Ctrl-C.
    """
    for number in range(1, retries + 2):
        run_until_done(run(plan, view.show))
        validity = judge_run(plan.directory).info.validity
        if not validity["spoilt_by_machine"]:
            return True
        if number <= retries:
            view.repeat("; ".join(validity["problems"]))
            stem = plan.directory.name.partition("-try")[0]
            plan = replace(plan, directory=plan.directory.with_name(f"{stem}-try{number + 1}"))
    return False

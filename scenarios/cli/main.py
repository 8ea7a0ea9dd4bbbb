"""The command line: every command by its name, loaded when it is called."""

import difflib
import importlib
from collections.abc import Mapping

import click

from scenarios.cli.terminal import Commands
from scenarios.cli.usage import no_such

_HERE = "scenarios.cli.commands"

COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": (
        f"{_HERE}.authoring.init:init_command",
        "Write a scenario and a CI job for the gateway in a folder.",
    ),
    "list": (f"{_HERE}.list:list_command", "Show the built-in scenarios, policies, limits and events."),
    "doctor": (
        f"{_HERE}.doctor:doctor_command",
        "Check whether this machine can run a scenario without distorting it.",
    ),
    "run": (f"{_HERE}.run:run_command", "Run one scenario, without its matrix, and report on it."),
    "compare": (f"{_HERE}.run:compare_command", "Run every arm of a scenario and compare them."),
    "estimate": (
        f"{_HERE}.predicting.estimate:estimate_command",
        "Estimate every arm of a scenario in milliseconds, without a simulation.",
    ),
    "simulate": (
        f"{_HERE}.simulate:simulate_command",
        "Predict every arm of a scenario with a model, without any load.",
    ),
    "measure": (
        f"{_HERE}.measure:measure_command",
        "Measure what one pod of a gateway costs, in about a minute.",
    ),
    "rehearse": (
        f"{_HERE}.rehearse:rehearse_command",
        "Rehearse an outage live and write a report.",
    ),
    "gate": (f"{_HERE}.gate:gate_command", "Decide whether a change has made the storm worse."),
    "tune": (
        f"{_HERE}.tune:tune_command",
        "Search for the best reconnect policy and limits with the simulator.",
    ),
    "report": (f"{_HERE}.report:report_command", "Regenerate the report for run directories."),
    "export": (
        f"{_HERE}.exporting.export:export_command",
        "Send the series, histograms and events of runs to an OpenTelemetry receiver.",
    ),
    "bench": (f"{_HERE}.bench:bench_command", "Measure the load generator itself."),
    "calibrate": (f"{_HERE}.calibrate:calibrate_command", "Inject known values and check the measurements."),
    "calibrate-gate": (
        f"{_HERE}.calibrate_gate:calibrate_gate_command",
        "Measure the gate's false-positive rate and its missed regressions.",
    ),
    "schema": (
        f"{_HERE}.authoring.schema:schema_command",
        "Print the JSON Schema of scenario files, results or run.json.",
    ),
    "explain": (
        f"{_HERE}.authoring.explain:explain_command",
        "Explain a key, policy, limit, event, verdict, measure, reason or rule of lint.",
    ),
    "lint": (
        f"{_HERE}.authoring.lint:lint_command",
        "Find mistakes in a proxy's configuration that a reconnect storm brings out.",
    ),
    "completion": (
        f"{_HERE}.authoring.completion:completion_command",
        "Print the completion script of a shell.",
    ),
    "k8s": (
        f"{_HERE}.authoring.k8s:k8s_command",
        "Print the Kubernetes manifests for a storm, sized for its scenario.",
    ),
    "locust": (f"{_HERE}.locust:locust_command", "Run Locust by hand, with this program's clients."),
    "agent": ("scenarios.agent.__main__:main", "Run a pod or nginx on this host for a run on another host."),
}
"""Where each command is, and its help in one line: a list of commands needs to load none of them."""

_COMPILER = ("numba", "llvmlite")
"""What an installation may be without: only predictions need it, and it is large."""

HIDDEN: Mapping[str, str] = {"probe": f"{_HERE}.probe:probe_command"}


class LazyCommands(Commands):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the group of click has it
        """The names, in the order of the table."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names. Suggests similar names if there is none."""
        name = args[0]
        if name not in COMMANDS and name not in HIDDEN and not ctx.resilient_parsing:
            similar = difflib.get_close_matches(name, COMMANDS)
            raise click.UsageError(no_such("command", repr(name), similar), ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the group of click has it
        """Imports a command; None where there is no such command. Ends where what it needs was left out."""
        place = COMMANDS[cmd_name][0] if cmd_name in COMMANDS else HIDDEN.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        try:
            command = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in _COMPILER:
                raise
            raise click.UsageError(
                f"{cmd_name}: Numba is not installed, which compiles the simulator: expected an installation"
                " with it (pip install numba); container images leave it out"
            ) from None
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the group of click has it
        """Writes the names and their help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="reconnect-storm")
def main() -> None:
    """Load-test a Socket.IO gateway with a reconnect storm.

    Exit status: 0 good, 1 a regression or an SLO violated, 2 usage or configuration, 3 invalid run,
    4 inconclusive, 5 a part of the stack failed, 130 interrupted.
    """

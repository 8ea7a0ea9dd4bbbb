"""Checks a host before a run: cores, limits, proxies, leftover processes."""

import asyncio
import resource
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import msgspec
from msgspec import Struct
from rich.markup import escape
from rich.table import Table

from scenarios.cli.noise import measured_noise, show
from scenarios.cli.options import (
    GATEWAY_OPTION,
    JSON_OPTION,
    NGINX_OPTION,
    SET_OPTION,
    gateway_override,
    scenario_argument,
)
from scenarios.cli.terminal import console, errors, usage_errors
from scenarios.clients.addresses import source_address
from scenarios.events.exec import commands_of
from scenarios.exit_status import GOOD, INVALID
from scenarios.host import machine
from scenarios.host.machine import MachineError
from scenarios.host.process import StackError
from scenarios.programs.commands import check_commands
from scenarios.proxies import nginx
from scenarios.proxies.registry import PROXIES
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.scenario.program import line_of
from scenarios.scenario.redact import without_secrets
from scenarios.scenario.validate import ScenarioError
from scenarios.stack.own_programs import check_programs


class Finding(Struct, frozen=True):
    """The result of one check."""

    what: str
    good: bool
    found: str
    advice: str = ""
    """Consequence, or what to do; empty if the check is good."""


@click.command("doctor")
@scenario_argument("mass-drop")
@SET_OPTION
@GATEWAY_OPTION
@NGINX_OPTION
@click.option(
    "--noise",
    is_flag=True,
    help="Also measure what other processes and the hypervisor take away here, and estimate which regressions"
    " a gate can see.",
)
@click.option(
    "--noise-s",
    type=click.IntRange(5, 3_600),
    default=20,
    show_default=True,
    metavar="SECONDS",
    help="How long --noise measures.",
)
@JSON_OPTION
def doctor_command(
    scenario_name: str,
    overrides: tuple[str, ...],
    gateway: str,
    nginx_binary: Path | None,
    noise: bool,
    noise_s: int,
    as_json: bool,
) -> None:
    """Check whether this machine can run a scenario without distorting it.

    Exit status: 0 every check passed, 2 usage or configuration, 3 a check failed, or runs will be INVALID.
    """
    with usage_errors(ScenarioError, MachineError):
        scenario = load(scenario_name, (*overrides, *gateway_override(gateway)))
        found = findings(scenario, nginx_binary)
        measured = measured_noise(scenario.gateway.cores, noise_s, errors) if noise else None
    if as_json:
        document = found if measured is None else {"checks": found, "noise": measured}
        click.echo(msgspec.json.format(msgspec.json.encode(document)).decode())
    else:
        table = Table("", "check", "result", "", box=None)
        for finding in found:
            advice = "" if finding.good else finding.advice
            # Names of optional extras have brackets, which are markup.
            table.add_row("ok" if finding.good else "!!", *map(escape, (finding.what, finding.found, advice)))
        console.print(table)
        if measured is not None:
            show(measured, machine.assign_cores(scenario.gateway.cores), scenario_name, console)
    bad = not all(finding.good for finding in found) or (measured is not None and measured.invalid)
    sys.exit(INVALID if bad else GOOD)


def findings(scenario: Scenario, nginx_binary: Path | None = None) -> list[Finding]:
    """Every check of whether this host can run `scenario`."""
    return [
        _python(),
        _cores(scenario),
        _descriptors(scenario),
        _source_addresses(),
        _loop_accounting(),
        *_proxies(scenario, nginx_binary),
        *_programs(scenario),
        *_commands(scenario),
        _leftovers(),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", sys.version_info >= (3, 11), version, "needs 3.11 or newer")


def _cores(scenario: Scenario) -> Finding:
    cores = machine.assign_cores(scenario.gateway.cores)
    found = f"stack on {list(cores.stack) or 'any'}, generator on {list(cores.generator) or 'any'}"
    return Finding("Cores", cores.pinned, found, "the generator shares a core with the gateway")


def _descriptors(scenario: Scenario) -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = machine.descriptors_of_run(scenario)
    enough = hard == resource.RLIM_INFINITY or needed <= hard
    allowed = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    return Finding(
        "File descriptors",
        enough,
        f"limit {allowed}, {needed} needed for {scenario.fleet.clients} clients",
        "raise the hard limit (ulimit -Hn) or use fewer clients",
    )


def _source_addresses() -> Finding:
    address = source_address(0)
    with socket.socket() as sock:
        try:
            sock.bind((address, 0))
        except OSError as error:
            return Finding(
                "Source addresses",
                False,
                f"cannot bind to {address}: {error}",
                "all clients share one address",
            )
    return Finding("Source addresses", True, f"one per client, from {address}")


def _loop_accounting() -> Finding:
    there = Path("/proc/self/schedstat").exists()
    found = "from the kernel's schedstat" if there else "no schedstat"
    return Finding("Loop utilisation", there, found, "shows CPU time only")


def _proxies(scenario: Scenario, nginx_binary: Path | None) -> list[Finding]:
    """The installed proxies; a missing one is a failure only if the scenario needs it."""
    proxy = scenario.edge.proxy
    return [
        *([_nginx(scenario, nginx_binary)] if proxy == "nginx" else []),
        *(_other_proxy(name, scenario if proxy == name else None) for name in PROXIES if name != "nginx"),
    ]


def _programs(scenario: Scenario) -> list[Finding]:
    """Whether the user's own gateway, publisher and services can be started; nothing for the stub."""
    if not scenario.own_gateway:
        return []
    try:
        check_programs(scenario)
    except MachineError as error:
        return [Finding("Programs", False, str(error), "the run could not start them")]
    shown = without_secrets(scenario)["gateway"]["command"]
    command = shown if isinstance(shown, str) else " ".join(shown)
    return [Finding("Programs", True, f"{command}, in {Path(scenario.folder) / scenario.gateway.directory}")]


def _commands(scenario: Scenario) -> list[Finding]:
    """Whether the commands of the timeline exist; nothing where it has none."""
    found = [event for _, event in commands_of(scenario.event)]
    if not found:
        return []
    try:
        check_commands(scenario, allow_exec=True)
    except MachineError as error:
        return [Finding("Commands", False, str(error), "the run could not start them")]
    lines = "; ".join(dict.fromkeys(line_of(event.command) for event in found))
    return [Finding("Commands", True, f"{lines}; they run only with --allow-exec")]


def _other_proxy(name: str, scenario: Scenario | None) -> Finding:
    """scenario: the one that needs this proxy, and whose configuration is checked; None if it does not."""
    kind = PROXIES[name]
    with tempfile.TemporaryDirectory() as folder:
        try:
            kind.executable()
            (version,) = kind.versions().values()
            if scenario:
                host = kind.host(port=1, directory=Path(folder), cores=(), binary=None)
                asyncio.run(host.configure(kind.render(scenario, host, ["127.0.0.1:2"], None)))
        except (MachineError, StackError, OSError, subprocess.CalledProcessError) as error:
            return Finding(name, scenario is None, str(error), f"required by edge.proxy = {name!r}")
    return Finding(name, True, version)


def _nginx(scenario: Scenario, binary: Path | None) -> Finding:
    binary = binary or nginx.executable()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        configuration = directory / "gateway.conf"
        configuration.write_text(
            nginx.render(scenario, listen="127.0.0.1:1", pods=["127.0.0.1:2"], directory=directory),
            encoding="utf-8",
        )
        try:
            complaint = nginx.check_syntax(configuration, binary)
            version = subprocess.run([binary, "-v"], capture_output=True, text=True, check=True)  # noqa: S603
        except (OSError, subprocess.CalledProcessError) as error:
            return Finding("nginx", False, str(error), "specify another executable with --nginx PATH")
    return Finding(
        "nginx", not complaint, complaint or version.stderr.strip(), "rejects the generated configuration"
    )


def _leftovers() -> Finding:
    found = machine.leftovers()
    return Finding(
        "Leftover processes", not found, "; ".join(found) or "none", "they use the same cores: stop them"
    )

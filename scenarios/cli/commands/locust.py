"""Locust with this program's clients."""

import os
import sys

import click

from reconnect_storm.start import module_command
from scenarios.stack.generator import LOCUSTFILE


@click.command("locust", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[LOCUST OPTION]...")
def locust_command(arguments: tuple[str, ...]) -> None:
    """Run Locust by hand, with this program's clients.

    Give the gateway as --host URL. The clients behave as the scenario mass-drop says, or another one:
    --scenario NAME or FILE, with --set KEY=VALUE. They connect to this machine's loopback alone, unless
    --allow-remote is given.

    All other options are Locust's own; `reconnect-storm locust -- --help` shows them.
    """
    command = module_command("locust", "-f", str(LOCUSTFILE), *arguments)
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - no shell is meant

"""Starts one pod: `python -m gateway_stub --port 8000 --handshake-cpu-ms 20`."""

import asyncio
import contextlib
import secrets
import signal
from typing import Any

import click
import uvloop

from gateway_stub.app import Pod
from gateway_stub.protocol import Settings
from gateway_stub.settings import from_environment


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address for clients.")
@click.option("--port", default=8000, show_default=True, help="Port for clients.")
@click.option("--control-port", default=8001, show_default=True, help="Port of the control endpoints.")
@click.option("--token", default=None, help="Control token; a random one is printed otherwise.")
@click.option("--handshake-cpu-ms", default=0.0, show_default=True, help="CPU time of one handshake.")
@click.option("--cpu", type=click.Choice(["burn", "reserve"]), default="burn", show_default=True)
@click.option("--rate-hz", default=5.0, show_default=True, help="Ticks a second.")
@click.option("--payload-bytes", default=200, show_default=True, help="Padding of a tick.")
@click.option("--snapshot-bytes", default=0, show_default=True, help="Sent to a client that joins.")
@click.option("--backlog", default=128, show_default=True, help="Length of the accept queue.")
@click.option("--event", default="tick", show_default=True, help="Name of the tick event.")
def main(**options: Any) -> None:
    """Run one gateway pod until it is told to stop."""
    settings = from_environment()
    if settings is None:
        if not options["token"]:
            options["token"] = secrets.token_urlsafe(16)
            click.echo(f"control token: {options['token']}", err=True)
        settings = Settings(**options)
    try:
        uvloop.run(_serve(settings))
    except OSError as error:
        raise click.ClickException(f"port {settings.port} or {settings.control_port}: {error}") from None


async def _serve(settings: Settings) -> None:
    serving = asyncio.create_task(Pod(settings).serve())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    main()

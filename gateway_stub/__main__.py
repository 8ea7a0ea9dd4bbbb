"""Starts one pod: `python -m gateway_stub --port 8000 --handshake-cpu-ms 20`."""

import asyncio
import contextlib
import secrets
import signal
from typing import Any

import click
import uvloop

from gateway_stub.app import Pod
from gateway_stub.protocol import Admission, Controls, Settings
from gateway_stub.settings import from_environment

_FROM_0 = click.FloatRange(min=0)
_ABOVE_0 = click.FloatRange(min=0, min_open=True)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen address for clients.")
@click.option("--port", default=8000, show_default=True, help="Port for clients.")
@click.option(
    "--control-host", default="127.0.0.1", show_default=True, help="Listen address of the control endpoints."
)
@click.option("--control-port", default=8001, show_default=True, help="Port of the control endpoints.")
@click.option("--token", default=None, help="Control token; default: a random one, which is printed.")
@click.option(
    "--handshake-cpu-ms", type=_FROM_0, default=0.0, show_default=True, help="CPU per handshake, in ms."
)
@click.option(
    "--tick-cpu-us", type=_FROM_0, default=0.0, show_default=True, help="CPU per tick and client, in µs."
)
@click.option(
    "--cpu",
    type=click.Choice(["burn", "occupy"]),
    default="burn",
    show_default=True,
    help="Use CPU for handshakes, or only block the event loop.",
)
@click.option("--cancel-gone", is_flag=True, help="Cancel the handshake of a client that has disconnected.")
@click.option(
    "--shed-above-lag-ms",
    type=_FROM_0,
    default=0.0,
    show_default=True,
    help="Shed new clients while the event loop lags by more than this, in ms; 0: never.",
)
@click.option(
    "--handshake-slots",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Max concurrent handshakes; 0: no limit.",
)
@click.option(
    "--ping-interval-s",
    type=click.FloatRange(min=1),
    default=25.0,
    show_default=True,
    help="Interval between pings, in seconds.",
)
@click.option(
    "--ping-timeout-s",
    type=_ABOVE_0,
    default=20.0,
    show_default=True,
    help="Timeout for the answer to a ping, in seconds.",
)
@click.option(
    "--busy-lag-ms",
    type=_ABOVE_0,
    default=1000.0,
    show_default=True,
    help="Loop lag above which the pod is not ready, in ms.",
)
@click.option("--rate-hz", default=5.0, show_default=True, help="Ticks per second.")
@click.option("--payload-bytes", default=200, show_default=True, help="Padding of a tick, in bytes.")
@click.option(
    "--snapshot-bytes", default=0, show_default=True, help="Size of the snapshot for a client that joins."
)
@click.option("--backlog", default=128, show_default=True, help="Length of the accept queue.")
@click.option("--event", default="tick", show_default=True, help="Name of the event that carries a tick.")
def main(**options: Any) -> None:
    """Run one gateway pod until SIGINT or SIGTERM."""
    settings = from_environment()
    if settings is None:
        if not options["token"]:
            options["token"] = secrets.token_urlsafe(16)
            click.echo(f"control token: {options['token']}", err=True)
        admission = Admission(
            shed_above_lag_ms=options.pop("shed_above_lag_ms"), handshake_slots=options.pop("handshake_slots")
        )
        controls = Controls(handshake_cpu_ms=options.pop("handshake_cpu_ms"), admission=admission)
        settings = Settings(controls=controls, **options)
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

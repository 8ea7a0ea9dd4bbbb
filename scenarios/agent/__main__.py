"""Starts a host agent: `python -m scenarios.agent gateway` or `python -m scenarios.agent nginx`."""

import asyncio
import contextlib
import ipaddress
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from aiohttp import web

from gateway_stub.protocol import Controls
from scenarios.agent.roles import GatewayRole, NginxRole, Runs, idle_settings
from scenarios.agent.server import Agent
from scenarios.host.cpu_account import own_account
from scenarios.host.dns import parse_all
from scenarios.host.token import TOKEN_VARIABLE, TokenError, token_from_environment

_END_S = 5.0
_FROM_0 = click.FloatRange(min=0)
_HOST = click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Listen address of the agent, and of the pod or nginx that it starts.",
)
_AGENT_PORT = click.option("--agent-port", default=8100, show_default=True, help="Port of the agent.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "AGENT"})
def main() -> None:
    """Run a pod or nginx on this host for a run on another host.

    Without such a run, the pod or nginx runs by itself. Each option can also be given in the environment:
    AGENT_GATEWAY_HANDSHAKE_CPU_MS=10. The token is in RECONNECT_STORM_TOKEN, or in the file that
    RECONNECT_STORM_TOKEN_FILE names.
    """


@main.command("gateway")
@_HOST
@_AGENT_PORT
@click.option("--port", default=8000, show_default=True, help="Client port of the pod.")
@click.option(
    "--control-port", default=8001, show_default=True, help="Port of the pod's control endpoints and metrics."
)
@click.option(
    "--handshake-cpu-ms",
    type=_FROM_0,
    default=0.0,
    show_default=True,
    help="CPU per handshake while idle, in ms.",
)
@click.option(
    "--tick-cpu-us",
    type=_FROM_0,
    default=0.0,
    show_default=True,
    help="CPU per tick and client while idle, in µs.",
)
@click.option(
    "--rate-hz",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="Ticks per second while idle.",
)
@click.option(
    "--payload-bytes",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    help="Padding of a tick while idle.",
)
@click.option(
    "--snapshot-bytes",
    type=click.IntRange(min=0),
    default=2_000,
    show_default=True,
    help="Size of the snapshot for a client that joins while idle.",
)
def gateway_command(
    host: str,
    agent_port: int,
    port: int,
    control_port: int,
    handshake_cpu_ms: float,
    tick_cpu_us: float,
    rate_hz: float,
    payload_bytes: int,
    snapshot_bytes: int,
) -> None:
    """Run a pod. Costs and feed given here apply while the host is idle; a run sets its own."""
    settings = idle_settings(
        Controls(handshake_cpu_ms=handshake_cpu_ms),
        host=host,
        port=port,
        control_host=host,
        control_port=control_port,
        tick_cpu_us=tick_cpu_us,
        rate_hz=rate_hz,
        payload_bytes=payload_bytes,
        snapshot_bytes=snapshot_bytes,
    )
    with tempfile.TemporaryDirectory(prefix="reconnect-storm-") as folder:
        _run(GatewayRole(settings, Path(folder)), host, agent_port)


@main.command("nginx")
@_HOST
@_AGENT_PORT
@click.option("--port", default=8080, show_default=True, help="Port of nginx.")
@click.option(
    "--pods",
    default="gateway:8000",
    show_default=True,
    metavar="HOST:PORT,…",
    help="Upstream pods while idle; a name may resolve to several addresses.",
)
@click.option(
    "--trust",
    multiple=True,
    metavar="NETWORK",
    help="Network, besides nginx's own, whose PROXY protocol headers are trusted, such as 192.0.2.0/24;"
    " may be repeated; separated by spaces in the environment.",
)
def nginx_command(host: str, agent_port: int, port: int, pods: str, trust: tuple[str, ...]) -> None:
    """Run nginx. --pods applies while the host is idle; a run sets its own upstream."""
    try:
        named = parse_all(pods)
    except ValueError as error:
        raise click.UsageError(f"--pods: {error}") from None
    try:
        networks = [str(ipaddress.ip_network(network)) for network in trust]
    except ValueError as error:
        raise click.UsageError(f"--trust: {error}: expected a network such as 192.0.2.0/24") from None
    with tempfile.TemporaryDirectory(prefix="reconnect-storm-") as folder:
        role = NginxRole(listen=host, port=port, pods=named, folder=Path(folder) / "nginx")
        _run(role, host, agent_port, trust=networks)


def _run(role: Runs, host: str, port: int, *, trust: Sequence[str] = ()) -> None:
    try:
        token = token_from_environment()
    except TokenError as error:
        raise click.UsageError(str(error)) from None
    # What is started here inherits the environment, and has no use for it.
    os.environ.pop(TOKEN_VARIABLE, None)
    agent = Agent(role, listen=host, token=token, account=own_account(), trust=trust)
    try:
        asyncio.run(_serve(agent, host, port))
    except OSError as error:
        raise click.UsageError(f"address {host}, port {port}: {error}") from None


async def _serve(agent: Agent, host: str, port: int) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    # As long as it takes to end what a runner has started here.
    runner = web.AppRunner(agent.app(), access_log=None, shutdown_timeout=_END_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        with contextlib.suppress(asyncio.CancelledError):
            await ended.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())

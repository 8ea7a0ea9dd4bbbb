"""The load generator: Locust as a child process, and our end of the channel to it."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
from msgspec.structs import replace

from reconnect_storm.start import module_command
from scenarios.host.machine import free_ports, needed_descriptors
from scenarios.host.process import LocalChild, start
from scenarios.scenario.model import Scenario, Target
from scenarios.stack.channel import Channel, MessageStream
from scenarios.wire.interval import Interval
from scenarios.wire.orders import GENERATOR_VARIABLE, GeneratorSettings

LOCUSTFILE = Path(__file__).parents[1] / "clients" / "locustfile.py"


def _said_to(scenario: Scenario, *, stub: bool) -> Target:
    """What clients say to the gateway. The stub has one namespace, hears no events, and looks at tokens."""
    return replace(scenario.target, namespace=Target().namespace, emit=()) if stub else scenario.target


def _together(processes: int) -> tuple[str, ...]:
    """Locust options for several processes, which meet on a port that nobody else has: another Locust on this
    machine may have the usual one."""
    port = str(free_ports(1)[0])
    at = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port)
    return ("--processes", str(processes), *at)


class Generator(Channel):
    """A running Locust."""

    def __init__(
        self, child: LocalChild, stream: MessageStream, on_interval: Callable[[Interval], None]
    ) -> None:
        super().__init__(stream, on_interval)
        self.child = child

    @classmethod
    async def start(
        cls,
        scenario: Scenario,
        *,
        epoch_ns: int,
        log: Path,
        cores: tuple[int, ...],
        on_interval: Callable[[Interval], None],
        own_url: str = "",
        own_ca_file: str = "",
        descriptors: int | None = None,
        allow_remote: bool = False,
        other_clocks: bool = False,
        processes: int = 1,
    ) -> Self:
        """Starts Locust; it begins to bring up the clients by itself.

        own_url: where nginx of our own listens; without one, the scenario's target is the target.
        own_ca_file: what clients trust there, with TLS. other_clocks: some pods there have another clock.
        """
        stub, gently = bool(own_url) and not scenario.own_gateway, bool(own_url) and scenario.ramps_gently
        if own_url:
            said = replace(_said_to(scenario, stub=stub), url=own_url)
            # Own certificates are checked as any others, and by nobody else's authorities.
            said = replace(said, ca_file=own_ca_file, insecure=False) if own_ca_file else said
            scenario = replace(scenario, target=said)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        settings = GeneratorSettings(
            scenario=scenario,
            epoch_ns=epoch_ns,
            channel_fd=theirs.fileno(),
            allow_remote=allow_remote,
            own_stack=stub,
            other_clocks=other_clocks,
            gentle_ramp=gently,
        )
        fleet = scenario.fleet
        try:
            child = await start(
                "generator",
                [
                    *module_command("locust", "-f", str(LOCUSTFILE)),
                    *("--headless", "--users", str(fleet.clients), "--spawn-rate", str(fleet.ramp_per_s)),
                    *("--only-summary", "--skip-log-setup"),
                    *(_together(processes) if processes > 1 else ()),
                ],
                log=log,
                cores=cores,
                descriptors=descriptors or needed_descriptors(fleet.clients),
                environment={GENERATOR_VARIABLE: msgspec.json.encode(settings).decode()},
                pass_fds=(theirs.fileno(),),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            stream = MessageStream(*await asyncio.open_connection(sock=ours))
        except BaseException:
            ours.close()
            await child.stop()
            raise
        return cls(child, stream, on_interval)

    async def stop(self) -> None:
        """Ends Locust and the channel."""
        await self.child.stop()
        await self._close()

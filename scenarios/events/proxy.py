"""The proxy is reloaded or restarted."""

import asyncio
import random
import sys
from collections.abc import Iterator
from itertools import takewhile

from msgspec.structs import replace

from scenarios.events.event import Context, Details, Event, Kind
from scenarios.events.stack import Stack
from scenarios.fields import PositiveSeconds, Seconds, invalid


class _KindOfReload:
    """A mitigation, unless the event says that it is the fault of its scenario."""

    def __get__(self, event: "NginxReload | None", _owner: type) -> Kind:
        return "fault" if event is not None and event.is_fault else "mitigation"


class NginxReload(Event, frozen=True, kw_only=True, tag="nginx_reload"):
    """The proxy reloads its configuration; connections stay with its old workers as long as these live.

    Old workers of nginx and HAProxy keep their connections, and new workers accept new ones; HAProxy loses
    the counts of its limits. Envoy finds that nothing has changed. An old worker of nginx ends when its last
    connection has ended, so after many reloads there are many; their CPU counts as nginx's. With
    `edge.nginx.worker_shutdown_timeout_s` it cuts what it still has after that time.
    """

    kind = _KindOfReload()
    repeated_by = "times, 2 or more, or for_s"

    for_s: PositiveSeconds | None = None
    """Reloads every `every_s` for this long, instead of `times`."""
    is_fault: bool = False
    """Counts as a fault, so that recovery is timed from it: for reloads that disconnect clients."""

    @property
    def repeats(self) -> bool:
        """A duration repeats it as well as a number."""
        return self.for_s is not None or self.times > 1

    def strikes_s(self, rng: random.Random) -> Iterator[float]:
        """Times of the reloads, in seconds of steady state."""
        if self.for_s is None:
            return super().strikes_s(rng)
        end_s = self.at_s + self.for_s
        endless = replace(self, for_s=None, times=sys.maxsize)
        return takewhile(lambda at_s: at_s < end_s, endless.strikes_s(rng))

    def complaint(self, _context: Context) -> str:
        """A duration needs a period, and takes the place of a number."""
        if self.for_s is not None and self.every_s is None:
            return invalid("for_s", self.for_s, "every_s with it, the time between two reloads")
        if self.for_s is not None and self.times > 1:
            return invalid("times", self.times, "1 together with for_s")
        return ""

    async def strike(self, stack: Stack) -> Details:
        """Reloads the configuration in force."""
        await stack.own_nginx.reload()
        return {}


class NginxRestart(Event, frozen=True, kw_only=True, tag="nginx_restart"):
    """The proxy, nginx or another, is restarted: all clients are disconnected, and limits lose their counts.

    A proxy that is already down is not stopped again, and one that another event has started is not started
    again.
    """

    down_s: Seconds = 0.0
    """Time without a listener in between."""

    async def strike(self, stack: Stack) -> Details:
        """Stops the proxy, waits, and starts it on the same port."""
        nginx = stack.own_nginx
        await nginx.stop()
        await asyncio.sleep(self.down_s)
        await nginx.start_again()
        return {"down_s": self.down_s}

"""The proxy is reloaded or restarted."""

import asyncio

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Seconds


class NginxReload(Event, frozen=True, kw_only=True, tag="nginx_reload"):
    """The proxy reloads its configuration; no client is dropped.

    Old workers of nginx and HAProxy keep their connections, and new workers accept new ones; HAProxy resets
    the counters of its limits. Envoy sees no change.
    """

    kind = "mitigation"

    async def strike(self, stack: Stack) -> Details:
        """Reloads the configuration in force."""
        await stack.own_nginx.reload()
        return {}


class NginxRestart(Event, frozen=True, kw_only=True, tag="nginx_restart"):
    """The proxy is restarted: all clients are dropped, and the counters of its limits are reset.

    A proxy that is down is not stopped again, and one that another event has started by then is not started
    again.
    """

    down_s: Seconds = 0.0
    """Time during which nothing listens."""

    async def strike(self, stack: Stack) -> Details:
        """Stops the proxy, waits, and starts it on the same port."""
        nginx = stack.own_nginx
        await nginx.stop()
        await asyncio.sleep(self.down_s)
        await nginx.start_again()
        return {"down_s": self.down_s}

"""The proxy is reloaded or restarted."""

import asyncio

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Seconds


class NginxReload(Event, frozen=True, kw_only=True, tag="nginx_reload"):
    """The proxy reloads its configuration, and no client is disconnected.

    Old workers of nginx and HAProxy keep their connections, and new workers accept new ones; HAProxy loses
    the counts of its limits. Envoy finds that nothing has changed.
    """

    kind = "mitigation"

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

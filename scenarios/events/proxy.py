"""The proxy reads its configuration again, or is restarted."""

import asyncio

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Seconds


class NginxReload(Event, frozen=True, kw_only=True, tag="nginx_reload"):
    """The front reads its configuration again, and nobody is dropped.

    Old workers of nginx and HAProxy keep the connections they have, and new ones take what comes; HAProxy
    forgets whom its limits have counted. Envoy finds that nothing has changed.
    """

    kind = "mitigation"

    async def strike(self, stack: Stack) -> Details:
        """With the configuration that is in force."""
        await stack.own_nginx.reload()
        return {}


class NginxRestart(Event, frozen=True, kw_only=True, tag="nginx_restart"):
    """The front, nginx or another, ends and starts again: everybody is dropped, and limits forget whom they
    have counted.

    One that is down already is not ended again, and one that somebody else has started by then is not
    started again.
    """

    down_s: Seconds = 0.0
    """How long nothing listens in between."""

    async def strike(self, stack: Stack) -> Details:
        """Ends it, waits, and starts it on the same port."""
        nginx = stack.own_nginx
        await nginx.stop()
        await asyncio.sleep(self.down_s)
        await nginx.start_again()
        return {"down_s": self.down_s}

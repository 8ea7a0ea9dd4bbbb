"""The front is restarted."""

import asyncio
from typing import TYPE_CHECKING

from scenarios.events.event import Details, Event
from scenarios.quantities import Seconds

if TYPE_CHECKING:
    from scenarios.stack.running import Stack


class NginxRestart(Event, frozen=True, kw_only=True, tag="nginx_restart"):
    """The front, nginx or another, ends and starts again: everybody is dropped, and limits forget whom they
    have counted.

    One that is down already is not ended again, and one that somebody else has started by then is not
    started again.
    """

    down_s: Seconds = 0.0
    """How long nothing listens in between."""

    async def strike(self, stack: "Stack") -> Details:
        """Ends it, waits, and starts it on the same port."""
        nginx = stack.own_nginx
        await nginx.stop()
        await asyncio.sleep(self.down_s)
        await nginx.start_again()
        return {"down_s": self.down_s}

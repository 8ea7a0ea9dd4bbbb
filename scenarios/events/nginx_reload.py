"""nginx reads its configuration again."""

from typing import TYPE_CHECKING

from scenarios.events.event import Details, Event

if TYPE_CHECKING:
    from scenarios.stack.running import Stack


class NginxReload(Event, frozen=True, kw_only=True, tag="nginx_reload"):
    """nginx is reloaded: old workers keep the connections they have, new ones take what comes."""

    kind = "mitigation"

    async def strike(self, stack: "Stack") -> Details:
        """Reloads it with the configuration that is in force."""
        await stack.own_nginx.reload()
        return {}

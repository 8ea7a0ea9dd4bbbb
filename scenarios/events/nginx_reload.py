"""The front reads its configuration again."""

from typing import TYPE_CHECKING

from scenarios.events.event import Details, Event

if TYPE_CHECKING:
    from scenarios.stack.running import Stack


class NginxReload(Event, frozen=True, kw_only=True, tag="nginx_reload"):
    """The front reads its configuration again, and nobody is dropped.

    Old workers of nginx and HAProxy keep the connections they have, and new ones take what comes; HAProxy
    forgets whom its limits have counted. Envoy finds that nothing has changed.
    """

    kind = "mitigation"

    async def strike(self, stack: "Stack") -> Details:
        """With the configuration that is in force."""
        await stack.own_nginx.reload()
        return {}

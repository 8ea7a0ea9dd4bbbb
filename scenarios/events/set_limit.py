"""Another limit on connections."""

from scenarios.events.event import Context, Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import NameOrTable
from scenarios.limits.proxy_support import limit_at
from scenarios.limits.registry import LimitError


class SetLimit(Event, frozen=True, kw_only=True, tag="set_limit"):
    """The limit becomes this one: the front gets it by a reload, the pods over their control endpoints."""

    kind = "mitigation"

    limit: NameOrTable

    def complaint(self, context: Context) -> tuple[str, object, str] | None:
        """The limit has to be one that the front can carry out."""
        try:
            limit_at(context.proxy, self.limit)
        except LimitError as error:
            return "limit", self.limit, str(error)
        return None

    async def strike(self, stack: Stack) -> Details:
        """Puts it in force."""
        await stack.set_limit(self.limit)
        return {"limit": self.limit}

"""Another limit on connections."""

from msgspec import to_builtins

from scenarios.events.event import Context, Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import NameOrTable
from scenarios.limits.proxy_support import limit_at
from scenarios.limits.registry import LimitError, limit


class SetLimit(Event, frozen=True, kw_only=True, tag="set_limit"):
    """The limit is replaced: at the proxy by a reload, at the pods through their control endpoints."""

    kind = "mitigation"
    own_gateway = "limits at the proxy"

    limit: NameOrTable
    """The new limit: a name, several names joined by `+`, or a table with `name` and its parameters."""

    def complaint(self, context: Context) -> str:
        """The proxy has to support the limit."""
        if context.nginx_conf:
            return "do: not supported: set_limit would change your own configuration, edge.nginx_conf"
        try:
            limit_at(context.proxy, self.limit)
        except LimitError as error:
            return f"limit: {error}"
        return ""

    async def strike(self, stack: Stack) -> Details:
        """Puts it in force."""
        await stack.set_limit(self.limit)
        limits = limit(self.limit)
        # Reports do not know limits by name.
        rules, pod_rules = to_builtins((limits.at_proxy, limits.at_pods))
        return {"limit": self.limit, "rules": rules, **({"pod_rules": pod_rules} if pod_rules else {})}

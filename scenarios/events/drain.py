"""Joined clients are disconnected one by one."""

from typing import Annotated, Literal

from msgspec import Meta

from scenarios.events.event import Context, Details, Event, pod_complaint
from scenarios.events.rolling_restart import out_of_upstream
from scenarios.events.stack import Stack
from scenarios.fields import Index, Seconds, invalid

_NOT_EVENLY = {
    "nginx": "nginx closes all connections of an old worker at once, worker_shutdown_timeout after a reload",
    "haproxy": "HAProxy closes all connections of an old worker at once, hard-stop-after after a reload",
    "envoy": "Envoy keeps WebSockets until its old process ends, and then closes all at once",
}
"""By proxy, what it does instead of closing WebSockets one by one."""


class Drain(Event, frozen=True, kw_only=True, tag="drain"):
    """Pods disconnect their joined clients one by one, evenly over `window_s`; the feed continues.

    The order of the clients is drawn from the seed of the scenario. Clients that join meanwhile are not
    disconnected. A gateway of your own cannot be told to close clients: `deploy` sends it SIGTERM.
    """

    own_gateway = "no: use `deploy`"

    window_s: Seconds
    """Time in which a pod disconnects its clients; 0: all at once."""
    pods: Literal["all"] | Annotated[tuple[Index, ...], Meta(min_length=1)] = "all"
    """All pods, or the indices of some, from 0."""
    one_by_one: bool = False
    """One pod after the other, each over `window_s`. Otherwise all of them at the same time."""
    leave_upstream: bool = False
    """A pod leaves the proxy's upstream while it is drained, so its clients reconnect to the other pods."""
    by: Literal["gateway", "proxy"] = "gateway"
    """What closes the connections. `proxy` is refused: no proxy closes WebSockets one by one."""
    close_code: Literal[1001, 1012] | None = None
    """Close code that a WebSocket gets: 1001 going away, 1012 service restart. Left out: the connection ends
    without a Close frame."""

    @property
    def lasts_s(self) -> float:
        """Duration of the drain; of one pod, where their number is not known."""
        return self.window_s * (len(self.pods) if self.one_by_one and self.pods != "all" else 1)

    def complaint(self, context: Context) -> str:
        """The pods have to exist, to take orders, and to leave somebody for their clients."""
        if context.own_gateway:
            return (
                "do: not supported: a gateway of your own cannot be told to close clients: expected deploy,"
                " which sends SIGTERM, or the built-in stub"
            )
        if self.by == "proxy":
            return f"by: not supported: {_NOT_EVENLY[context.proxy]}: expected 'gateway'"
        chosen = range(context.pods) if self.pods == "all" else self.pods
        if self.leave_upstream and not self.one_by_one and len(set(chosen)) >= context.pods:
            expected = "false, or one_by_one = true: all pods would leave at the same time"
            return invalid("leave_upstream", value=True, expected=expected)
        return next(filter(None, (pod_complaint(pod, context, "pods") for pod in chosen)), "")

    async def strike(self, stack: Stack) -> Details:
        """Drains the pods that run now, and still run at their turn."""
        gateway = stack.own_gateway
        chosen = [pod for pod in gateway.running if self.pods == "all" or pod in self.pods]
        dropped = 0
        for group in [[pod] for pod in chosen] if self.one_by_one else [chosen]:
            there = [pod for pod in group if pod in gateway.running]
            async with out_of_upstream(stack, there if self.leave_upstream else ()):
                dropped += await gateway.drain(there, self.window_s, self.close_code)
        return {"dropped": dropped}

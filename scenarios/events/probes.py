"""An orchestrator that probes pods, and acts on the results."""

from scenarios.events.event import Context, Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Count, PositiveSeconds, Seconds


class Probes(Event, frozen=True, kw_only=True, tag="probes"):
    """From now on every pod gets liveness and readiness probes, as from an orchestrator.

    Probes that begin later take the place of these.

    A pod that is not ready leaves nginx's upstream until it is; a pod that is not alive is killed and
    restarted, which disconnects its clients. Readiness is probed on the clients' port, where the probe waits
    behind them; liveness on another port. `conflated` uses the readiness probe for both, so a pod that is
    only busy is restarted.
    """

    kind = "condition"
    own_gateway = "`conflated`, or with `gateway.liveness_path`"

    conflated: bool = False
    """Use the readiness probe for liveness as well."""
    period_s: PositiveSeconds = 2.0
    """Time from one probe of a pod to the next."""
    timeout_s: PositiveSeconds = 1.0
    """Of the readiness probe."""
    liveness_timeout_s: PositiveSeconds = 10.0
    """Of the liveness probe: a busy pod answers late, a dead one never."""
    failures: Count = 3
    """Consecutive failures until a probe has failed."""
    restart_after_s: Seconds = 1.0
    """Time from the kill of a pod to its restart."""
    grace_s: Seconds = 5.0
    """Time without probes after a pod has started and is ready."""

    def complaint(self, context: Context) -> str:
        """A liveness probe needs something to ask."""
        if context.liveness or self.conflated:
            return ""
        return "conflated: not supported as false without gateway.liveness_path: expected that key, or true"

    async def strike(self, stack: Stack) -> Details:
        """Probes until the run ends, or other probes begin."""
        await stack.watch_probes(self)
        return {}

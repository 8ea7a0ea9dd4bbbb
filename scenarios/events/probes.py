"""An orchestrator that probes pods, and restarts or withdraws them."""

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Count, PositiveSeconds, Seconds


class Probes(Event, frozen=True, kw_only=True, tag="probes"):
    """Every pod gets liveness and readiness probes from now on, as from an orchestrator.

    A pod that is not ready leaves nginx's upstream until it is; a pod that is not alive is killed and
    restarted, which drops all its clients. Readiness is probed on the clients' port, where the request queues
    behind them; liveness on another port. `conflated` uses the readiness probe for both, so that a busy pod
    is restarted.
    """

    kind = "condition"

    conflated: bool = False
    period_s: PositiveSeconds = 2.0
    timeout_s: PositiveSeconds = 1.0
    """Timeout of the readiness probe."""
    liveness_timeout_s: PositiveSeconds = 10.0
    """Timeout of the liveness probe: a busy pod answers late, a dead one never."""
    failures: Count = 3
    """Consecutive failures after which the orchestrator acts."""
    restart_after_s: Seconds = 1.0
    grace_s: Seconds = 5.0
    """Time after a start, once the pod is ready, without probes."""

    async def strike(self, stack: Stack) -> Details:
        """Probes until the run ends."""
        await stack.watch_probes(self)
        return {}

"""An orchestrator that asks pods how they are, and acts on what it hears."""

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Count, PositiveSeconds, Seconds


class Probes(Event, frozen=True, kw_only=True, tag="probes"):
    """From now on every pod is asked for liveness and readiness, as an orchestrator does.

    A pod that is not ready leaves nginx's upstream until it is; a pod that is not alive is killed and
    started again, which drops everybody who is on it. Readiness is asked on the clients' port, where the
    question waits behind them; liveness on another one. `conflated` takes the answer to the first for
    both, so that a pod that is only busy is restarted.
    """

    kind = "condition"

    conflated: bool = False
    period_s: PositiveSeconds = 2.0
    timeout_s: PositiveSeconds = 1.0
    """Of the readiness question."""
    liveness_timeout_s: PositiveSeconds = 10.0
    """Of the liveness question: a busy pod answers late, a dead one never."""
    failures: Count = 3
    """So many in a row count."""
    restart_after_s: Seconds = 1.0
    grace_s: Seconds = 5.0
    """How long a pod that was started, by whomever, is not asked once it is ready."""

    async def strike(self, stack: Stack) -> Details:
        """Asks until the run ends."""
        await stack.watch_probes(self)
        return {}

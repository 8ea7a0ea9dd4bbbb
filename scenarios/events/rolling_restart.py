"""All pods are restarted, one after the other."""

import asyncio

from scenarios.events.event import Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import Seconds


class RollingRestart(Event, frozen=True, kw_only=True, tag="rolling_restart"):
    """One pod after the other is restarted with SIGTERM, until it is ready; each disconnects its clients.

    Pods that have left before their turn are skipped.
    """

    gap_s: Seconds = 2.0
    """Time from the readiness of a pod to the restart of the next one."""
    leave_upstream: bool = False
    """As with an orchestrator, a pod leaves the proxy's upstream before its SIGTERM, and is back in it once
    it is ready. Otherwise the proxy sends clients to it all the time. The last pod of an upstream stays."""

    async def strike(self, stack: Stack) -> Details:
        """Restarts all pods that run now, and still run at their turn."""
        gateway = stack.own_gateway
        restarted = 0
        for position, pod in enumerate(gateway.running):
            if position:
                await asyncio.sleep(self.gap_s)
            if pod not in gateway.running:
                continue
            with gateway.coming_back(pod):
                if self.leave_upstream:
                    gateway.set_leaving(pod, leaving=True)
                    await stack.route()
                await gateway.terminate(pod)
                restarted += await gateway.restart(pod)
                if self.leave_upstream:
                    gateway.set_leaving(pod, leaving=False)
                    await stack.route()
        return {"pods": restarted}

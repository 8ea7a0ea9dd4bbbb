"""The clients get another reconnect policy."""

import asyncio

from scenarios.events.event import Context, Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import NameOrTable, Seconds
from scenarios.policies.registry import PolicyError, policy


class PushPolicy(Event, frozen=True, kw_only=True, tag="push_policy"):
    """Every client gets the policy at a moment of its own within the reach time, connected or not.

    A client that is waiting or trying when it gets it starts over with it.
    """

    kind = "mitigation"
    any_target = True

    policy: NameOrTable
    reach_s: Seconds = 5.0
    """How long it takes until the last client has it."""

    @property
    def lasts_s(self) -> float:
        """Until the last one has it."""
        return self.reach_s

    def complaint(self, _context: Context) -> tuple[str, object, str] | None:
        """The policy has to be one."""
        try:
            policy(self.policy)
        except PolicyError as error:
            return "policy", self.policy, str(error)
        return None

    async def strike(self, stack: Stack) -> Details:
        """Tells the clients, and waits until all have it."""
        await stack.generator.push_policy(self.policy, self.reach_s)
        await asyncio.sleep(self.reach_s)
        return {"policy": self.policy, "reach_s": self.reach_s}

"""The clients get another reconnect policy."""

import asyncio

from scenarios.events.event import Context, Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import NameOrTable, Seconds
from scenarios.policies.following import PolicyError
from scenarios.policies.registry import policy


class PushPolicy(Event, frozen=True, kw_only=True, tag="push_policy"):
    """Every client gets the policy at a random moment within the reach time, connected or not.

    A client that is waiting or connecting at that moment starts again with the new policy.
    """

    kind = "mitigation"
    any_target = True

    policy: NameOrTable
    """The new policy: a name, a table with `name` and its parameters, or `module:function`."""
    reach_s: Seconds = 5.0
    """Time until the last client has the policy."""

    @property
    def lasts_s(self) -> float:
        """Until the last client has the policy."""
        return self.reach_s

    def complaint(self, _context: Context) -> str:
        """The policy has to be valid."""
        try:
            policy(self.policy)
        except PolicyError as error:
            return f"policy: {error}"
        return ""

    async def strike(self, stack: Stack) -> Details:
        """Tells the clients, and waits until all have it."""
        await stack.generator.push_policy(self.policy, self.reach_s)
        await asyncio.sleep(self.reach_s)
        return {"policy": self.policy, "reach_s": self.reach_s}

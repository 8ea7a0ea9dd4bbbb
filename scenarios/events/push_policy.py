"""The clients get another reconnect policy."""

import asyncio

from scenarios.events.event import Context, Details, Event
from scenarios.events.stack import Stack
from scenarios.fields import NameOrTable, Seconds, invalid
from scenarios.policies.following import PolicyError
from scenarios.policies.registry import policy


class PushPolicy(Event, frozen=True, kw_only=True, tag="push_policy"):
    """Every client gets the policy at a random moment within the reach time, connected or not.

    With `group`, the clients of that group alone get it. A client that is waiting or connecting at that
    moment starts again with the new policy.
    """

    kind = "mitigation"
    any_target = True

    policy: NameOrTable
    """The new policy: a name, a table with `name` and its parameters, or `module:function`."""
    reach_s: Seconds = 5.0
    """Time until the last client has the policy."""
    group: str | None = None
    """Name of a group of a mixed fleet: only its clients get the policy. Left out: all clients do."""

    @property
    def lasts_s(self) -> float:
        """Until the last client has the policy."""
        return self.reach_s

    def complaint(self, context: Context) -> str:
        """The policy has to be valid, and the group one of the fleet's."""
        try:
            policy(self.policy)
        except PolicyError as error:
            return f"policy: {error}"
        if self.group is not None and self.group not in context.groups:
            groups = ", ".join(context.groups)
            return invalid("group", self.group, groups or "no group; the fleet has none")
        return ""

    async def strike(self, stack: Stack) -> Details:
        """Tells the clients, and waits until all have it."""
        await stack.generator.push_policy(self.policy, self.reach_s, self.group or "")
        await asyncio.sleep(self.reach_s)
        details: Details = {"policy": self.policy, "reach_s": self.reach_s}
        return {**details, "group": self.group} if self.group else details

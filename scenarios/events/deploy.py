"""All pods are replaced, as an orchestrator does it."""

import asyncio
from math import ceil

from scenarios.events.event import Context, Details, Event
from scenarios.events.scale import retire
from scenarios.events.stack import Stack
from scenarios.fields import PodNumber, Seconds, invalid


class Deploy(Event, frozen=True, kw_only=True, tag="deploy"):
    """All pods are replaced by new ones, as a rolling update of a Kubernetes Deployment does it.

    A new pod enters the proxy's upstream when it is ready. An old pod leaves the upstream, waits
    `pre_stop_s`, and then has `drain_s` for its clients: the built-in stub disconnects them one by one,
    evenly; a gateway of your own gets SIGTERM, and SIGKILL if it still runs after `drain_s`. In Kubernetes
    the sum of the two times is `terminationGracePeriodSeconds`.

    A deploy that begins during another one waits until all new pods of that one are there.
    """

    max_surge: PodNumber = "25%"
    """Pods above the usual number while old and new ones run, as a number or a share; rounded up. Pods that
    are being terminated do not count."""
    max_unavailable: PodNumber = "25%"
    """Pods below the usual number, likewise; rounded down."""
    min_ready_s: Seconds = 0.0
    """Time from the readiness of a new pod until it counts as available (`minReadySeconds`)."""
    pre_stop_s: Seconds = 0.0
    """Time from leaving the upstream to the drain: a `preStop` hook that sleeps."""
    drain_s: Seconds = 0.0
    """Time in which an old pod disconnects its clients. 0: the stub disconnects all at SIGTERM, and a gateway
    of your own has `gateway.stop_grace_s`."""

    @property
    def lasts_s(self) -> float:
        """How long an old pod takes to leave, at least."""
        return self.pre_stop_s + self.drain_s

    def complaint(self, _context: Context) -> str:
        """Without surge and without unavailable pods nothing could begin."""
        if {self.max_surge, self.max_unavailable} <= {0, "0%"}:
            expected = "a number or share above 0, or a max_unavailable above 0"
            return invalid("max_surge", self.max_surge, expected)
        return ""

    def bounds(self, pods: int) -> tuple[int, int]:
        """(pods above the usual number, pods below it), as Kubernetes rounds them."""
        surge, unavailable = _share(self.max_surge, pods), _share(self.max_unavailable, pods)
        return ceil(surge), int(unavailable) or int(not ceil(surge))

    async def strike(self, stack: Stack) -> Details:
        """Starts new pods and ends old ones within the bounds; returns when the last old one has ended."""
        # The next deploy may begin once this one's old pods leave, and need not wait until they have left.
        async with asyncio.TaskGroup() as tasks, stack.own_gateway.replacing:
            replaced = await self._replace(stack, tasks)
            # Who is told to leave does so before anybody else counts the pods.
            await asyncio.sleep(0)
        return {"pods": replaced}

    async def _replace(self, stack: Stack, tasks: asyncio.TaskGroup) -> int:
        """Returns the number of pods once all new ones are available and all old ones are told to leave."""
        old = list(stack.own_gateway.running)
        wanted = len(old)
        surge, unavailable = self.bounds(wanted)
        started = available = 0
        starting: set[asyncio.Task[int]] = set()
        while old or starting or started < wanted:
            more = max(0, min(wanted - started, wanted + surge - len(old) - started))
            starting |= {tasks.create_task(self._start(stack)) for _ in range(more)}
            started += more
            spare = max(0, len(old) + available - (wanted - unavailable))
            for pod in old[:spare]:
                tasks.create_task(self._retire(stack, pod))
            old = old[spare:]
            if starting:
                done, starting = await asyncio.wait(starting, return_when=asyncio.FIRST_COMPLETED)
                available += sum(task.result() for task in done)
        return wanted

    async def _start(self, stack: Stack) -> int:
        """Starts a pod; returns how many there are more once it counts."""
        added = await stack.own_gateway.add(1)
        await stack.route()
        await asyncio.sleep(self.min_ready_s)
        return added

    async def _retire(self, stack: Stack, pod: int) -> None:
        if pod in stack.own_gateway.running:
            await retire(stack, [pod], pre_stop_s=self.pre_stop_s, drain_s=self.drain_s)


def _share(number: int | str, pods: int) -> float:
    return int(number[:-1]) * pods / 100 if isinstance(number, str) else number

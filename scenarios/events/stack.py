"""What events act on: a running stack, real or modelled, as far as an event needs to know it.

`scenarios/stack/stack.py` and `scenarios/simulator/stack.py` are the two that there are.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

from scenarios.fields import NameOrTable


class ProbeSettings(Protocol):
    """How an orchestrator asks pods how they are; the event `probes` has these as its fields."""

    @property
    def conflated(self) -> bool: ...
    @property
    def period_s(self) -> float: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def liveness_timeout_s(self) -> float: ...
    @property
    def failures(self) -> int: ...
    @property
    def restart_after_s(self) -> float: ...
    @property
    def grace_s(self) -> float: ...


class Pods(Protocol):
    """All pods of a gateway, by number."""

    @property
    def running(self) -> Sequence[int]:
        """The pods that are there to stay."""
        ...

    @property
    def replacing(self) -> asyncio.Lock:
        """Held while a deploy has more or fewer pods than usual: who goes by their number waits for it."""
        ...

    async def add(self, count: int) -> int:
        """Starts more pods; returns their number once they are ready."""
        ...

    async def kill(self, index: int) -> int:
        """Ends a pod at once; returns how many clients it had."""
        ...

    async def terminate(self, index: int, drain_s: float = 0.0) -> int:
        """Ends a pod in order, with so much time for its clients; returns how many clients it had."""
        ...

    async def drain(self, indices: Iterable[int], window_s: float, close_code: int | None = None) -> int:
        """Makes pods close their clients' sessions evenly over the window; returns how many, at its end."""
        ...

    async def restart(self, index: int) -> bool:
        """Starts a pod that has ended; returns whether it is there, once it is ready."""
        ...

    def coming_back(self, index: int) -> AbstractContextManager[None]:
        """As long as this lasts, the pod counts as one that is there to stay, dead or not."""
        ...

    def leaving(self, indices: Iterable[int]) -> AbstractContextManager[None]:
        """As long as this lasts, the proxy is to send nobody to these pods; `route` tells it."""
        ...

    def paused(self, index: int) -> AbstractAsyncContextManager[None]:
        """Freezes a pod, and lets it go on in the end."""
        ...

    def withdraw(self, indices: Iterable[int]) -> None:
        """These pods leave for good."""
        ...


class Proxy(Protocol):
    """The proxy in front of the pods."""

    async def reload(self) -> None:
        """Reads its configuration again."""
        ...

    async def stop(self) -> None:
        """Ends it, and all connections with it."""
        ...

    async def start_again(self) -> None:
        """Starts it on the same port."""
        ...

    async def rotate_certificate(self) -> None:
        """Gives it a new certificate, which clients trust."""
        ...


class Clients(Protocol):
    """The clients, through their generator."""

    async def push_policy(self, spec: NameOrTable, reach_s: float = 0.0, group: str = "") -> None:
        """Gives every client, or those of a group, another reconnect policy, the last one after `reach_s`."""
        ...

    async def end_calm(self) -> None:
        """Tells the clients that the first event is about to strike."""
        ...

    async def finalise(self) -> None:
        """Ends the accounting at this moment; returns once everything up to it has been reported."""
        ...


class Stack(Protocol):
    """A running stack."""

    @property
    def gateway(self) -> Pods | None:
        """None where the target is somebody else's."""
        ...

    @property
    def own_gateway(self) -> Pods:
        """The pods, for events that a scenario with an external target does not have."""
        ...

    @property
    def own_nginx(self) -> Proxy:
        """The proxy, likewise."""
        ...

    @property
    def generator(self) -> Clients:
        """The clients."""
        ...

    async def route(self) -> None:
        """Makes the proxy send new connections to the pods that are there now."""
        ...

    async def set_limit(self, spec: NameOrTable) -> None:
        """Puts another limit in force."""
        ...

    async def drop(self, share: float) -> dict[str, Any]:
        """Cuts a share of the connections at once; returns how many were cut, or by what."""
        ...

    async def stall_feed(self, for_s: float) -> None:
        """Stalls the feed for this long; returns when the stall has ended."""
        ...

    async def burst_feed(self, factor: float, for_s: float) -> None:
        """The feed's rate is `factor` times its own for this long; returns when the burst has ended."""
        ...

    async def run_command(self, words: Sequence[str], timeout_s: float) -> dict[str, Any]:
        """Runs a command of the user's own to its end; returns its exit status, and where its output is."""
        ...

    async def watch_probes(self, probes: ProbeSettings) -> None:
        """Asks the pods how they are, and acts on it, until it is called again or cancelled."""
        ...

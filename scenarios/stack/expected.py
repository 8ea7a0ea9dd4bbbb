"""Which pods count, of real ones and modelled ones alike: those that stay, and those in the upstream."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar


class Expected(Protocol):
    """A pod, real or modelled, as far as it can be expected."""

    expected: int
    """How many are about to start it."""


class Leaving(Protocol):
    """A pod, real or modelled, as far as it can be kept out of the upstream."""

    leaving: int
    """How many keep it out, as they drain or restart it: the proxy is told before."""


class PodState(Expected, Leaving, Protocol):
    """What decides whether a pod counts."""

    index: int
    withdrawn: bool
    """It has left for good."""
    ejected: bool
    """The proxy does not ask it while it is not ready."""
    entered: bool
    """It has been ready once."""

    @property
    def running(self) -> bool:
        """Whether there is a process, ready or not, paused or not."""


PodType = TypeVar("PodType", bound=PodState)


def staying(pods: Iterable[PodState]) -> list[int]:
    """The pods that are there to stay: running, or about to be started, and not withdrawn."""
    return [pod.index for pod in pods if (pod.running or pod.expected) and not pod.withdrawn]


def in_upstream(pods: Iterable[PodType]) -> list[PodType]:
    """The pods that the proxy is to know: also dead ones; none that left, is leaving or ejected, or never was
    ready."""
    return [pod for pod in pods if pod.entered and not (pod.withdrawn or pod.ejected or pod.leaving)]


@contextmanager
def expecting(pods: Sequence[Expected]) -> Iterator[None]:
    """As long as this lasts, the pods count as ones that are there to stay, dead or not."""
    for pod in pods:
        pod.expected += 1
    try:
        yield
    finally:
        for pod in pods:
            pod.expected -= 1


@contextmanager
def leaving(pods: Sequence[Leaving]) -> Iterator[None]:
    """As long as this lasts, the proxy is to send nobody to these pods."""
    for pod in pods:
        pod.leaving += 1
    try:
        yield
    finally:
        for pod in pods:
            pod.leaving -= 1

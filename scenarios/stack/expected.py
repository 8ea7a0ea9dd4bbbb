"""Pods that are expected: something is about to start them, so they count as running before they are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol


class Expected(Protocol):
    """A pod, real or modelled, as far as it can be expected."""

    expected: int
    """How many are about to start it."""


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

"""What an event is: its fields are its parameters in a scenario file, `strike` carries it out.

To add one, write a struct with `strike` in a file of its own and enter it in `registry.py`; docs/events.md
tells more.
"""

import random
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct

from scenarios.events.stack import Stack
from scenarios.fields import Count, PositiveSeconds, Seconds

Kind = Literal["fault", "mitigation", "condition"]
"""The first fault is the run's trigger; a condition is there from the start, and neither harms nor helps."""

_TWO = Meta(min_length=2, max_length=2)

Details = dict[str, Any]
"""What events.jsonl says about a strike besides its name and time."""


class Context(Struct, frozen=True):
    """What the check of an event needs to know of its scenario."""

    pods: int
    """The most pods that it has at any time: events may add some."""
    proxy: str


class Event(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do"):
    """One thing that happens, `at_s` seconds after the steady state began."""

    kind: ClassVar[Kind] = "fault"
    any_target: ClassVar[bool] = False
    """Whether it can also be done to somebody else's gateway, which has no pods or nginx of ours."""

    at_s: Seconds
    enabled: bool = True
    """False leaves it out; arms of a comparison can differ by that."""
    every_s: PositiveSeconds | Annotated[tuple[PositiveSeconds, ...], _TWO] | None = None
    """Strike again so long after the last strike began; two numbers are drawn between, anew each time."""
    times: Count = 1
    """How many strikes there are in all; more than one needs `every_s`."""

    @property
    def name(self) -> str:
        """The name that a scenario file gives in `do`."""
        return str(self.__struct_config__.tag)

    @property
    def lasts_s(self) -> float:
        """How long one strike goes on, as far as that is known beforehand."""
        return 0.0

    def strikes_s(self, rng: random.Random) -> Iterator[float]:
        """When it strikes, in seconds of steady state."""
        at_s = self.at_s
        for _ in range(self.times):
            yield at_s
            if self.every_s is None:
                return
            at_s += rng.uniform(*self.every_s) if isinstance(self.every_s, tuple) else self.every_s

    def complaint(self, _context: Context) -> tuple[str, object, str] | None:
        """(field, what was found, what is allowed) where the event does not fit the scenario."""
        return None

    async def strike(self, stack: Stack) -> Details:
        """Does it, and returns when it is over."""
        raise NotImplementedError


def common_complaint(event: Event) -> tuple[str, object, str] | None:
    """What is wrong with the fields that all events have."""
    if event.times > 1 and event.every_s is None:
        return "times", event.times, "1, or every_s to say how long after the last one"
    if isinstance(event.every_s, tuple) and event.every_s[0] > event.every_s[1]:
        return "every_s", list(event.every_s), "the shorter time first"
    return None


def pod_complaint(pod: int, context: Context) -> tuple[str, object, str] | None:
    """What is wrong with the number of a pod."""
    if pod < context.pods:
        return None
    return "pod", pod, f"from 0 to {context.pods - 1}: there are {context.pods} pods"

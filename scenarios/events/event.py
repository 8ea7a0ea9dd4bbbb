"""The base of all events: the fields are the parameters in a scenario file, `strike` runs the event.

To add one, write a struct with `strike` in its own file and enter it in `registry.py`; see docs/events.md.
"""

import random
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct

from scenarios.events.stack import Stack
from scenarios.fields import Count, PositiveSeconds, Seconds, invalid

Kind = Literal["fault", "mitigation", "condition"]
"""The first fault is the run's trigger; a condition is neither fault nor mitigation."""

_TWO = Meta(min_length=2, max_length=2)

Details = dict[str, Any]
"""Details of a strike in events.jsonl, besides its name and time."""


class Context(Struct, frozen=True):
    """What the check of an event uses of its scenario."""

    pods: int
    """Number of pods that have an index, at the most: events may add some."""
    proxy: str
    own_gateway: bool = False
    """The pods are copies of the user's gateway, which takes no orders of this program."""
    publisher: bool = False
    """The feed has a publisher that this program starts."""
    liveness: bool = True
    """Pods have a liveness path."""
    tls: bool = False
    """The proxy has a certificate."""
    nginx_conf: bool = False
    """The proxy's configuration is the user's own."""
    groups: tuple[str, ...] = ()
    """Names of the groups of a mixed fleet."""


class Event(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do"):
    """An action, `at_s` seconds after the start of the steady state."""

    kind: ClassVar[Kind] = "fault"
    any_target: ClassVar[bool] = False
    """Whether it works with an external target, which has no pods or proxy of this program."""

    own_gateway: ClassVar[str] = "yes"
    """Whether it works at pods of the user's own gateway, in few words; see `complaint`."""

    repeated_by: ClassVar[str] = "times, 2 or more,"
    """What `every_s` needs beside it, in few words."""

    at_s: Seconds
    """When it begins, in seconds of steady state."""
    enabled: bool = True
    """False switches it off; arms of a comparison can differ by that."""
    every_s: PositiveSeconds | Annotated[tuple[PositiveSeconds, ...], _TWO] | None = None
    """Time from the start of one action to the next; two numbers are the bounds of a random time."""
    times: Count = 1
    """Number of actions in all; more than one needs `every_s`. An action that would begin during the rescue
    does not."""

    @property
    def repeats(self) -> bool:
        """Whether there is more than one action."""
        return self.times > 1

    @property
    def name(self) -> str:
        """The name that a scenario file gives in `do`."""
        return str(self.__struct_config__.tag)

    @property
    def lasts_s(self) -> float:
        """Expected duration of one strike."""
        return 0.0

    def strikes_s(self, rng: random.Random) -> Iterator[float]:
        """Times of the strikes, in seconds of steady state."""
        at_s = self.at_s
        for _ in range(self.times):
            yield at_s
            if self.every_s is None:
                return
            at_s += rng.uniform(*self.every_s) if isinstance(self.every_s, tuple) else self.every_s

    def complaint(self, _context: Context) -> str:
        """Why the event does not fit the scenario, beginning with the field; empty if it does."""
        return ""

    async def strike(self, stack: Stack) -> Details:
        """Runs the event, and returns when it has ended."""
        raise NotImplementedError


def common_complaint(event: Event) -> str:
    """What is wrong with the fields that all events have; empty if nothing is."""
    if event.times > 1 and event.every_s is None:
        return invalid("times", event.times, "1 without every_s, the time between two actions")
    if event.every_s is not None and not event.repeats:
        given = list(event.every_s) if isinstance(event.every_s, tuple) else event.every_s
        return invalid("every_s", given, f"{event.repeated_by} with it, or no every_s for a single action")
    if isinstance(event.every_s, tuple) and event.every_s[0] > event.every_s[1]:
        return invalid("every_s", list(event.every_s), "the shorter time first")
    return ""


def pod_complaint(pod: int, context: Context, key: str = "pod") -> str:
    """What is wrong with the index of a pod; empty if nothing is."""
    if pod < context.pods:
        return ""
    return invalid(key, pod, f"0 to {context.pods - 1} with {context.pods} pods")

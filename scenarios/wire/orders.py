"""What the runner and a generator tell each other, besides the seconds."""

import msgspec
from msgspec import Struct

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.fields import NameOrTable
from scenarios.scenario.model import Scenario
from scenarios.wire.interval import Interval

GENERATOR_VARIABLE = "RECONNECT_STORM_GENERATOR_SETTINGS"
"""Environment variable in which the runner leaves a `GeneratorSettings` as JSON."""


class GeneratorSettings(Struct, frozen=True, kw_only=True):
    """What a generator that the runner starts needs to know."""

    scenario: Scenario
    """With the target's URL filled in, whoever runs it."""
    epoch_ns: int
    """Monotonic time of second 0."""
    channel_fd: int | None = None
    """Where the runner listens, if one started this generator."""
    allow_remote: bool = False
    own_stack: bool = False
    """The target is the stub behind its proxy: its pods keep the scenario's schedule of ticks."""
    gentle_ramp: bool = False
    """Clients are brought up no faster than the gateway takes them."""
    clock_url: str = ""
    """Where our own pods tell how long ago the epoch was; empty where this process has the runner's clock."""
    other_clocks: bool = False
    """Some of our own pods have another clock than this process: their ticks are due by that one."""


class Assignment(Struct, frozen=True):
    """What a Locust master tells its workers before a test."""

    workers: tuple[str, ...]
    """Who takes part; a worker's place is the number of its process."""
    settings: GeneratorSettings
    by_hand: bool = False
    """No run has asked for the test: each worker counts time by its own clock."""
    late: tuple[str, ...] = ()
    """Who has come since, where Locust's own rebalancing gives newcomers users."""


class Finalised(Struct, frozen=True, tag=True):
    """All intervals up to a `Finalise` have been sent."""


class PushPolicy(Struct, frozen=True, tag=True):
    """All clients follow this policy, each from a moment of its own within the reach time on; one that waits
    or connects then starts again with it."""

    policy: NameOrTable
    reach_s: float = 0.0
    group: str = ""
    """Name of the group whose clients alone follow it; empty: all do."""


class Cut(Struct, frozen=True, tag=True):
    """Joined clients lose their connection, as by a network that has gone."""

    share: float = 1.0


class SetFeed(Struct, frozen=True, tag=True):
    """The ticks of our own pods are due by this schedule from now on."""

    schedule: FeedSchedule


class EndCalm(Struct, frozen=True, tag=True):
    """The first event is about to fire: what ticks say from now on is no part of a fitted schedule."""


class Aborted(Struct, frozen=True, tag=True):
    """The generator stopped by itself, because of an abort condition."""

    reason: str


class Finalise(Struct, frozen=True, tag=True):
    """Count what no client holds yet as censored at this moment, and report the open second."""


class Hello(Struct, frozen=True, tag=True):
    """The first thing that a standing generator is told."""

    token: str


class Begin(Struct, frozen=True, tag=True):
    """A standing generator shall bring up its clients."""

    settings: GeneratorSettings


class Begun(Struct, frozen=True, tag=True):
    """It does."""

    workers: int


class Refused(Struct, frozen=True, tag=True):
    """It will not, for this reason."""

    reason: str


class Ended(Struct, frozen=True, tag=True):
    """A standing generator has ended the test, and nobody of the runner's side asked for it."""

    reason: str


Message = (
    Interval
    | Finalised
    | PushPolicy
    | Cut
    | SetFeed
    | EndCalm
    | Aborted
    | Finalise
    | Hello
    | Begin
    | Begun
    | Refused
    | Ended
)


encode = msgspec.msgpack.Encoder().encode


decode = msgspec.msgpack.Decoder(Message).decode

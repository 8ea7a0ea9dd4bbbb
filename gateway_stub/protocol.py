"""What a pod and those who run it say to each other: settings, control paths, statistics lines.

Shared with the scenarios side; imports nothing else of the project.
"""

import math
import random
from statistics import NormalDist
from typing import Annotated, Literal, Self

from msgspec import Meta, Struct
from msgspec.structs import replace

from gateway_stub.feed_schedule import FeedSchedule

SETTINGS_VARIABLE = "GATEWAY_STUB_SETTINGS"
"""Environment variable with the settings as JSON; not the command line, where `ps` shows the token."""

TOKEN_HEADER = "X-Control-Token"  # noqa: S105
DROP_PATH = "/control/drop"
DRAIN_PATH = "/control/drain"
CONTROLS_PATH = "/control/controls"
METRICS_PATH = "/metrics"
LIVENESS_PATH = "/healthz/liveness"
READINESS_PATH = "/healthz/readiness"
CLOCK_PATH = "/healthz/clock"
"""How many nanoseconds ago the epoch was, as text."""


UPGRADE_SHARE = 0.7
"""Share of a handshake's cost that is paid before the upgrade is answered; the rest is paid at the join."""


RETRY_AFTER_S = 1
"""What a pod that turns a handshake away advises. Clients in a browser do not see it."""


TRY_AGAIN_CODE = 1013
TRY_AGAIN_REASON = "try again later"
"""Close frame of a WebSocket that a pod accepts only to refuse it, with `close_1013`."""


class Admission(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which handshakes a pod turns away with 503 or 429, before it spends anything; 0 switches a rule off."""

    shed_above_lag_ms: Annotated[float, Meta(ge=0)] = 0.0
    """New connections are turned away while the event loop lags by more than this.

    How late it is comes from a probe on the loop, or from how long the request has waited to be looked at,
    whichever is more: a loop may turn fast and have a long queue at its door.
    """
    handshake_slots: Annotated[int, Meta(ge=0)] = 0
    """So many handshakes may be under way at once, from the request to the join or the connection's end.

    One that has come to neither after 10 s loses its slot, so that silent clients cannot close a pod.
    """
    window_connections: Annotated[int, Meta(ge=0)] = 0
    """So many new connections of one address may come in any `window_s`; see `sliding_window.py`."""
    window_s: Annotated[float, Meta(ge=0)] = 0.0
    window_charges_refusals: bool = False
    """Connections that were refused count as well."""
    window_by_peer: bool = False
    """The address is that of the peer, whatever X-Forwarded-For says."""
    close_1013: bool = False
    """A WebSocket is accepted, and closed with 1013 in place of the refusal."""


class Controls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about a pod that can change while it runs; always sent as a whole."""

    handshake_cpu_ms: Annotated[float, Meta(ge=0)] = 0.0
    feed: FeedSchedule | None = None
    """None leaves the feed as it is."""
    feed_stalled_until_ns: int = 0
    """No tick goes out before this moment."""
    admission: Admission = Admission()

    def shifted(self, by_ns: int) -> Self:
        """The same controls on a clock that is ahead by so much."""
        return replace(
            self,
            feed=self.feed and self.feed.shifted(by_ns),
            feed_stalled_until_ns=self.feed_stalled_until_ns and self.feed_stalled_until_ns + by_ns,
        )


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pod's settings."""

    name: str = "pod-0"
    host: str = "127.0.0.1"
    port: int = 8000
    control_host: str = "127.0.0.1"
    control_port: int = 0
    token: Annotated[str, Meta(min_length=1)]
    controls: Controls = Controls()
    cpu: Literal["burn", "occupy"] = "burn"
    snapshot_bytes: int = 0
    rate_hz: float = 5.0
    payload_bytes: int = 200
    event: str = "tick"
    backlog: int = 128
    tick_cpu_us: Annotated[float, Meta(ge=0)] = 0.0
    """Cost of a tick for each client, paid before the broadcast goes out."""
    cancel_gone: bool = False
    """Look before each stage of a handshake whether its client is still there, and spend nothing if not."""
    ping_interval_s: Annotated[float, Meta(ge=1)] = 25.0
    """Engine.IO tells clients whole seconds of it, rounded down."""
    ping_timeout_s: Annotated[float, Meta(gt=0)] = 20.0
    busy_lag_ms: Annotated[float, Meta(gt=0)] = 1_000.0
    """The pod says that it is not ready while its event loop lagged by more than this in the last second."""
    token_lifetime_s: Annotated[float, Meta(ge=0)] = 0.0
    """Clients need a token that was issued less than this ago; 0: none. See `gateway_stub/tokens.py`."""
    epoch_ns: int = 0
    """Monotonic time of tick 0; all pods share it, so that tick k means the same everywhere. 0: now."""


class Tick(Struct, frozen=True):
    """The payload of a tick. Times are CLOCK_MONOTONIC, which one host's processes share."""

    seq: int
    due_ns: int
    """When the schedule says that the tick should go out."""
    sent_ns: int
    """When the pod's loop got to it."""


class PodStatistics(Struct, frozen=True, kw_only=True):
    """One line a second on a pod's standard output; counts and times cover that second."""

    t_ns: int
    """End of the covered time."""
    span_ns: int
    cpu_ns: int
    """CPU time of the whole process; of the pod's whole container where whoever reads the line knows that."""
    throttled_ns: int = 0
    """How long a CPU quota held the pod's container up; put in by whoever knows that."""
    occupied_ns: int
    """How long the event loop was not waiting for work: running, runnable, or occupied."""
    lag_ms: float
    """Worst lateness of a 50 ms probe on the loop."""
    clients: int
    """Joined now."""
    handshakes: int
    """Handshakes that the pod took on: all but those that it shed."""
    joined: int
    gone_early: int
    """Of these handshakes, those whose client had left before it joined."""
    short_sessions: int
    """Joined sessions that ended within 5 s."""
    shed: int = 0
    """Handshakes turned away by the pod's own admission control."""
    ticks_sent: int
    """Deliveries handed to the transport."""
    tick_late_ms: float
    """Worst lateness of a broadcast in this second: from due to the start of sending."""


KNOWN_DELAYS = 50_021
_MEDIAN_DELAY_NS = 5e6


def known_delays_ns() -> list[int]:
    """The delays of a tick source's `--delays`, used in turn: log-normal, a median of 5 ms, a long tail.

    Evenly spaced quantiles in a random order, so that the percentiles of every full turn are the same.
    """
    scores = (NormalDist().inv_cdf((k + 0.5) / KNOWN_DELAYS) for k in range(KNOWN_DELAYS))
    delays = [int(_MEDIAN_DELAY_NS * math.exp(score)) for score in scores]
    random.Random(1).shuffle(delays)  # noqa: S311
    return delays

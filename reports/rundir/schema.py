"""The run directory: what a run leaves behind, and how it is read back.

    run.json        scenario, seed, versions, machine, phases, status; summary, validity, verdict, findings
    series.csv      one row a second, in seconds of steady state (the ramp is negative)
    shared_ips.csv  the same by how many clients share a source IP; `neighbours.csv` in older directories
    groups.csv      the same by group of the fleet; not there where the fleet has none
    pods.csv        the same by pod
    sidecars.csv    the same by sidecar; not there where pods have none
    latency.hlog    HdrHistogram interval log: tags `fanout` (by second of receipt), `fanout_by_stamp` (the
                    same from the stamps, where `fanout` counts from a schedule), `effective` and `censored`
                    (by the second in which the tick was due), `staleness` (by the second in which it was
                    so), values in microseconds; `session_age`: how long sessions had been joined that ended
                    in this second, but for those that the client or the scenario ended
    groups.hlog     the same by group: tags `effective/0`, `censored/0` and `staleness/0` of the first one;
                    written at the end
    events.jsonl    what happened when; where an event of the script begins, and at the rescue, with `late_s`:
                    how long after its scheduled time the runner came to it, of which 0.05 s are on purpose;
                    not in older runs, and not for what an operator chose
    nginx/ pods/    their configuration and logs; in nginx/, those of another proxy where that was used

Everything is appended as it happens, so a run that failed or was interrupted is readable, and says so. The
tables and latency.hlog are written anew at the end, with what became known late.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from reports.rundir.histograms import Histogram
from reports.rundir.proxy_log import ProxyLog, TlsCosts

SCHEMA_VERSION = 2


HIGHEST_US = 3_600_000_000


SIGNIFICANT_DIGITS = 3


Tag = Literal["fanout", "effective", "censored", "staleness", "fanout_by_stamp", "session_age"]


TAGS: tuple[Tag, ...] = ("fanout", "effective", "censored", "staleness", "fanout_by_stamp", "session_age")


GROUP_TAGS: tuple[Tag, ...] = ("effective", "censored", "staleness")
"""Of these, each group of a mixed fleet has its own."""


Status = Literal["running", "complete", "interrupted", "failed"]

STOPPED_BY_USER = "stopped by the user"
"""The problem of a run that was interrupted by neither an abort condition nor a crash."""


class Phase(Struct, frozen=True):
    """A named stretch of a run, [from_s, to_s) in seconds of steady state."""

    name: str
    from_s: int
    to_s: int


class PreCheck(Struct, frozen=True, kw_only=True):
    """Something that had to hold before a rehearsal's first event."""

    name: str
    wanted: str
    found: str
    passed: bool


class Decision(Struct, frozen=True, kw_only=True):
    """What the operator of a rehearsal was asked, and chose."""

    t_s: float
    """When the choice was made."""
    asked_s: float
    chosen: str
    """In words, such as `scale to 9 pods`."""
    event: dict[str, Any] | None = None
    """The event that came of it, as it would stand in a scenario file; None for waiting."""


class Rehearsal(Struct, kw_only=True):
    """What makes a run a rehearsal."""

    interactive: bool = False
    prechecks: tuple[PreCheck, ...] = ()
    decisions: tuple[Decision, ...] = ()
    aborted: str = ""
    """Which abort condition ended it, or that the operator did; empty where it ran to its end."""


class ClockOffset(Struct, frozen=True, kw_only=True):
    """How a generator process sees the gateway's clock."""

    process: str
    offset_ns: int
    """Gateway's clock minus the process's own."""
    error_ns: int
    """Half the round trip of the quickest exchange: the offset is off by this much at the most."""


class FeedFit(Struct, frozen=True, kw_only=True):
    """The schedule that was fitted to the ticks of one numbering before the first event."""

    stream: str = ""
    """Address of the pod that numbers them; empty where all pods share the numbers. ` #2` behind it: the
    second numbering, after a restart."""
    ticks: int = 0
    """How many it was fitted to; 0 where there is no fit."""
    rate_hz: float | None = None
    spread_ms: float | None = None
    """Between the 5th and the 95th percentile of the lateness of the stamps."""
    problem: str = ""
    """Why these ticks have no schedule to count from; empty where they have one."""


class RunInfo(Struct, kw_only=True):
    """The content of run.json. `summary`, `validity`, `verdict` and `findings` are added when the run has
    been judged."""

    schema_version: int = SCHEMA_VERSION
    scenario: dict[str, Any]
    arm: str
    round: int = 1
    control: bool = False
    """A run without a trigger, which shows that the steady state is one."""
    predicted: bool = False
    """By the simulator, rather than measured."""
    seed: int
    status: Status = "running"
    pid: int = 0
    """Of the process that writes; tells a running run from one that was killed."""
    problem: str = ""
    """Why a run failed, since a part of the stack or the program did, or was interrupted."""
    started_utc: str
    steady_utc: str = ""
    """When the steady state began: second 0 of all tables. Empty if it did not, and in older runs."""
    trigger_s: int | None = None
    trigger_end_s: int | None = None
    """When the trigger was over; None: in the second in which it began."""
    rescued_at_s: int | None = None
    phases: tuple[Phase, ...] = ()
    versions: dict[str, str]
    machine: dict[str, Any]
    stability: dict[str, Any]
    command: list[str]
    limit_rules: dict[str, list[dict[str, Any]]] = msgspec.field(default_factory=dict)
    """What the limits of the scenario count, by where they are: `proxy`, `sidecars`; as an event `set_limit`
    says of its own in `rules`. Empty in older runs."""
    nginx_limited: int | None = None
    """Refusals by a limit in the log of the run's own proxy; None without one."""
    proxy_log: ProxyLog | None = None
    """What else the logs of the run's own proxy say; None without one, and in older runs."""
    tls_costs: TlsCosts | None = None
    """What TLS handshakes cost the run's own proxy; None without TLS there, and in older runs."""
    reference: Literal["due", "schedule", "first receipt"] | None = None
    """What latencies count from: `due`, the stamp of each tick; `schedule`, due times fitted to the stamps of
    the calm phase; `first receipt`: then the fan-out latency is a spread."""
    feed_fits: tuple[FeedFit, ...] = ()
    """Of each numbering, where `feed.due` is `schedule`, or where each pod has its own."""
    unnumbered: bool = False
    """Some ticks had no number: nobody knows which ones a client did not receive."""
    rehearsal: Rehearsal | None = None
    clocks: tuple[ClockOffset, ...] = ()
    """Empty where all processes share one clock."""
    summary: dict[str, Any] = msgspec.field(default_factory=dict)
    validity: dict[str, Any] = msgspec.field(default_factory=dict)
    verdict: dict[str, Any] = msgspec.field(default_factory=dict)
    findings: list[dict[str, Any]] = msgspec.field(default_factory=list)


class RecordError(Exception):
    """A run directory that cannot be read; the message says which and why."""


def new_histogram() -> Histogram:
    """An empty histogram of microseconds, 1 µs to 1 h with three significant digits."""
    return Histogram(1, HIGHEST_US, SIGNIFICANT_DIGITS)

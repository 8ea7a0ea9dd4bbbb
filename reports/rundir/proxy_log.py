"""What is known of a run's own proxy, as run.json keeps it: what its logs come to, what handshakes cost."""

from msgspec import Struct


class WorkerSockets(Struct, frozen=True, kw_only=True):
    """The WebSockets that the proxy's workers had at one moment."""

    t_s: int
    """Second of steady state."""
    sockets: tuple[int, ...]
    """Of each worker that had any, the most first."""


class ZoneRefusals(Struct, frozen=True, kw_only=True):
    """What one zone of nginx's limits refused, by its error log."""

    directive: str
    """`limit_conn` or `limit_req`."""
    zone: str
    refused: int
    addresses: int
    """Different client addresses among these requests."""
    last_s: int
    """Second of steady state in which it refused the last one."""

    def __str__(self) -> str:
        return f"{self.directive} zone \u201c{self.zone}\u201d"


class ProxyLog(Struct, frozen=True, kw_only=True):
    """Counts over the steady state: what ended from its beginning on."""

    requests: int
    addresses: int
    """Different client addresses in these requests; 0 where the log has none."""
    address: str = ""
    """The client address where there was only one."""
    workers: tuple[WorkerSockets, ...] = ()
    """At the trigger, and at the end of the run; empty where the log does not tell workers apart."""
    full: int = 0
    """Connections that a worker closed because it had as many as it may have."""
    taken_out: int = 0
    """How often the proxy took a pod out of its upstream by itself."""
    taken_out_alive: int = 0
    """Of these, after a failure other than a refused connection: the pod was there, and late or broken."""
    none_left: int = 0
    """Requests that it answered by itself because it had taken all pods out."""
    answers: dict[str, int] = {}
    """Requests that its limits refused, by the status in its access log: 444, or 0, where it closed the
    connection without an answer."""
    zones: tuple[ZoneRefusals, ...] = ()
    """The limits of nginx that refused anybody, the busiest first; empty where its error log has no such
    lines."""
    workers_killed_s: tuple[int, ...] = ()
    """The second of steady state of each end of an nginx worker by a signal. The master starts another worker
    at once, which has none of the connections of the first."""


class TlsCosts(Struct, frozen=True, kw_only=True):
    """CPU-seconds that a TLS handshake takes at the proxy, as measured there before the clients came."""

    full_cpu_s: float
    resumed_cpu_s: float | None = None
    """None where no session can be resumed."""

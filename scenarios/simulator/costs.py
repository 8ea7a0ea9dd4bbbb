"""What things cost the modelled gateway and edge, beyond what the scenario says.

Files that say what a gateway costs: our own costs as JSON, or what was measured of another one as TOML.

Another gateway's handshake is known as a whole, from the upgrade until the snapshot is out. The scenario's
`gateway.handshake_cpu_ms` is the whole then, and what this project's pods spend on top of it is nothing.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import fields

LONGEST_QUEUE = 4_096
"""Of the accept queue, as in the kernel's `net.core.somaxconn`."""

Seconds = Annotated[float, Meta(ge=0)]


class Costs(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """CPU-seconds, unless said otherwise. The defaults were measured on the pods of this project."""

    tick_cpu_s: Seconds = 16e-6
    """f: of one delivered tick, on top of the scenario's `tick_cpu_us`."""
    upgrade_cpu_s: Seconds = 0.3e-3
    """Of a WebSocket upgrade, on top of the scenario's handshake."""
    join_cpu_s: Seconds = 0.8e-3
    """Of a namespace join, likewise."""
    close_cpu_s: Seconds = 0.3e-3
    """Of a connection's end."""
    shed_cpu_s: Seconds = 0.4e-3
    """Of a handshake that the pod turns away."""
    close_1013_cpu_s: Seconds = 0.5e-3
    """Of one that it accepts and closes, with `close_1013`."""
    nginx_request_cpu_s: Seconds = 57e-6
    """Of a connection, let in or refused, at nginx."""
    tls_ecdsa_cpu_s: Seconds = 0.73e-3
    """Of a full TLS handshake at nginx, with a certificate whose key is `ecdsa-p256`."""
    tls_rsa_cpu_s: Seconds = 0.9e-3
    """The same with `rsa-2048`."""
    tls_resumed_cpu_s: Seconds = 0.57e-3
    """Of a handshake that resumes a session."""
    nginx_tick_cpu_s: Seconds = 8e-6
    """Of a tick that nginx passes on."""
    idle_cpu: Annotated[float, Meta(ge=0, lt=1)] = 0.04
    """CPU-seconds per second of a pod that has nothing to do."""
    nginx_idle_cpu: Annotated[float, Meta(ge=0, lt=1)] = 0.016
    """Likewise of nginx."""
    turns_per_tick: Annotated[int, Meta(ge=1, le=100)] = 4
    """Turns of the event loop per broadcast; a busy pod accepts one new connection in each."""
    edge_delay_s: Seconds = 1e-3
    """From a client's request to the pod's accept queue, beyond the client's round trips."""
    pod_start_s: Seconds = 1.5
    """From the start of a pod until it is ready."""


_Kind = TypeVar("_Kind", bound=Struct)


class CostFileError(ValueError):
    """A file that does not say what things cost; the message names what was found, and what is allowed."""


class MeasuredGateway(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one pod of another gateway was seen to spend, in CPU time."""

    handshake_cpu_ms: Annotated[float, Meta(gt=0)]
    """Of one client, from the upgrade until it has joined and has its snapshot."""
    tick_cpu_us: Annotated[float, Meta(ge=0)]
    """Of one tick to one client."""
    close_cpu_ms: Annotated[float, Meta(ge=0)] = 0.0
    """Of a client that leaves."""
    idle_cpu: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """Of a second in which nothing happens: a share of it."""
    idle_with_clients_cpu: Annotated[float, Meta(ge=0)] | None = None
    """The same with clients that receive no ticks, where it differs. Not modelled."""
    memory_at_rest_mb: Annotated[float, Meta(ge=0)] | None = None
    """Resident memory before the first client. Not modelled, like that of clients."""
    memory_per_client_kb: Annotated[float, Meta(ge=0)] | None = None
    backlog: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    """Connections that the kernel queues for the pod."""
    accepts: Literal["all at once", "one per turn"] | None = None
    """How the pod takes waiting connections from that queue."""
    interval_95: dict[str, tuple[float, float]] = field(default_factory=dict)
    """95 % interval of a key above; not used by the model."""

    @property
    def queue(self) -> int | None:
        """The model's accept queue, in connections; None where it was not measured.

        A pod that accepts everything at once lets connections wait in the process instead, without a limit.
        """
        return LONGEST_QUEUE if self.accepts == "all at once" else self.backlog

    @property
    def keys(self) -> dict[str, float | int]:
        """The keys of `[gateway]` that stand for this gateway."""
        known = {"handshake_cpu_ms": self.handshake_cpu_ms, "tick_cpu_us": self.tick_cpu_us}
        return {**known, **({} if self.queue is None else {"backlog": self.queue})}

    def overrides(self) -> tuple[str, ...]:
        """The same keys as `--set` takes them."""
        return tuple(f"gateway.{key}={value}" for key, value in self.keys.items())

    def costs(self) -> Costs:
        """What comes on top of those keys."""
        return Costs(
            upgrade_cpu_s=0.0,
            join_cpu_s=0.0,
            tick_cpu_s=0.0,
            close_cpu_s=self.close_cpu_ms / 1000,
            shed_cpu_s=0.0,
            close_1013_cpu_s=0.0,
            idle_cpu=self.idle_cpu,
        )


def read(path: Path) -> tuple[Costs, tuple[str, ...]]:
    """(costs, keys of the scenario that go with them). Raises CostFileError."""
    if path.suffix == ".toml":
        measured = read_measured(path)
        return measured.costs(), measured.overrides()
    return _decoded(path, msgspec.json.Decoder(Costs).decode, Costs), ()


def read_measured(path: Path) -> MeasuredGateway:
    """What was measured of a gateway, from a file of TOML. Raises CostFileError."""
    return _decoded(path, partial(msgspec.toml.decode, type=MeasuredGateway), MeasuredGateway)


def _decoded(path: Path, decode: Callable[[bytes], _Kind], kind: type[_Kind]) -> _Kind:
    try:
        return decode(path.read_bytes())
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        expected = ", ".join(each.name for each in fields(kind))
        raise CostFileError(f"{path}: {error}; expected {expected}") from None

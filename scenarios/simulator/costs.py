"""What things cost the modelled gateway and edge, beyond what the scenario says."""

from typing import Annotated

from msgspec import Meta, Struct

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
    nginx_request_cpu_s: Seconds = 57e-6
    """Of a connection, let in or refused, at nginx."""
    nginx_tick_cpu_s: Seconds = 8e-6
    """Of a tick that nginx passes on."""
    idle_cpu: Annotated[float, Meta(ge=0, lt=1)] = 0.04
    """CPU-seconds per second of a pod that has nothing to do."""
    nginx_idle_cpu: Annotated[float, Meta(ge=0, lt=1)] = 0.016
    """Likewise of nginx."""
    turns_per_tick: Annotated[int, Meta(ge=1, le=100)] = 4
    """A broadcast takes so many turns of the event loop; in each of them a busy pod takes on one newcomer."""
    edge_delay_s: Seconds = 1e-3
    """From a client's request to the pod's accept queue, beyond the client's round trips."""
    pod_start_s: Seconds = 1.5
    """From the start of a pod until it is ready."""

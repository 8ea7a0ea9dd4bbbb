"""What a runner and a host agent say to each other.

A runner takes a host by opening a WebSocket at `TAKE_PATH`, with the token in a header. From then on the host
is its own until the WebSocket ends; one process after the other may run there. Every order is answered by a
`Done`, in order; the rest the agent says by itself. Messages are MessagePack.

There is no order with a command line: what is started follows from the agent's role.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from gateway_stub.protocol import Settings
from scenarios.host.hosts import CpuReading

HEALTH_PATH = "/healthz"
"""Answered with 200 while the host has what it should have. This path and that of metrics need no token."""
HOST_PATH = "/host"
CLOCK_PATH = "/clock"
TAKE_PATH = "/take"
LOG_PATH = "/log/{name}"
LOGS = ("access.log", "error.log")

Role = Literal["gateway", "nginx"]


class HostInfo(Struct, frozen=True, kw_only=True):
    """What `HOST_PATH` says."""

    role: Role
    version: str
    """Of reconnect-storm."""
    boot_id: str
    """Hosts with the same one share a kernel, and so its cores; its clock too, but for time namespaces."""
    listen: str
    """The address that the pod, or nginx, listens on."""
    port: int
    """For clients."""
    control_port: int = 0
    quota_cores: float | None = None
    """What the CPU quota allows; None without one."""
    cpu_from: str
    """Where CPU times come from."""
    descriptors: int
    """How many open files a process may have."""
    trusted: tuple[str, ...] = ()
    """For nginx: the network in which it was asked, and those that it was told to trust."""


class Clock(Struct, frozen=True):
    """What `CLOCK_PATH` says."""

    monotonic_ns: int
    wall_ns: int


class StartPod(Struct, frozen=True, tag=True):
    """Start a pod."""

    settings: Settings
    descriptors: int


class Configure(Struct, frozen=True, tag=True):
    """Put this in nginx's configuration file, once `nginx -t` accepts it."""

    text: str


class StartNginx(Struct, frozen=True, tag=True):
    """Start nginx; done once its port answers."""

    descriptors: int


class Reload(Struct, frozen=True, tag=True):
    """Make nginx read its configuration again; done once new workers are there."""


class Signal(Struct, frozen=True, tag=True):
    """What happens to the process: `kill` and `term` are done once it has ended."""

    name: Literal["kill", "term", "stop", "cont"]


Order = StartPod | Configure | StartNginx | Reload | Signal


class Taken(Struct, frozen=True, tag=True):
    """The host is the runner's; the first message, if not `Refused`."""

    logs: str = ""
    """The folder in which nginx's logs have to be."""


class Refused(Struct, frozen=True, tag=True):
    """The host is not to be had."""

    reason: str


class Done(Struct, frozen=True, tag=True):
    """An order has been carried out, or could not be."""

    problem: str = ""


class Output(Struct, frozen=True, tag=True):
    """A line of the process's standard output."""

    line: bytes


class Ended(Struct, frozen=True, tag=True):
    """The process has ended."""

    code: int
    """Exit status; negative: the signal that killed it."""
    log: bytes
    """The end of what it wrote to its standard error."""


Report = Taken | Refused | Done | Output | Ended | CpuReading
"""A `CpuReading` comes once a second."""

encode = msgspec.msgpack.Encoder().encode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_report = msgspec.msgpack.Decoder(Report).decode

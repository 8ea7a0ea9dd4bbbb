"""Whom to ask for the CPU of a run's parts: the system about our children, or hosts about themselves."""

import os
from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from scenarios.host.cpu import CpuSampler, CpuShares
from scenarios.host.hosts import CpuReading
from scenarios.host.machine import Cores
from scenarios.host.process import Child, LocalChild
from scenarios.programs.kept import KeptProgram
from scenarios.programs.publisher import Publisher
from scenarios.proxies.proxy import Proxy
from scenarios.stack.gateway import Gateway
from scenarios.stack.generator import Generator
from scenarios.wire.interval import Interval

_ONE_CLOCK_NS = 1_000_000


class CpuMeter(Protocol):
    """Measures the CPU of a run's parts, wherever they are."""

    def sample(self, span_s: float) -> CpuShares:
        """Shares over the `span_s` seconds since the last sample; the first one means nothing."""


class LocalCpu:
    """All parts are children of this process, on cores of their own where the system keeps them there."""

    def __init__(
        self,
        gateway: Gateway | None,
        nginx: Proxy | None,
        generator: Generator,
        cores: Cores,
        *,
        helpers: Sequence[KeptProgram] = (),
        publisher: Publisher | None = None,
    ) -> None:
        self._gateway = gateway
        self._nginx = nginx
        self._generator = generator
        self._helpers = helpers
        self._publisher = publisher
        self._sampler = CpuSampler(os.getpid(), cores)

    def sample(self, span_s: float) -> CpuShares:
        """What the processes that are there now have used."""
        nginx = self._nginx.child if self._nginx else None
        pods = self._gateway.children if self._gateway else []
        shares = self._sampler.sample(
            span_s,
            nginx=_pid(nginx) if nginx else None,
            generator=self._generator.child.pid,
            pods=[pid for child in pods for pid in _pids(child)],
            sidecars=[
                *(child.pid for child in (self._gateway.sidecar_children if self._gateway else [])),
                *(pid for program in self._beside() for pid in _pids(program)),
            ],
        )
        # While ours is down it uses nothing, which is not the same as not being ours.
        return replace(shares, nginx=0.0) if self._nginx and not nginx else shares

    def _beside(self) -> list[KeptProgram]:
        """Services and the publisher."""
        publisher = self._publisher.child if self._publisher else None
        return [*self._helpers, *([publisher] if publisher else [])]


class Read(Protocol):
    """A host that tells what it has used."""

    reading: CpuReading | None


class SiteCpu:
    """Pods and nginx are on hosts that tell what they have used; so does a generator that is not our child.

    here: whether these hosts share this machine's cores, so that the rest of its work is somebody else's.
    """

    def __init__(self, pods: Sequence[Read], nginx: Read, *, here: bool) -> None:
        self._pods = [HostCpu(pod) for pod in pods]
        self._nginx = HostCpu(nginx)
        self.generator: Generator | None = None
        """Where it is a child of ours."""
        self._here = here
        self._interval: Interval | None = None
        self._sampler = CpuSampler(os.getpid())

    def on_interval(self, interval: Interval) -> None:
        """Takes a second of the generator's."""
        self._interval = interval

    def sample(self, span_s: float) -> CpuShares:
        """What hosts have told by now."""
        child = self.generator.child.pid if self.generator else None
        shares = self._sampler.sample(span_s, nginx=None, generator=child, pods=())
        nginx = self._nginx.rate()
        theirs = nginx + sum(pod.rate() for pod in self._pods)
        if self.generator is None and self._interval:
            theirs += self._interval.cpu_ns / 1e9
        known = self._here and (self.generator is not None or _shares_our_clock(self._interval))
        foreign = (shares.foreign or 0.0) - theirs if known else None
        return replace(shares, nginx=nginx, foreign=foreign)


class HostCpu:
    """CPU-seconds per second of a host, between its two latest readings; 0 before there are two."""

    def __init__(self, host: Read) -> None:
        self._host = host
        self._last: CpuReading | None = None
        self._rate = 0.0

    def rate(self) -> float:
        """The latest one that is known."""
        last, now = self._last, self._host.reading
        if last and now and now.t_ns > last.t_ns:
            self._rate = (now.cpu_ns - last.cpu_ns) / (now.t_ns - last.t_ns)
        self._last = now
        return self._rate


def _shares_our_clock(interval: Interval | None) -> bool:
    """Whether all processes of the generator have this kernel's monotonic clock, and so its cores.

    Clocks of two machines began when these were booted, and agree to the millisecond by chance alone.
    """
    clocks = interval.clocks if interval else ()
    return bool(clocks) and all(abs(clock.offset_ns) <= clock.error_ns + _ONE_CLOCK_NS for clock in clocks)


def _pids(child: Child) -> list[int]:
    """The process of a pod; of a user's own program, its keeper and all descendants."""
    if isinstance(child, KeptProgram):
        return [child.keeper.pid, *(process.pid for process in child.processes())]
    return [_pid(child)]


def _pid(child: Child) -> int:
    assert isinstance(child, LocalChild)  # noqa: S101 - who samples processes has started them
    return child.pid

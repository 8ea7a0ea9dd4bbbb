"""CPU that other processes and the hypervisor took from the cores of a run: a noisy host.

A mean over the run would hide a process that took a core for a quarter of the storm, and a mean over the host
one that took the single core that all pods share. So each set of cores is judged alone, by its worst seconds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from reports.rundir import series
from reports.rundir.series import Row
from reports.text.units import distinct, percent

FOREIGN, STEAL = "other processes used", "the hypervisor took"


class Window(Struct, frozen=True):
    """A number of seconds, and the mean share of a core that may be taken in it."""

    seconds: int
    share: float


WINDOWS = (Window(5, 0.20), Window(15, 0.10))
"""A spike of a second is nothing; a tenth of a core that is away as long as a storm takes is too much.

What the kernel tells of processes and of cores agrees to 0.04 CPU-seconds in one second."""
MOST_CORES = 0.5
"""Cores that may be taken where it is not known which ones were, however many the host has."""


class Taken(Struct, frozen=True, kw_only=True):
    """The worst seconds of one set of cores."""

    what: str
    """`FOREIGN` or `STEAL`."""
    where: str
    cores: float
    """How many cores were taken, on average."""
    allowed_cores: float
    of: int
    """The number of cores that `cores` is a share of."""
    from_s: int
    to_s: int
    throughout: bool
    """All other seconds were above the limit as well."""

    @property
    def too_much(self) -> bool:
        """Whether that may have changed the result."""
        return self.cores > self.allowed_cores

    @property
    def sentence(self) -> str:
        """Why the run is invalid."""
        when = "" if self.throughout else f" from second {self.from_s} to {self.to_s}"
        allowed, used = distinct(percent, self.allowed_cores / self.of, self.cores / self.of)
        return f"noisy host: {self.what} {used} of {self.where}{when}, expected ≤ {allowed}"


def taken(rows: Sequence[Row], machine: Mapping[str, Any], *, foreign: bool = True) -> tuple[Taken, ...]:
    """The worst seconds of every set of cores; nothing where nothing is known.

    machine: as run.json has it. foreign: whether other processes count. Of a run that does not tell of its
    cores, because they were not its own or because it is an old one, the whole machine is judged.
    """
    return tuple(map(_worst, _by_cores(rows, machine, foreign=foreign)))


def worst_windows(rows: Sequence[Row], machine: Mapping[str, Any]) -> tuple[Taken, ...]:
    """The worst window of each length that fits into the run, for every set of cores, allowed or not."""
    return tuple(window for windows in _by_cores(rows, machine, foreign=True) for window in windows)


def _by_cores(rows: Sequence[Row], machine: Mapping[str, Any], *, foreign: bool) -> list[list[Taken]]:
    kinds = (("foreign_cpu", FOREIGN), ("steal", STEAL)) if foreign else (("steal", STEAL),)
    found: list[list[Taken]] = []
    for column, what in kinds:
        pinned = [
            _windows(rows, f"{part}_{column}", what, where, 1)
            for part, where in _pinned_cores(machine).items()
        ]
        if not any(pinned):
            cores = int(machine.get("cores") or 1)
            pinned = [_windows(rows, column, what, f"the machine's {cores} cores", cores)]
        found += pinned
    return [windows for windows in found if windows]


def _windows(rows: Sequence[Row], column: str, what: str, where: str, of: int) -> list[Taken]:
    known = [row for row in rows if row.get(column) is not None]
    used = series.column(known, column)

    def worst(window: Window) -> Taken:
        length = min(window.seconds, len(used))
        means = np.convolve(used, np.full(length, 1 / length), "valid")
        start = int(means.argmax())
        allowed = window.share if of == 1 else min(window.share * of, MOST_CORES)
        return Taken(
            what=what,
            where=where,
            # Small differences between the kernel's figures may come out below nothing.
            cores=max(0.0, float(means[start])),
            allowed_cores=allowed,
            of=of,
            from_s=int(known[start]["t_s"] or 0),
            to_s=int(known[start + length - 1]["t_s"] or 0) + 1,
            throughout=bool(means.min() > allowed),
        )

    if not known:
        return []
    return [worst(window) for window in WINDOWS if window.seconds <= len(known)] or [worst(WINDOWS[0])]


def _worst(fitting: Sequence[Taken]) -> Taken:
    # The shortest window says best when it was, unless it was throughout.
    throughout = [window for window in reversed(fitting) if window.throughout]
    too_much = throughout + [window for window in fitting if window.too_much]
    return too_much[0] if too_much else max(fitting, key=lambda window: window.cores / window.allowed_cores)


def _pinned_cores(machine: Mapping[str, Any]) -> dict[str, str]:
    """The parts of a run that are pinned to cores, and a name for these; the shares are of a single core."""
    stack, generator = (tuple(machine.get(f"{part}_cores") or ()) for part in ("stack", "generator"))
    users = {"stack": (stack, "pods and proxy"), "generator": (generator, "load generator")}
    if stack == generator:
        users = {"stack": (stack, "the whole run")}
    return {
        part: f"{'core' if len(cores) == 1 else 'one of cores'} {', '.join(map(str, cores))} ({user})"
        for part, (cores, user) in users.items()
        if cores
    }

"""What others had of the cores that a run was on: other processes, and the hypervisor.

A mean over the run would hide whoever had a core for a quarter of the storm, and a mean over the machine
whoever had the one core that all pods are on. So each set of cores is judged alone, by its worst seconds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from reports.rundir import series
from reports.rundir.series import Row
from reports.text.units import percent

FOREIGN, STEAL = "other processes used", "the hypervisor took"


class Window(Struct, frozen=True):
    """A number of seconds, and the share of a core that others may have in it, on average."""

    seconds: int
    share: float


WINDOWS = (Window(5, 0.20), Window(15, 0.10))
"""A spike of a second is nothing; a tenth of a core that is away as long as a storm takes is too much.

What the kernel tells of processes and of cores agrees to 0.04 CPU-seconds in one second."""
MOST_CORES = 0.5
"""Where nobody knows on which core others were, they may have no more than this, however many there are."""


class Taken(Struct, frozen=True, kw_only=True):
    """The worst seconds of one set of cores."""

    what: str
    """`FOREIGN` or `STEAL`."""
    where: str
    cores: float
    """How many cores were taken, on average."""
    allowed_cores: float
    of: int
    """A share is told of so many cores."""
    from_s: int
    to_s: int
    throughout: bool
    """All other seconds were too much as well."""

    @property
    def too_much(self) -> bool:
        """Whether the result may be theirs."""
        return self.cores > self.allowed_cores

    @property
    def sentence(self) -> str:
        """What a run is told that was disturbed."""
        when = "" if self.throughout else f"from second {self.from_s} to {self.to_s}, "
        return (
            f"{when}{self.what} {percent(self.cores / self.of)} of "
            f"{self.where}, {percent(self.allowed_cores / self.of)} is allowed: the result may be theirs"
        )


def taken(rows: Sequence[Row], machine: Mapping[str, Any], *, foreign: bool = True) -> tuple[Taken, ...]:
    """The worst seconds of every set of cores; nothing where nothing is known.

    machine: as run.json has it. foreign: whether other processes count. Of a run that does not tell of its
    cores, because they were not its own or because it is an old one, the whole machine is judged.
    """
    kinds = (("foreign_cpu", FOREIGN), ("steal", STEAL)) if foreign else (("steal", STEAL),)
    found = []
    for column, what in kinds:
        pinned = [
            _worst(rows, f"{part}_{column}", what, where, 1) for part, where in _places(machine).items()
        ]
        if not any(pinned):
            cores = int(machine.get("cores") or 1)
            pinned = [_worst(rows, column, what, f"the machine's {cores} cores", cores)]
        found += pinned
    return tuple(one for one in found if one is not None)


def _worst(rows: Sequence[Row], column: str, what: str, where: str, of: int) -> Taken | None:
    known = [row for row in rows if row.get(column) is not None]
    used = series.column(known, column)

    def worst(window: Window) -> Taken:
        length = min(window.seconds, len(used))
        means = np.convolve(used, np.full(length, 1 / length), "valid")
        place = int(means.argmax())
        allowed = window.share if of == 1 else min(window.share * of, MOST_CORES)
        return Taken(
            what=what,
            where=where,
            # Small differences between the kernel's figures may come out below nothing.
            cores=max(0.0, float(means[place])),
            allowed_cores=allowed,
            of=of,
            from_s=int(known[place]["t_s"] or 0),
            to_s=int(known[place + length - 1]["t_s"] or 0) + 1,
            throughout=bool(means.min() > allowed),
        )

    if not known:
        return None
    fitting = [worst(window) for window in WINDOWS if window.seconds <= len(known)] or [worst(WINDOWS[0])]
    # The shortest says best when it was, unless it was always.
    said = [one for one in reversed(fitting) if one.throughout] + [one for one in fitting if one.too_much]
    return said[0] if said else max(fitting, key=lambda one: one.cores / one.allowed_cores)


def _places(machine: Mapping[str, Any]) -> dict[str, str]:
    """Which parts of a run have cores of their own, and these in words; several as one that is among them."""
    stack, generator = (tuple(machine.get(f"{part}_cores") or ()) for part in ("stack", "generator"))
    whose = {"stack": (stack, "the pods' and nginx's"), "generator": (generator, "the generator's")}
    if stack == generator:
        whose = {"stack": (stack, "everybody's")}
    return {
        part: f"{'core' if len(cores) == 1 else 'a core among'} {', '.join(map(str, cores))}, {owner}"
        for part, (cores, owner) in whose.items()
        if cores
    }

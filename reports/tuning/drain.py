"""The shortest safe window of a drain: what a simulated drain came to, and the result as text."""

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from reports.analysis.judgement import assess
from reports.analysis.metrics import storm_stretch
from reports.analysis.slo import evaluate, objectives_of
from reports.rundir import series
from reports.rundir.reader import Run
from reports.text import units
from reports.tuning.result import PEAK_S, Constraints, Outcome, outcome, score


class Drained(Struct, frozen=True, kw_only=True):
    """One simulated drain."""

    outcome: Outcome
    """Its availability is that of the worst seconds: a mean over a long window would hide them."""
    slos: tuple[str, ...] = ()
    """SLOs of the scenario that it violates, or may violate as only a bound is known; a text each."""

    def violated(self, constraints: Constraints) -> tuple[str, ...]:
        """The constraints and SLOs that it violates, a text each."""
        return (*constraints.broken(score([self.outcome])), *self.slos)


def drained(run: Run, *, seed: int, until_s: int) -> Drained:
    """What a run with a drain came to. until_s: when it would have ended at the latest."""
    found = outcome(run, trigger="drain", seed=seed, until_s=until_s)
    objectives = objectives_of(run)
    summary = assess(run).summary if objectives else None
    results = [evaluate(objective, summary) for objective in objectives] if summary else []
    return Drained(
        outcome=replace(found, availability=lowest_availability(run)),
        slos=tuple(
            f"{one.rule}: got {one.found_text}"
            for one in results
            if one.met is False or (one.met is None and one.at_least)
        ),
    )


def lowest_availability(run: Run) -> float | None:
    """The lowest mean over `PEAK_S` seconds from the trigger on; None without that many."""
    stretch = storm_stretch(run)
    rows = run.between(*stretch) if stretch else ()
    served = series.shares(series.column(rows, "useful"), series.column(rows, "clients"))
    if len(served) < PEAK_S:
        return None
    return float(np.convolve(served, np.full(PEAK_S, 1 / PEAK_S), mode="valid").min())


class Window(Struct, frozen=True, kw_only=True):
    """The shortest safe window of one kind of drain."""

    drained: str
    """Which pods: `all pods`, or `one pod that leaves`."""
    clients: int
    """Clients that are disconnected, about."""
    window_s: float | None
    """None where not even the longest one was safe."""
    availability: float | None = None
    """Of the worst five seconds with that window, over all seeds."""
    too_short_s: float | None = None
    """The longest window that was not safe; None where all were."""
    violated: tuple[str, ...] = ()
    """What that one violated."""


class DrainWindows(Struct, frozen=True, kw_only=True):
    """The result of `tune --drain`."""

    scenario: str
    clients: int
    pods: int
    constraints: Constraints
    seeds: int
    longest_s: float
    """Longer windows were not simulated."""
    windows: tuple[Window, ...]
    limits: tuple[str, ...] = ()
    """Limits in force, with what the clients behind one IP ask of them; a sentence each."""
    settings: str = ""
    """Of the proxy and of Kubernetes, as configuration to paste."""

    @property
    def is_safe(self) -> bool:
        """Whether there is a safe window for each kind of drain."""
        return all(window.window_s is not None for window in self.windows)


def lines(found: DrainWindows) -> list[str]:
    """The result for a terminal."""
    seeds = "one seed" if found.seeds == 1 else f"{found.seeds} seeds"
    return [
        f"Shortest safe drain windows of {found.clients:,} clients and {found.pods} pods, simulated with"
        f" {seeds}. Availability of the worst {PEAK_S} s: expected"
        f" ≥ {units.percent(found.constraints.min_availability)}.",
        *(f"- {_window_line(window, found.longest_s)}" for window in found.windows),
        *(f"- {sentence}" for sentence in found.limits),
        *(["", found.settings] if found.settings else []),
    ]


def _window_line(window: Window, longest_s: float) -> str:
    begin = f"{window.drained} ({window.clients:,} clients)"
    violated = f"{units.seconds(window.too_short_s)} violates: {'; '.join(window.violated)}"
    if window.window_s is None:
        return f"{begin}: no safe window up to {units.seconds(longest_s)}; {violated}"
    safe = f"{begin}: {units.seconds(window.window_s)}"
    if window.window_s:
        safe += f", {window.clients / window.window_s:.3g} clients per second"
    else:
        safe += ", all at once"
    safe += f"; availability {units.percent(window.availability)}"
    return f"{safe}; {violated}" if window.too_short_s is not None else safe

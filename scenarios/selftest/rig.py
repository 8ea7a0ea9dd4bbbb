"""Carries out the checks of a calibration, each with the runner that carries out everything else."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from reconnect_storm.start import module_command
from reports.rundir.reader import Run
from scenarios.host import machine
from scenarios.host.cpu import CpuSampler
from scenarios.host.process import start
from scenarios.runner.plan import Plan
from scenarios.runner.run import run
from scenarios.scenario.model import Scenario, Target
from scenarios.scenario.validate import build
from scenarios.selftest.checks import Check
from scenarios.selftest.readings import Reading, all_good
from scenarios.stack.tick_source import tick_sources

SAMPLER = "sampler"
SAMPLED_S = 6.0
"""CPU time that is burned for it: of each process up to two of the kernel's ticks of 10 ms are lost."""

_SAMPLE_S = 1.0


class Rig(Struct, frozen=True, kw_only=True):
    """Where run directories go, who judges them, and how often a check may be repeated."""

    directory: Path
    judge: Callable[[Path], Run]
    """Loads and judges a run directory."""
    disturbed: Callable[[Sequence[dict[str, float | None]], Mapping[str, Any]], bool]
    """Whether others had too much of a machine's cores in these seconds, as for any run."""
    tries: int
    on_progress: Callable[[str], None]

    async def readings(self, name: str, check: Check) -> list[Reading]:
        """What the check reads back; carried out again while others used the machine and a try is left."""
        readings: list[Reading] = []
        for number in range(1, self.tries + 1):
            self.on_progress(f"{name}: {check.what}{f', try {number}' if number > 1 else ''}")
            directory = self.directory / (name if number == 1 else f"{name}-try{number}")
            source_cpu_s = await _carry_out(name, check, directory)
            judged = self.judge(directory)
            readings = check.read(judged)
            if all_good(readings) or not self._disturbed(judged, source_cpu_s):
                break
        return readings

    def _disturbed(self, judged: Run, source_cpu_s: float) -> bool:
        """Whether others had the machine. The source of ticks is somebody else, to a run, but not to us."""
        if judged.info.validity.get("spoilt_by_machine"):
            return True
        known = [row for row in judged.rows if row.get("foreign_cpu") is not None]
        source = source_cpu_s / max(1, len(known))
        theirs = [
            {
                name: cell - source
                if cell is not None and name in {"foreign_cpu", "stack_foreign_cpu"}
                else cell
                for name, cell in row.items()
            }
            for row in known
            if (row["t_s"] or 0) >= 0
        ]
        return self.disturbed(theirs, judged.info.machine)

    async def sampled(self) -> list[Reading]:
        """The CPU sampler against what a burner and its child say that they have used."""
        self.on_progress(f"{SAMPLER}: a process and its child that burn {SAMPLED_S:g} CPU-seconds")
        sampler, found_s = CpuSampler(os.getpid()), 0.0
        sampler.sample(1.0, nginx=None, generator=os.getpid(), pods=[])
        last_ns = time.monotonic_ns()
        child = await start(
            "burner",
            module_command("scenarios.selftest.cpu_burner", str(SAMPLED_S)),
            log=self.directory / "burner.log",
            pipe_output=True,
        )
        assert child.process.stdout is not None  # noqa: S101
        try:
            saying = asyncio.ensure_future(child.process.stdout.readline())
            said = False
            while not said:
                # Once more after it has said so: it has used nothing since.
                said = saying.done()
                await asyncio.wait([saying], timeout=_SAMPLE_S)
                now_ns = time.monotonic_ns()
                span_s, last_ns = (now_ns - last_ns) / 1e9, now_ns
                shares = sampler.sample(span_s, nginx=child.pid, generator=os.getpid(), pods=[])
                found_s += (shares.nginx or 0.0) * span_s
            known_s = float(saying.result())
        finally:
            await child.stop()
            # To its end, so that the pipe is closed while there is a loop to do it.
            await child.process.stdout.read()
        what = "CPU of a process and its child, by the sampler"
        return [Reading(check=SAMPLER, what=what, unit="CPU-s", known=known_s, found=found_s)]


async def _carry_out(name: str, check: Check, directory: Path) -> float:
    """Returns the CPU-seconds of the source of ticks, if there was one."""
    scenario = build(check.scenario, source=f"calibration {name}", default_name=f"calibration-{name}")
    async with contextlib.AsyncExitStack() as stops:
        sources = None
        if check.delays_ns:
            sources = await stops.enter_async_context(
                tick_sources(
                    scenario.feed.rate_hz,
                    folder=directory.parent,
                    cores=machine.assign_cores(1).stack,
                    clients=scenario.fleet.clients,
                    delays_ns=check.delays_ns,
                )
            )
            scenario = _aimed_at(scenario, sources.url)
        await run(Plan(scenario=scenario, directory=directory, arm=name), lambda _: None)
        return sources.cpu_s() if sources else 0.0


def _aimed_at(scenario: Scenario, url: str) -> Scenario:
    return replace(scenario, target=Target(url=url))

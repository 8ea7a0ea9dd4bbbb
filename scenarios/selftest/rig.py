"""Runs the checks of the self-test with the same runner as every other run."""

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
from scenarios.runner.retry import attempt_folder, until_quiet
from scenarios.runner.run import run
from scenarios.scenario.model import Scenario, Target
from scenarios.scenario.validate import build
from scenarios.selftest.checks import Check
from scenarios.selftest.readings import Reading, all_good
from scenarios.stack.tick_source import tick_sources

SAMPLER = "sampler"
SAMPLED_S = 6.0
"""CPU time to burn: up to two kernel ticks of 10 ms per process are lost."""

_SAMPLE_S = 1.0


class Rig(Struct, frozen=True, kw_only=True):
    """Folder of the run directories, their judge, and the attempts per check."""

    directory: Path
    judge: Callable[[Path], Run]
    """Loads and judges a run directory."""
    noisy: Callable[[Sequence[dict[str, float | None]], Mapping[str, Any]], bool]
    """Whether other processes used too much CPU in these seconds, as for any run."""
    attempts: int
    on_progress: Callable[[str], None]

    async def readings(self, name: str, check: Check) -> list[Reading]:
        """The measurements of a check; repeated while other load makes them differ from the known values."""
        readings: list[Reading] = []

        async def measure(attempt: int) -> str:
            nonlocal readings
            self.on_progress(f"{name}: {check.what}{f', attempt {attempt}' if attempt > 1 else ''}")
            directory = attempt_folder(self.directory / name, attempt)
            source_cpu_s = await _carry_out(name, check, directory)
            judged = self.judge(directory)
            readings = check.read(judged)
            return "" if all_good(readings) or not self._noisy(judged, source_cpu_s) else "noisy host"

        await until_quiet(self.attempts, measure, lambda _: None)
        return readings

    def _noisy(self, judged: Run, source_cpu_s: float) -> bool:
        """Whether other processes used the host's cores; the source of ticks does not count as one."""
        if judged.info.validity.get("invalidated_by_host"):
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
        return self.noisy(theirs, judged.info.machine)

    async def sampled(self) -> list[Reading]:
        """The CPU sampler, compared with the CPU time that a burner and its child report."""
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
                # One more sample after the report: it has used no CPU since.
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

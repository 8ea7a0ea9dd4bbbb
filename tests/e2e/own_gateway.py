"""Storms of a few seconds at gateways of the tests' own, with the real command line."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from tests.e2e.command_line import carried_out, command

CLIENTS = 20
RATE_HZ = 5

OWN_STORM = (
    f"fleet.clients={CLIENTS}",
    "fleet.clients_per_ip=1",
    "fleet.ramp_per_s=60",
    # Nobody gives up, or leaves, because a process stood still for a while.
    "fleet.connect_timeout_s=15",
    "fleet.stale_after_s=15",
    "gateway.ready_path=/readyz",
    "feed.due_field=ts",
    "feed.due_unit=ms",
    "feed.due_clock=wall",
    "feed.seq_field=seq",
    'event=[{at_s=3, do="drop_all"}]',
    "phases.duration_s=10",
    "phases.during_s=4",
    "phases.recovery_window_s=4",
    "phases.rescue_at_s=0",
)
"""Overrides of `mass-drop` that make it a storm of ten seconds at a gateway of tests/support/gateways."""


def toml(value: object) -> str:
    """Texts, numbers and lists are in TOML as they are in JSON."""
    return json.dumps(value, ensure_ascii=False)


def table(values: dict[str, str]) -> str:
    """A table of texts in one line."""
    return "{" + ", ".join(f"{name}={toml(value)}" for name, value in values.items()) + "}"


def stormed(tmp_path: Path, gateway: str, *sets: str) -> tuple[str, Run]:
    """A run that nothing went wrong with; what it printed, and its run directory."""
    arguments = ("run", "--retries", "0", "--gateway", gateway)
    output, (run,) = carried_out(tmp_path, *arguments, sets=(*OWN_STORM, *sets))
    return output, run


class Ended(Struct, frozen=True):
    """How the command line ended."""

    status: int
    output: str
    errors: str
    runs: Path

    @property
    def run(self) -> Run:
        """The run that it has left."""
        (path,) = find_runs([self.runs / "latest"])
        return Run.load(path)

    def line(self, *parts: str) -> str:
        """The one line of its errors that has all these parts."""
        found = [line for line in self.errors.splitlines() if all(part in line for part in parts)]
        assert len(found) == 1, (parts, self.errors)
        return found[0]


def ended(tmp_path: Path, *arguments: str, sets: Sequence[str]) -> Ended:
    """Carries out a command line that may fail, but never with a traceback of this program."""
    done = subprocess.run(
        command(*arguments, sets=tuple(sets), runs=tmp_path),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return Ended(done.returncode, done.stdout, done.stderr, tmp_path)


def ended_storm(tmp_path: Path, gateway: str, *sets: str) -> Ended:
    """The same storm as `stormed`, however it ended."""
    return ended(tmp_path, "run", "--retries", "0", "--gateway", gateway, sets=(*OWN_STORM, *sets))


def end_of(run: Run, name: str) -> dict[str, Any]:
    """What an event said when it was over; the first of that name."""
    return next(line for line in run.events if line["event"] == name and line.get("phase") == "end")


def begin_of(run: Run, name: str) -> dict[str, Any]:
    """What an event said when it began; the first of that name."""
    return next(line for line in run.events if line["event"] == name and line.get("phase") == "begin")


def total(run: Run, column: str, from_s: float, to_s: float) -> float:
    """The sum of a column over [from_s, to_s)."""
    return sum(row[column] or 0 for row in run.between(from_s, to_s))


def of_pod(run: Run, pod: int, column: str, from_s: float = 0) -> list[float]:
    """The values that a pod has in a column, from a second of steady state on."""
    rows = [row for row in run.pods if row["pod"] == pod and (row["t_s"] or 0) >= from_s]
    return [value for row in rows if (value := row[column]) is not None]


def due(run: Run, second: int) -> int:
    """How many ticks were due at clients in a second, whenever they came."""
    found = (run.histograms[tag].get(second) for tag in ("effective", "censored"))
    return sum(histogram.total for histogram in found if histogram is not None)


def clients_of(run: Run, pod: int, before_s: float) -> float:
    """How many clients a pod had in steady state, before any were disconnected.

    What is asked of a pod late may be the number afterwards, and a pod that stood still has no row.
    """
    rows = [row for row in run.pods if row["pod"] == pod and -1 <= (row["t_s"] or 0) < before_s]
    return max(row["clients"] or 0 for row in rows)


def pod_log(run: Run, pod: int) -> str:
    """What all processes of a pod have printed."""
    path = run.directory / "pods" / f"pod-{pod}.log"
    return path.read_text(encoding="utf-8", errors="replace")


def files_with(folder: Path, secret: str) -> list[Path]:
    """The files below a folder in which a secret stands."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if secret.encode() in path.read_bytes()]

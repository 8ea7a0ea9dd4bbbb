"""The run directory: what a run leaves behind, and how it is read back.

    run.json        scenario, seed, versions, machine, phases, status; summary, validity and verdict
    series.csv      one row a second, in seconds of steady state (the ramp is negative)
    neighbours.csv  the same by how many clients share a source address
    pods.csv        the same by pod
    sidecars.csv    the same by sidecar; not there where pods have none
    latency.hlog    HdrHistogram interval log: tags `fanout` (by second of receipt), `effective` and
                    `censored` (by the second in which the tick was due), `staleness` (by the second in
                    which it was so), values in microseconds
    events.jsonl    what happened when
    nginx/ pods/    their configuration and logs; in nginx/, those of another front where that was there

Everything is appended as it happens, so a run that failed or was interrupted is readable, and says so. The
tables and latency.hlog are written anew at the end, with what became known late.
"""

import csv
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Literal, Self

import msgspec
from msgspec import Struct

from reports.rundir.columns import NEIGHBOUR_COLUMNS, POD_COLUMNS, SERIES_COLUMNS, SIDECAR_COLUMNS
from reports.rundir.histograms import Buckets, Histogram

SCHEMA_VERSION = 2
_FORMER_VERSIONS = {
    1: ": it was written before staleness and single pods were recorded, and what was not recorded cannot be "
    "judged; run the scenario again, or read it with the reconnect-storm that wrote it",
}

HIGHEST_US = 3_600_000_000
SIGNIFICANT_DIGITS = 3

Tag = Literal["fanout", "effective", "censored", "staleness"]
TAGS: tuple[Tag, ...] = ("fanout", "effective", "censored", "staleness")
Status = Literal["running", "complete", "interrupted", "failed"]

_HLOG_HEAD = (
    "#[Histogram log format version 1.3]\n"
    "#[Times are seconds of steady state; values are microseconds, Interval_Max is in milliseconds]\n"
    '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
)
_HLOG_LINE = re.compile(
    rf"Tag=(?P<tag>{'|'.join(TAGS)}),(?P<start>-?[\d.]+),[\d.]+,[\d.]+,(?P<payload>\S+)\n"
)


class Phase(Struct, frozen=True):
    """A named stretch of a run, [from_s, to_s) in seconds of steady state."""

    name: str
    from_s: int
    to_s: int


class PreCheck(Struct, frozen=True, kw_only=True):
    """Something that had to hold before a rehearsal's first event."""

    name: str
    wanted: str
    found: str
    passed: bool


class Decision(Struct, frozen=True, kw_only=True):
    """What the operator of a rehearsal was asked, and chose."""

    t_s: float
    """When the choice was made."""
    asked_s: float
    chosen: str
    """In words, such as `scale to 9 pods`."""
    event: dict[str, Any] | None = None
    """The event that came of it, as it would stand in a scenario file; None for waiting."""


class Rehearsal(Struct, kw_only=True):
    """What makes a run a rehearsal."""

    interactive: bool = False
    prechecks: tuple[PreCheck, ...] = ()
    decisions: tuple[Decision, ...] = ()
    aborted: str = ""
    """Which abort condition ended it, or that the operator did; empty where it was played to its end."""


class ClockOffset(Struct, frozen=True, kw_only=True):
    """How a generator process sees the gateway's clock."""

    process: str
    offset_ns: int
    """Gateway's clock minus the process's own."""
    error_ns: int
    """Half the round trip of the quickest exchange: the offset is off by this much at the most."""


class RunInfo(Struct, kw_only=True):
    """The content of run.json. `summary`, `validity` and `verdict` are added when the run has been judged."""

    schema_version: int = SCHEMA_VERSION
    scenario: dict[str, Any]
    arm: str
    round: int = 1
    control: bool = False
    """A run without a trigger, which shows that the steady state is one."""
    predicted: bool = False
    """By the simulator, rather than measured."""
    seed: int
    status: Status = "running"
    pid: int = 0
    """Of the process that writes; tells a running run from one that was killed."""
    problem: str = ""
    """Why a run failed, since a part of the stack or the program did, or was interrupted."""
    started_utc: str
    trigger_s: int | None = None
    trigger_end_s: int | None = None
    """When the last strike of the trigger was over; None: in the second in which it began."""
    rescued_at_s: int | None = None
    phases: tuple[Phase, ...] = ()
    versions: dict[str, str]
    machine: dict[str, Any]
    stability: dict[str, Any]
    command: list[str]
    nginx_limited: int | None = None
    """Refusals by a limit in the own log of nginx, or of another front; None where that was not ours."""
    reference: Literal["due", "first receipt"] | None = None
    """What fan-out latencies count from; from the first receipt they are a spread."""
    rehearsal: Rehearsal | None = None
    clocks: tuple[ClockOffset, ...] = ()
    """Empty where all processes share one clock."""
    summary: dict[str, Any] = msgspec.field(default_factory=dict)
    validity: dict[str, Any] = msgspec.field(default_factory=dict)
    verdict: dict[str, Any] = msgspec.field(default_factory=dict)


class RecordError(Exception):
    """A run directory that cannot be read; the message says which and why."""


def new_histogram() -> Histogram:
    """An empty histogram of microseconds, 1 µs to 1 h with three significant digits."""
    return Histogram(1, HIGHEST_US, SIGNIFICANT_DIGITS)


class RunWriter:
    """Writes one run directory."""

    def __init__(self, directory: Path, info: RunInfo) -> None:
        self.directory = directory
        self.info = info
        directory.mkdir(parents=True)
        info.pid = os.getpid()
        self.save()
        self._series = _Table(directory / "series.csv", SERIES_COLUMNS)
        self._neighbours = _Table(directory / "neighbours.csv", NEIGHBOUR_COLUMNS)
        self._pods = _Table(directory / "pods.csv", POD_COLUMNS)
        self._sidecars: _Table | None = None
        self._events = (directory / "events.jsonl").open("w", encoding="utf-8")
        self._hlog = (directory / "latency.hlog").open("w", encoding="utf-8")
        self._hlog.write(_HLOG_HEAD)

    def row(self, values: Mapping[str, Any]) -> None:
        """Appends one second to series.csv."""
        self._series.append([values])

    def neighbours(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends one second to neighbours.csv, a row for each number of clients that share an address."""
        self._neighbours.append(rows)

    def pods(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends one second to pods.csv, a row for each pod that has reported."""
        self._pods.append(rows)

    def sidecars(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends one second to sidecars.csv, a row for each of them; the first one makes the file."""
        if found := list(rows):
            self._sidecar_table().append(found)

    def replace_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes series.csv anew, with what only became known later."""
        self._series.replace(rows)

    def replace_neighbours(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes neighbours.csv anew, with what became known later."""
        self._neighbours.replace(rows)

    def replace_pods(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes pods.csv anew, with what pods reported later."""
        self._pods.replace(rows)

    def replace_sidecars(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes sidecars.csv anew, if there is anything in it."""
        if found := list(rows):
            self._sidecar_table().replace(found)

    def event(self, t_s: float, name: str, **details: Any) -> None:
        """Appends one event, at `t_s` seconds of steady state."""
        self._events.write(json.dumps({"t_s": round(t_s, 3), "event": name, **details}) + "\n")
        self._events.flush()

    def histogram(self, tag: Tag, second: int, histogram: Histogram) -> None:
        """Appends the histogram of one second of steady state to latency.hlog."""
        self._hlog.write(_hlog_line(tag, second, histogram))
        self._hlog.flush()

    def replace_histograms(self, histograms: Iterable[tuple[Tag, int, Histogram]]) -> None:
        """Writes latency.hlog anew, with what became known later: tag, second and histogram of each."""
        path = self.directory / "latency.hlog"
        with replacing(path) as stream:
            stream.write(_HLOG_HEAD)
            stream.writelines(_hlog_line(*each) for each in histograms)
        self._hlog.close()
        self._hlog = path.open("a", encoding="utf-8")

    def save(self) -> None:
        """Writes run.json as a whole."""
        save_info(self.directory, self.info)

    def close(self) -> None:
        """Closes the files; `save` may still be called."""
        for stream in (self._series, self._neighbours, self._pods, self._events, self._hlog):
            stream.close()
        if self._sidecars:
            self._sidecars.close()

    def _sidecar_table(self) -> "_Table":
        if self._sidecars is None:
            self._sidecars = _Table(self.directory / "sidecars.csv", SIDECAR_COLUMNS)
        return self._sidecars


class Run(Struct, frozen=True):
    """A run directory, read."""

    directory: Path
    info: RunInfo
    rows: tuple[dict[str, float | None], ...]
    """series.csv with numbers; None where a cell is empty."""
    neighbours: tuple[dict[str, float | None], ...]
    """neighbours.csv with numbers."""
    pods: tuple[dict[str, float | None], ...]
    """pods.csv with numbers, in order of time."""
    events: tuple[dict[str, Any], ...]
    histograms: dict[Tag, dict[int, Buckets]]
    """By tag, then by second of steady state."""
    sidecars: tuple[dict[str, float | None], ...] = ()
    """sidecars.csv with numbers, in order of time; empty where there is none."""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Reads a run directory, however the run ended. Raises RecordError."""
        info = load_info(directory)
        try:
            rows = _read_rows(directory / "series.csv", "t_s")
            neighbours = _read_rows(directory / "neighbours.csv", "t_s", "clients_per_ip")
            pods = _read_rows(directory / "pods.csv", "t_s", "pod")
            beside = directory / "sidecars.csv"
            sidecars = _read_rows(beside, "t_s", "pod") if beside.exists() else ()
            lines = (directory / "events.jsonl").read_text(encoding="utf-8").splitlines()
            events = tuple(json.loads(line) for line in lines if line.endswith("}"))
            histograms = _read_histograms(directory / "latency.hlog")
        except (OSError, ValueError, csv.Error) as error:
            raise RecordError(f"{directory}: {error}") from None
        return cls(directory, info, rows, neighbours, pods, events, histograms, sidecars)

    def phase(self, name: str) -> Phase | None:
        """The phase of that name; None where the run never got there."""
        return next((phase for phase in self.info.phases if phase.name == name), None)

    def column(self, name: str) -> list[float | None]:
        """One column of the series, a value a second."""
        return [row.get(name) for row in self.rows]

    def between(self, from_s: float, to_s: float) -> list[dict[str, float | None]]:
        """The rows of [from_s, to_s)."""
        return [row for row in self.rows if row["t_s"] is not None and from_s <= row["t_s"] < to_s]


def load_info(directory: Path) -> RunInfo:
    """Reads run.json alone; a run whose writer died counts as interrupted. Raises RecordError."""
    path = directory / "run.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"{directory}: not a run directory: it has no run.json") from None
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: {error}") from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        because = _FORMER_VERSIONS.get(version, "") if isinstance(version, int) else ""
        raise RecordError(f"{path}: found schema version {version}, allowed: {SCHEMA_VERSION}{because}")
    try:
        info = msgspec.convert(raw, RunInfo)
    except msgspec.ValidationError as error:
        raise RecordError(f"{path}: {error}") from None
    if info.status == "running" and not _alive(info.pid):
        info.status, info.problem = "interrupted", "the process that ran it died"
    return info


def save_info(directory: Path, info: RunInfo) -> None:
    """Writes run.json; a reader sees the old file or the new one, never half of one."""
    with replacing(directory / "run.json") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(info), indent=2).decode() + "\n")


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """The run directories at or below each path, in order of their names. Raises RecordError if none."""
    found: list[Path] = []
    for path in paths:
        runs = sorted(file.parent for file in path.resolve().rglob("run.json")) if path.is_dir() else []
        if not runs:
            raise RecordError(f"{path}: found no run directory there, allowed: one, or a folder of them")
        found += runs
    return found


def point_latest(directory: Path, link: Path) -> None:
    """Makes `link` point to `directory`, in one step."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(directory, link.parent), target_is_directory=True)
    temporary.replace(link)


class _Table:
    """One CSV file of a run directory that is being written."""

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self._path = path
        self._columns = columns
        self._open("w").writeheader()

    def _open(self, mode: str) -> "csv.DictWriter[str]":
        self._stream = self._path.open(mode, newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._stream, self._columns, restval="")
        return self._writer

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Adds rows, and sees to it that a reader finds them."""
        self._writer.writerows(rows)
        self._stream.flush()

    def replace(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes the whole file anew; it can be appended to afterwards."""
        with replacing(self._path) as stream:
            writer = csv.DictWriter(stream, self._columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        self._stream.close()
        self._open("a")

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()


class replacing:  # noqa: N801 - used as a function
    """Opens a temporary file next to `path` and moves it there when all went well."""

    def __init__(self, path: Path, *, binary: bool = False) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self._binary = binary

    def __enter__(self) -> Any:
        if self._binary:
            self._stream: IO[Any] = self._temporary.open("wb")
        else:
            self._stream = self._temporary.open("w", newline="", encoding="utf-8")
        return self._stream

    def __exit__(self, kind: object, *_: object) -> None:
        self._stream.close()
        if kind is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink()


def _hlog_line(tag: Tag, second: int, histogram: Histogram) -> str:
    # hdrh's own log writer knows no tags.
    highest_ms = histogram.get_max_value() / 1000
    payload = histogram.encode().decode("ascii")
    return f"Tag={tag},{second:.3f},1.000,{highest_ms:.3f},{payload}\n"


def _read_rows(path: Path, *needed: str) -> tuple[dict[str, float | None], ...]:
    """needed: columns without which nothing can be said of a row."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows = tuple(
            {key: float(cell) if cell else None for key, cell in row.items() if key} for row in reader
        )
        missing = [column for column in needed if column not in (reader.fieldnames or ())]
    if rows and missing:
        raise ValueError(f"{path.name}: found no column {', '.join(missing)}")
    return rows


def _read_histograms(path: Path) -> dict[Tag, dict[int, Buckets]]:
    found: dict[Tag, dict[int, Buckets]] = {tag: {} for tag in TAGS}
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        match = _HLOG_LINE.fullmatch(line)
        if match is None:
            continue  # a comment, the legend, or the half line that a killed writer left
        tag, second = match["tag"], round(float(match["start"]))
        try:
            histogram = Buckets.decode(match["payload"])
        except Exception as error:  # the codec has errors of its own
            raise ValueError(f"{path.name}: second {second}: {error}") from None
        if second in found[tag]:  # type: ignore[index]
            histogram += found[tag][second]  # type: ignore[index]
        found[tag][second] = histogram  # type: ignore[index]
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

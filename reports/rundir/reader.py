"""Reads a run directory, whole or not."""

import csv
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self, cast

import msgspec
from msgspec import Struct

from reports.rundir.histograms import Buckets
from reports.rundir.renamed import present_results, present_scenario
from reports.rundir.schema import SCHEMA_VERSION, TAGS, Phase, RecordError, RunInfo, Tag

_FORMER_VERSIONS = {
    1: ": it was written before staleness and single pods were recorded, and what was not recorded cannot be "
    "judged; run the scenario again, or read it with the reconnect-storm that wrote it",
}


_HLOG_LINE = re.compile(
    rf"Tag=(?P<tag>{'|'.join(TAGS)})(/(?P<group>\d+))?,(?P<start>-?[\d.]+),[\d.]+,[\d.]+,(?P<payload>\S+)\n"
)


Histograms = dict[Tag, dict[int, Buckets]]
"""By tag, then by second of steady state."""


class Run(Struct, frozen=True):
    """A run directory, read."""

    directory: Path
    info: RunInfo
    rows: tuple[dict[str, float | None], ...]
    """series.csv with numbers; None where a cell is empty."""
    shared_ips: tuple[dict[str, float | None], ...]
    """shared_ips.csv with numbers."""
    pods: tuple[dict[str, float | None], ...]
    """pods.csv with numbers, in order of time."""
    events: tuple[dict[str, Any], ...]
    histograms: Histograms
    sidecars: tuple[dict[str, float | None], ...] = ()
    """sidecars.csv with numbers, in order of time; empty where there is none."""
    groups: tuple[dict[str, float | None], ...] = ()
    """groups.csv with numbers, in order of time; empty where the fleet has no groups."""
    group_histograms: dict[int, Histograms] = {}
    """groups.hlog, by the place of the group in the fleet."""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Reads a run directory, however the run ended. Raises RecordError."""
        info = load_info(directory)
        try:
            rows = _read_rows(directory / "series.csv", "t_s")
            shared_ips = _read_rows(_shared_ips_path(directory), "t_s", "clients_per_ip")
            pods = _read_rows(directory / "pods.csv", "t_s", "pod")
            sidecars = _read_optional(directory / "sidecars.csv", "t_s", "pod")
            groups = _read_optional(directory / "groups.csv", "t_s", "group")
            lines = (directory / "events.jsonl").read_text(encoding="utf-8").splitlines()
            events = tuple(json.loads(line) for line in lines if line.endswith("}"))
            histograms, _ = _read_histograms(directory / "latency.hlog")
            by_group = directory / "groups.hlog"
            _, of_groups = _read_histograms(by_group) if by_group.exists() else ({}, {})
        except (OSError, ValueError, csv.Error) as error:
            raise RecordError(f"{directory}: {error}") from None
        return cls(directory, info, rows, shared_ips, pods, events, histograms, sidecars, groups, of_groups)

    def phase(self, name: str) -> Phase | None:
        """The phase of that name; None where the run never got there."""
        return next((phase for phase in self.info.phases if phase.name == name), None)

    @property
    def proxy(self) -> str:
        """The name of the proxy; nginx where the run does not say, as older ones do not."""
        edge = self.info.scenario.get("edge", {})
        return str(edge.get("proxy") or edge.get("front") or "nginx")

    def column(self, name: str) -> list[float | None]:
        """One column of the series, a value a second."""
        return [row.get(name) for row in self.rows]

    def between(self, from_s: float, to_s: float) -> list[dict[str, float | None]]:
        """The rows of [from_s, to_s)."""
        return [row for row in self.rows if row["t_s"] is not None and from_s <= row["t_s"] < to_s]


def is_external(run: Run) -> bool:
    """Whether the gateway was an external target, of which only the clients are ours."""
    target = run.info.scenario.get("target")
    return isinstance(target, Mapping) and bool(target.get("url"))


def proxy_name(runs: Iterable[Run]) -> str:
    """The proxy of all these runs; `proxy` where they do not have the same one."""
    names = {run.proxy for run in runs}
    return names.pop() if len(names) == 1 else "proxy"


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
        raise RecordError(f"{path}: invalid schema version {version}: expected {SCHEMA_VERSION}{because}")
    try:
        info = msgspec.convert(raw, RunInfo)
    except msgspec.ValidationError as error:
        raise RecordError(f"{path}: {error}") from None
    info.scenario = present_scenario(info.scenario, [])
    info.summary = present_results("summary", info.summary)
    info.validity = present_results("validity", info.validity)
    info.stability = present_results("stability", info.stability)
    if info.status == "running" and not _alive(info.pid):
        info.status, info.problem = "interrupted", "the process that ran it died"
    return info


def _shared_ips_path(directory: Path) -> Path:
    """The table of clients by shared IP, under the name that older versions gave it where that is there."""
    path, former = directory / "shared_ips.csv", directory / "neighbours.csv"
    return former if former.exists() and not path.exists() else path


def _read_optional(path: Path, *needed: str) -> tuple[dict[str, float | None], ...]:
    """No rows where there is no such file."""
    return _read_rows(path, *needed) if path.exists() else ()


def _read_rows(path: Path, *needed: str) -> tuple[dict[str, float | None], ...]:
    """needed: columns without which nothing can be said of a row."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows = tuple(
            {key: float(cell) if cell else None for key, cell in row.items() if key} for row in reader
        )
        missing = [column for column in needed if column not in (reader.fieldnames or ())]
    if rows and missing:
        raise ValueError(f"{path.name}: missing column {', '.join(missing)}")
    return rows


def _read_histograms(path: Path) -> tuple[Histograms, dict[int, Histograms]]:
    """(of all clients, by group of the fleet)."""
    every: Histograms = {tag: {} for tag in TAGS}
    groups: dict[int, Histograms] = {}
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        match = _HLOG_LINE.fullmatch(line)
        if match is None:
            continue  # a comment, the legend, or the half line that a killed writer left
        found = every if match["group"] is None else groups.setdefault(int(match["group"]), {})
        tag, second = cast("Tag", match["tag"]), round(float(match["start"]))
        try:
            histogram = Buckets.decode(match["payload"])
        except Exception as error:  # the codec has errors of its own
            raise ValueError(f"{path.name}: second {second}: {error}") from None
        seconds = found.setdefault(tag, {})
        seconds[second] = histogram + seconds[second] if second in seconds else histogram
    return every, groups


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

"""Writes a run directory while the run goes on."""

import csv
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from reports.rundir.columns import (
    GROUP_COLUMNS,
    POD_COLUMNS,
    SERIES_COLUMNS,
    SHARED_IP_COLUMNS,
    SIDECAR_COLUMNS,
)
from reports.rundir.files import replacing
from reports.rundir.histograms import Histogram
from reports.rundir.schema import RunInfo, Tag

_HLOG_HEAD = (
    "#[Histogram log format version 1.3]\n"
    "#[Times are seconds of steady state; values are microseconds, Interval_Max is in milliseconds]\n"
    '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
)


class RunWriter:
    """Writes one run directory."""

    def __init__(self, directory: Path, info: RunInfo) -> None:
        self.directory = directory
        self.info = info
        directory.mkdir(parents=True)
        info.pid = os.getpid()
        self.save()
        self._series = _Table(directory / "series.csv", SERIES_COLUMNS)
        self._shared_ips = _Table(directory / "shared_ips.csv", SHARED_IP_COLUMNS)
        self._pods = _Table(directory / "pods.csv", POD_COLUMNS)
        self._groups = _OptionalTable(directory / "groups.csv", GROUP_COLUMNS)
        self._sidecars = _OptionalTable(directory / "sidecars.csv", SIDECAR_COLUMNS)
        self._events = (directory / "events.jsonl").open("w", encoding="utf-8")
        self._hlog = (directory / "latency.hlog").open("w", encoding="utf-8")
        self._hlog.write(_HLOG_HEAD)

    def row(self, values: Mapping[str, Any]) -> None:
        """Appends one second to series.csv."""
        self._series.append([values])

    def shared_ips(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends one second to shared_ips.csv, a row for each number of clients per IP."""
        self._shared_ips.append(rows)

    def pods(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends one second to pods.csv, a row for each pod that has reported."""
        self._pods.append(rows)

    def sidecars(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends one second to sidecars.csv, a row for each of them."""
        self._sidecars.append(rows)

    def groups(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends one second to groups.csv, a row for each group of the fleet."""
        self._groups.append(rows)

    def replace_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes series.csv anew, with what only became known later."""
        self._series.replace(rows)

    def replace_shared_ips(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes shared_ips.csv anew, with what became known later."""
        self._shared_ips.replace(rows)

    def replace_pods(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes pods.csv anew, with what pods reported later."""
        self._pods.replace(rows)

    def replace_sidecars(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes sidecars.csv anew, if there is anything in it."""
        self._sidecars.replace(rows)

    def replace_groups(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes groups.csv anew, with what became known later, if there is anything in it."""
        self._groups.replace(rows)

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

    def write_group_histograms(self, histograms: Iterable[tuple[int, Tag, int, Histogram]]) -> None:
        """Writes groups.hlog, if there is anything in it: group, tag, second and histogram of each."""
        lines = [_hlog_line(f"{tag}/{group}", second, made) for group, tag, second, made in histograms]
        if lines:
            with replacing(self.directory / "groups.hlog") as stream:
                stream.write(_HLOG_HEAD)
                stream.writelines(lines)

    def save(self) -> None:
        """Writes run.json as a whole."""
        save_info(self.directory, self.info)

    def close(self) -> None:
        """Closes the files; `save` may still be called."""
        for stream in (
            *(self._series, self._shared_ips, self._groups, self._pods, self._sidecars),
            *(self._events, self._hlog),
        ):
            stream.close()


def save_info(directory: Path, info: RunInfo) -> None:
    """Writes run.json; a reader sees the old file or the new one, never half of one."""
    with replacing(directory / "run.json") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(info), indent=2).decode() + "\n")


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


class _OptionalTable:
    """A CSV file that is made by its first row."""

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self._path, self._columns = path, columns
        self._table: _Table | None = None

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Adds rows, if there are any."""
        if found := list(rows):
            self._made().append(found)

    def replace(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes the whole file anew, if there are any rows."""
        if found := list(rows):
            self._made().replace(found)

    def close(self) -> None:
        """Closes the file, if there is one."""
        if self._table:
            self._table.close()

    def _made(self) -> _Table:
        if self._table is None:
            self._table = _Table(self._path, self._columns)
        return self._table


def _hlog_line(tag: str, second: int, histogram: Histogram) -> str:
    # hdrh's own log writer knows no tags.
    highest_ms = histogram.get_max_value() / 1000
    payload = histogram.encode().decode("ascii")
    return f"Tag={tag},{second:.3f},1.000,{highest_ms:.3f},{payload}\n"

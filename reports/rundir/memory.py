"""A run that is kept in memory: what a run directory would hold, without the files.

A search looks at hundreds of runs once each. Histograms keep the values that they were given, a few hundred
at the most, where those of a run directory have 23,552 buckets; so they do in predictions that are written.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.rundir.columns import (
    GROUP_COLUMNS,
    POD_COLUMNS,
    SERIES_COLUMNS,
    SHARED_IP_COLUMNS,
    SIDECAR_COLUMNS,
)
from reports.rundir.histogram_text import encoded
from reports.rundir.histograms import NOTHING, Buckets, each_once
from reports.rundir.latency import highest_us, lowest_us, places_of
from reports.rundir.reader import Histograms, Run
from reports.rundir.schema import GROUP_TAGS, TAGS, RunInfo, Tag
from reports.rundir.writer import RunWriter

_NOWHERE = Path()

Ints = NDArray[np.int64]


class Tally:
    """How often each value was seen; has what a recorder asks of an HdrHistogram, and its resolution."""

    def __init__(self) -> None:
        self._new: list[tuple[Ints, Ints]] = []
        """(values, how often each), since the buckets were asked for."""
        self._buckets = NOTHING
        self._counted = NOTHING.numbers
        """How many values are in each of the buckets or in one before it."""

    def record_value(self, value: int, count: int = 1) -> None:
        """Counts a value, in microseconds."""
        self.record_values(np.array([value], np.int64), np.array([count], np.int64))

    def record_values(self, values: Ints, counts: Ints) -> None:
        """Counts each of these values, in microseconds, so many times."""
        self._new.append((values, counts))

    def add(self, other: "Tally") -> None:
        """Counts everything that another one has."""
        self._new += other._new
        self._buckets += other._buckets
        self._counted = self._buckets.numbers.cumsum()

    def get_total_count(self) -> int:
        """How many values there are."""
        self.buckets()
        return int(self._counted[-1]) if len(self._counted) else 0

    def get_min_value(self) -> int:
        """The lowest value of the lowest bucket; 0 where there is none."""
        places = self.buckets().places[:1]
        return int(lowest_us(places)[0]) if len(places) else 0

    def get_max_value(self) -> int:
        """The highest value of the highest bucket; 0 where there is none."""
        places = self.buckets().places[-1:]
        return int(highest_us(places)[0]) if len(places) else 0

    def get_value_at_percentile(self, percent: float) -> int:
        """The highest value of the bucket in which the percentile lies; 0 where there is none."""
        values = self.get_total_count()
        if not values:
            return 0
        place = self._counted.searchsorted(max(1, int(values * percent / 100 + 0.5)))
        return int(highest_us(self._buckets.places[place]))

    def buckets(self) -> Buckets:
        """The filled buckets, in order."""
        if self._new:
            values, counts = (np.concatenate(each) for each in zip(*self._new, strict=True))
            self._new = []
            self._buckets += Buckets(*each_once(places_of(values).astype(np.int32), counts))
            self._counted = self._buckets.numbers.cumsum()
        return self._buckets

    def encode(self) -> bytes:
        """What an HdrHistogram of a run directory with the same values would be written as."""
        return encoded(self.buckets())


class MemoryWriter(RunWriter):
    """Takes what a run directory's writer takes; `run` has it."""

    def __init__(self, info: RunInfo) -> None:
        self.directory = _NOWHERE
        self.info = info
        self._rows: list[Mapping[str, Any]] = []
        self._of_shared_ips: list[Mapping[str, Any]] = []
        self._of_groups: list[Mapping[str, Any]] = []
        self._of_pods: list[Mapping[str, Any]] = []
        self._of_sidecars: list[Mapping[str, Any]] = []
        self._lines: list[dict[str, Any]] = []
        self._histograms: dict[Tag, dict[int, Buckets]] = {tag: {} for tag in TAGS}
        self._group_histograms: dict[int, Histograms] = {}

    def row(self, values: Mapping[str, Any]) -> None:
        """Keeps a second."""
        self._rows.append(values)

    def shared_ips(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keeps a second by how many clients share an address."""
        self._of_shared_ips += rows

    def groups(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keeps a second by group of the fleet."""
        self._of_groups += rows

    def pods(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keeps a second by pod."""
        self._of_pods += rows

    def sidecars(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keeps a second by sidecar."""
        self._of_sidecars += rows

    def replace_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keeps these seconds instead."""
        self._rows = [*rows]

    def replace_shared_ips(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keeps these seconds by how many clients share an address instead."""
        self._of_shared_ips = [*rows]

    def replace_groups(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keeps these seconds by group of the fleet instead."""
        self._of_groups = [*rows]

    def replace_pods(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keeps these seconds of pods instead."""
        self._of_pods = [*rows]

    def replace_sidecars(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keeps these seconds of sidecars instead."""
        self._of_sidecars = [*rows]

    def event(self, t_s: float, name: str, **details: Any) -> None:
        """Keeps an event."""
        self._lines.append({"t_s": round(t_s, 3), "event": name, **details})

    def histogram(self, tag: Tag, second: int, histogram: Any) -> None:
        """Keeps the histogram of a second."""
        self._histograms[tag][second] = histogram.buckets()

    def replace_histograms(self, histograms: Iterable[tuple[Tag, int, Any]]) -> None:
        """Keeps these histograms instead."""
        self._histograms = {tag: {} for tag in TAGS}
        for tag, second, histogram in histograms:
            self.histogram(tag, second, histogram)

    def write_group_histograms(self, histograms: Iterable[tuple[int, Tag, int, Any]]) -> None:
        """Keeps the histograms of groups."""
        for group, tag, second, histogram in histograms:
            own = self._group_histograms.setdefault(group, {tag: {} for tag in GROUP_TAGS})
            own[tag][second] = histogram.buckets()

    def save(self) -> None:
        """There is nothing to save."""

    def close(self) -> None:
        """There is nothing to close."""

    def run(self) -> Run:
        """What a run directory with all this would be read as."""
        return Run(
            directory=_NOWHERE,
            info=self.info,
            rows=_numbers(self._rows, SERIES_COLUMNS),
            shared_ips=_numbers(self._of_shared_ips, SHARED_IP_COLUMNS),
            pods=_numbers(self._of_pods, POD_COLUMNS),
            events=tuple(self._lines),
            histograms=self._histograms,
            sidecars=_numbers(self._of_sidecars, SIDECAR_COLUMNS),
            groups=_numbers(self._of_groups, GROUP_COLUMNS),
            group_histograms=self._group_histograms,
        )


def _numbers(
    rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]
) -> tuple[dict[str, float | None], ...]:
    """Rows as they come out of a CSV file: every column, and numbers as floats."""
    return tuple(
        {name: None if row.get(name) is None else float(row[name]) for name in columns} for row in rows
    )

"""What a gate is asked to compare, and how."""

from pathlib import Path
from typing import Literal

from msgspec import Struct

STORED, VERSION = "runs:", "git:"
"""Prefixes of a side that is not a scenario."""

ScenarioFrom = Literal["candidate", "baseline", "each"]


class Request(Struct, frozen=True, kw_only=True):
    """The options of the command."""

    scenario_name: str
    baseline: str
    candidate: str
    scenario_from: ScenarioFrom | None
    """Whose scenario file the sides play that are a version of the user's own programs; None: the usual."""
    rounds: int | None
    most_rounds: int | None
    overrides: tuple[str, ...]
    baseline_overrides: tuple[str, ...]
    candidate_overrides: tuple[str, ...]
    gateway: str
    """The command of --gateway; it is among the overrides, too."""
    measures: tuple[str, ...]
    junit_file: Path | None
    csv_file: Path | None
    trend_file: Path | None
    bencher_file: Path | None
    comment_file: Path | None
    accepted_file: Path | None
    accepted_because: str
    on_github: bool
    retries: int
    cached: bool
    """Keep what the set-up of a version makes for the next gate."""
    runs_folder: Path
    nginx_binary: Path | None
    allow_exec: bool
    as_json: bool

    @property
    def asks_for_versions(self) -> bool:
        """Whether a side is a commit."""
        return any(side.startswith(VERSION) for side in (self.baseline, self.candidate))

    @property
    def files(self) -> list[Path]:
        """Files that the user has asked for."""
        wanted = (self.junit_file, self.csv_file, self.trend_file, self.bencher_file, self.comment_file)
        return [file for file in wanted if file is not None]

    @property
    def written(self) -> list[Path]:
        """What the gate itself writes."""
        plots = [trend_plot(self.trend_file)] if self.trend_file else []
        return [self.runs_folder, *self.files, *plots]


def trend_plot(trend_file: Path) -> Path:
    """The plot beside a trend."""
    return trend_file.with_name(f"{trend_file.name}.svg")

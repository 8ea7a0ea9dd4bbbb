"""What is kept of `compare stock-fleets` and of its simulations, for the page docs/stock-fleets.md:

reconnect-storm compare stock-fleets --json > bench.json
reconnect-storm simulate stock-fleets --json > simulated.json
reconnect-storm simulate stock-fleets --json … > million.json
python -m tools.stock_fleets bench=bench.json simulated=simulated.json million=million.json

Several files of one name are put together, for a comparison made in parts. Invalid runs are left out.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

DATA = Path(__file__).parents[1] / "docs" / "data" / "stock-fleets.json"


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one fleet."""

    verdict: str
    recovered_after_s: float | None
    """Seconds from the end of the trigger; None: not within the run."""
    back_95_s: float | None
    """Seconds until 95 % of the clients had joined again; None: not within the run."""
    attempts_per_client: float
    peak_attempts_per_s: float
    gave_up: float
    """Share of the clients that had stopped by themselves at the end."""
    availability: float
    """Share of the time, from the trigger to the rescue, that the mean client was served."""


Source = dict[str, Outcome]
"""Outcomes by stock client."""


def outcome(run: Mapping[str, Any]) -> Outcome:
    """What is kept of a run, as `--json` prints it."""
    summary = run["summary"]
    storm, back, clients = summary["storm"], summary["back"], summary["clients"]
    back_95 = back["back_95"]
    return Outcome(
        verdict=run["verdict"]["name"],
        recovered_after_s=summary["recovery"]["time_to_recover_s"],
        back_95_s=None if back_95 is None or back_95["at_least"] else back_95["after_s"],
        attempts_per_client=round(storm["attempts"] / clients, 2),
        peak_attempts_per_s=storm["attempts_peak_per_s"],
        gave_up=round(sum(storm["gave_up_by_reason"].values()) / clients, 4),
        availability=round(storm["availability"], 4),
    )


def outcomes(runs: Iterable[Mapping[str, Any]]) -> Source:
    """Outcomes of all runs that are valid and had a fault."""
    return {
        run["arm"]: outcome(run) for run in runs if run["validity"]["valid"] and run["summary"].get("storm")
    }


def read(file: Path = DATA) -> dict[str, Source]:
    """What was kept, by where it was measured. Raises msgspec.ValidationError."""
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Source])


def main(arguments: list[str]) -> None:
    """Writes the file; each argument is NAME=FILE."""
    kept: dict[str, Source] = {}
    for argument in arguments:
        name, _, file = argument.partition("=")
        kept.setdefault(name, {}).update(outcomes(msgspec.json.decode(Path(file).read_bytes())))
    DATA.write_bytes(msgspec.json.format(msgspec.json.encode(kept, order="deterministic"), indent=1) + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Copies of the Node example, each with one regression in its code, and a file that `calibrate-gate` reads:

python -m tools.node_regressions FOLDER
reconnect-storm calibrate-gate examples/node/gate.toml --regressions FOLDER/regressions.toml --record 10
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

EXAMPLE = Path(__file__).parents[1] / "examples" / "node"
PARTS = ("server.js", "package.json", "package-lock.json")


class Change(NamedTuple):
    """Text of server.js, and what a pull request makes of it."""

    old: str
    new: str


CONNECTION = 'io.on("connection", (socket) => {\n'
AUTH = "io.use((socket, next) => next("
LOOKUP = "new Promise((resolve) => setTimeout(resolve, 500))"

REGRESSIONS: Mapping[str, Change] = {
    "synchronous call of 15 ms": Change(
        CONNECTION,
        f"{CONNECTION}  const end = performance.now() + 15;\n  while (performance.now() < end);\n",
    ),
    "await before auth": Change(
        AUTH, AUTH.replace("(socket, next) => next", f"async (socket, next) => (await {LOOKUP}, next)")
    ),
    "twice the snapshot": Change("Number(POSITIONS)", "2 * Number(POSITIONS)"),
    "no drain on SIGTERM": Change('process.on("SIGTERM"', 'process.on("SIGUSR2"'),
}
"""By name, what each changes; each text occurs once."""


def changed(server: str, change: Change) -> str:
    """The text of server.js with a change. Raises ValueError unless the old text occurs exactly once."""
    if server.count(change.old) != 1:
        raise ValueError(
            f"{change.old!r} occurs {server.count(change.old)} times in server.js: expected once"
        )
    return server.replace(change.old, change.new)


def write_copies(folder: Path) -> Path:
    """Writes a copy of the example for each regression; returns the file that names them."""
    server = (EXAMPLE / "server.js").read_text(encoding="utf-8")
    tables = []
    for name, change in REGRESSIONS.items():
        copy = folder / name.replace(" ", "-")
        copy.mkdir(parents=True)
        for part in PARTS:
            shutil.copy(EXAMPLE / part, copy)
        (copy / "server.js").write_text(changed(server, change), encoding="utf-8")
        tables.append(f'[{json.dumps(name)}]\n"gateway.directory" = {json.dumps(str(copy.resolve()))}\n')
    file = folder / "regressions.toml"
    file.write_text("\n".join(tables), encoding="utf-8")
    return file


if __name__ == "__main__":
    sys.stdout.write(f"{write_copies(Path(sys.argv[1]))}\n")

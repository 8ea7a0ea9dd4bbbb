"""Prometheus for tests: which ones this machine has, and what a running one says."""

import json
import math
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

UNPACKED = Path("/opt/debian-13/usr/bin")
"""Where `.ci/prometheus` puts the one of Debian 13, on Debian 12."""


def programs() -> Sequence[Path]:
    """Each `prometheus` that has its `promtool` beside it, the newest version first."""
    on_path = shutil.which("prometheus")
    folders = [UNPACKED, *([Path(on_path).parent] if on_path else [])]
    return [
        folder / "prometheus"
        for folder in dict.fromkeys(folders)
        if (folder / "prometheus").exists() and (folder / "promtool").exists()
    ]


class Prometheus(Struct, frozen=True):
    """One that runs, and what it says."""

    url: str

    def api(self, path: str, **query: str | float) -> Any:
        """The data of an answer. Raises OSError where nobody answers."""
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as response:
                answer = json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                answer = json.loads(error.read())
        assert answer["status"] == "success", answer
        return answer["data"]

    def ready(self) -> bool:
        """Whether it answers questions. Raises OSError where nobody answers."""
        with urllib.request.urlopen(f"{self.url}/-/ready", timeout=10) as response:
            return "is Ready" in response.read().decode()

    def healthy_targets(self) -> int:
        """How many it scrapes without an error."""
        return sum(target["health"] == "up" for target in self.api("targets")["activeTargets"])

    def highest(self, expression: str, from_s: float, to_s: float) -> float:
        """The highest value of any of its series; NaN where there is none."""
        found = self.api("query_range", query=expression, start=from_s, end=to_s, step=1)
        values = [float(value) for series in found["result"] for _, value in series["values"]]
        return max((value for value in values if math.isfinite(value)), default=math.nan)

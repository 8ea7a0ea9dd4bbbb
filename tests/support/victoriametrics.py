"""VictoriaMetrics for tests: a receiver of OpenTelemetry's metrics that this project has not written."""

import functools
import shutil
import subprocess
from pathlib import Path

UNPACKED = Path("/opt/debian-13/usr/bin/victoria-metrics")
"""Where `.ci/prometheus` puts the one of Debian 13, on Debian 12."""
NAMING = "-opentelemetry.usePrometheusNaming"


@functools.cache
def program() -> Path | None:
    """One that takes exponential histograms; None where there is none."""
    on_path = shutil.which("victoria-metrics")
    for found in (UNPACKED, *([Path(on_path)] if on_path else [])):
        if found.exists():
            shown = subprocess.run(
                [str(found), "-help"], capture_output=True, text=True, timeout=30, check=False
            )
            if NAMING in shown.stdout + shown.stderr:
                return found
    return None

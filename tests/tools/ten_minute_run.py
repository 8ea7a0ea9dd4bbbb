"""A rehearsal of ten minutes, made up, to see what its report takes.

    python -m tests.tools.ten_minute_run DIRECTORY

Five ticks a second to 300 clients on nine pods, every column filled, four histograms a second as full as real
ones are.
"""

import sys
from pathlib import Path
from random import Random

from hdrh.histogram import HdrHistogram
from msgspec.structs import replace

from reports.rundir.schema import TAGS, Rehearsal, new_histogram
from reports.rundir.writer import RunWriter
from tests.support.histories import history, pod_second, scenario, storm, strike
from tests.support.rehearsals import HYPOTHESIS, SLO

SECONDS, PODS, VALUES = 600, 9, 1500


def main(directory: Path) -> None:
    """Writes the run directory."""
    rng = Random(1)
    rows = storm(lambda t: 100.0 if t > 300 else 5.0 + 5 * rng.random(), to_s=SECONDS)
    events = [
        *strike("drop_all", "fault", 8.05, 8.06),
        *strike("scale", "mitigation", 60.05, 62.0, pods=9),
        *strike("push_policy", "mitigation", 280.05, 285.0, policy="incident", reach_s=5.0),
    ]
    given = {"slo": SLO, "hypothesis": HYPOTHESIS, "name": "ten minutes"}
    info = replace(history(rows, tail_from_s=400).info, rehearsal=Rehearsal(), scenario=scenario(**given))
    writer = RunWriter(directory, info)
    for row in rows:
        writer.row(row | {name: rng.random() for name, cell in row.items() if cell == 0 and name != "t_s"})
        t = int(row["t_s"] or 0)
        writer.pods(pod_second(t, pod, loop=0.99 if t < 300 else 0.2) for pod in range(PODS))
        for tag in TAGS:
            writer.histogram(tag, t, _histogram(rng))
    for line in events:
        details = {key: value for key, value in line.items() if key not in {"t_s", "event"}}
        writer.event(line["t_s"], line["event"], **details)
    writer.close()


def _histogram(rng: Random) -> HdrHistogram:
    histogram = new_histogram()
    for _ in range(VALUES):
        histogram.record_value(int(rng.lognormvariate(11, 1.5)) + 1)
    return histogram


if __name__ == "__main__":
    main(Path(sys.argv[1]))

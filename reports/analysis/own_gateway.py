"""What a run with the user's own gateway tells besides its numbers: crashes, addresses, cut logs."""

from collections.abc import Iterator, Mapping
from typing import Any

from reports.rundir.reader import Run
from reports.text.units import seconds

CRASHED = "pod_crashed"
LISTENS_ELSEWHERE = "pod_listens_elsewhere"
MISSING = "gauges_missing"
LOG_CUT = "log_cut"


def own_gateway_warnings(run: Run) -> Iterator[str]:
    """One sentence for each crash of a pod, and one for each other thing that the run has noted."""
    for event in run.events:
        if event["event"] == CRASHED:
            yield _crash(event)
    if ports := _noted(run, LISTENS_ELSEWHERE, "port"):
        yield (
            f"the gateway listens on all interfaces, not on loopback alone (port {', '.join(ports)}): other"
            " hosts can reach it during the run; expected the address in HOST"
        )
    if gauges := sorted(
        {gauge for event in run.events if event["event"] == MISSING for gauge in event["gauges"]}
    ):
        yield (
            f"gateway.metrics: no sample of {', '.join(gauges)} was read; loop utilisation is then from the"
            " kernel's scheduler, and lag is unknown"
        )
    if logs := _noted(run, LOG_CUT, "log"):
        yield f"logs were too long, only their ends were kept: {', '.join(logs)}"


def _crash(event: Mapping[str, Any]) -> str:
    said = event.get("last_lines") or ["(its log is empty)"]
    return f"pod-{event['pod']} crashed after {seconds(event['t_s'])}: {event['ended']}: {said[-1]}"


def _noted(run: Run, name: str, key: str) -> list[str]:
    return sorted({str(event[key]) for event in run.events if event["event"] == name})

"""Judged runs without any seconds, for tests that compare them."""

from pathlib import Path
from typing import Any

import msgspec

from reports.analysis.delivery import SessionRecovery, Ticks
from reports.analysis.judgement import Judgement
from reports.analysis.metrics import PhaseSummary, Storm, Summary
from reports.analysis.recovery import Recovery
from reports.analysis.shared_ips import SharedIpGroup
from reports.analysis.validity import Validity
from reports.analysis.verdict import Verdict, VerdictName
from reports.rundir.latency import Latency
from reports.rundir.reader import Run
from tests.support.histories import CLIENTS, history, scenario


def run(
    arm: str,
    verdict: VerdictName,
    recovered_s: int | None = None,
    *,
    served: float | None = 0.5,
    p99_ms: float = 60.0,
    at_least: bool = False,
    during: PhaseSummary | None = None,
    limited: int = 0,
    amplification: float = 5.0,
    disconnects: int = 100,
    ips: tuple[SharedIpGroup, ...] = (),
    sessions: SessionRecovery | None = None,
    **info: Any,
) -> Run:
    """A judged run of arm `policy + limit`, without any seconds."""
    policy, _, limit = arm.partition(" + ")
    storm_summary = Storm(
        from_s=8,
        to_s=62,
        availability=served,
        attempts=500,
        attempts_peak_per_s=100.0,
        disconnects=disconnects,
        stale=0,
        amplification=amplification,
        burst_peak=2.0,
        burst_dispersion=1.0,
        limited=limited,
        nginx_limited=limited,
        outcomes={"joined": 100, "timeout": 400},
        missed=0,
        wasted_work=0.1,
        recovery=sessions,
    )
    judgement = Judgement(
        Summary(
            clients=CLIENTS,
            during=during,
            shared_ips=ips,
            after=PhaseSummary(from_s=23, to_s=62, effective_p99=Latency(p99_ms, at_least)),
            storm=storm_summary,
            recovery=Recovery(
                window_s=30,
                observable_s=24,
                time_to_recover_s=recovered_s,
                at_least_s=None if recovered_s is not None else 54,
            ),
        ),
        Validity(valid=verdict != "INVALID", problems=("late",) if verdict == "INVALID" else ()),
        Verdict(verdict, "as it was"),
    )
    stored = msgspec.to_builtins(judgement)
    made = {"arm": arm, "scenario": scenario(fleet__policy=policy, edge__limit=limit or "none")}
    return history([], directory=Path(f"runs/{arm}"), **{**made, **stored, **info})


def in_storm(p99_ms: float, pod_cpu: float | None = 0.5, *, at_least: bool = False) -> PhaseSummary:
    """The phase during the storm."""
    return PhaseSummary(from_s=8, to_s=23, effective_p99=Latency(p99_ms, at_least), pod_cpu=pod_cpu)


def ip_group(
    size: int,
    back_s: int | None,
    *,
    limited: int = 0,
    clients: int = 50,
    in_time: float | None = None,
) -> SharedIpGroup:
    """All clients with so many on their IP, served again after `back_s`; in_time: share of their ticks."""
    soon = round(1_000 * (in_time or 0.0))
    return SharedIpGroup(
        clients_per_ip=size,
        clients=clients,
        availability=0.5,
        attempts=400,
        limited=limited,
        back_after_s=back_s,
        ticks=None if in_time is None else Ticks(due=1_000, in_time=soon, late=1_000 - soon, never=0),
    )


def cross(*verdicts: tuple[VerdictName, int | None, float]) -> list[Run]:
    arms = ("naive + none", "naive + per-ip", "incident + none", "incident + per-ip")
    return [
        run(arm, name, recovered, served=served)
        for arm, (name, recovered, served) in zip(arms, verdicts, strict=True)
    ]


TWO_BY_TWO = cross(
    ("METASTABLE", None, 0.08), ("METASTABLE", None, 0.09), ("RECOVERED", 13, 0.8), ("RECOVERED", 9, 0.9)
)

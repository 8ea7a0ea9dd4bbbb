"""Findings about the proxy itself: uneven workers, and pods that it took out."""

from math import sqrt

from reports.analysis.findings.finding import Found
from reports.analysis.validity import Evidence
from reports.rundir import series
from reports.rundir.proxy_log import WorkerSockets
from reports.rundir.reader import Run, proxy_name
from reports.text import units

UNEVEN = 1.5
"""Sockets of the fullest worker ÷ mean."""
BY_CHANCE = 4.0
"""Standard deviations that chance does not explain."""
FEWEST_SOCKETS = 40


def uneven_workers(evidence: Evidence) -> Found | None:
    """One worker of the proxy has far more sockets than the others."""
    run, log = evidence.run, evidence.run.info.proxy_log
    if log is None:
        return None
    found = [(moment, _by_worker(run, moment)) for moment in log.workers]
    full = (
        f" {units.count(log.full)} times a worker had no connection left, and closed what it had accepted."
        if log.full
        else ""
    )
    moment, sockets = max(found, key=lambda each: _excess(each[1]), default=(None, ()))
    if moment is None or _excess(sockets) <= 1.0:
        return None
    when = "at the trigger" if moment.t_s == run.info.trigger_s else f"at {units.seconds(moment.t_s)}"
    return Found(
        figures=(
            f"{len(sockets)} workers of {proxy_name([run])}, {units.count(sum(sockets))} WebSockets {when}: "
            f"{', '.join(map(units.count, sockets))}. The fullest has "
            f"{units.times(sockets[0] / (sum(sockets) / len(sockets)))} the mean.{full}"
        )
    )


def _by_worker(run: Run, moment: WorkerSockets) -> tuple[int, ...]:
    """Sockets of as many workers as the scenario has. After a reload there are old workers as well: then
    those with most sockets count."""
    said = (run.info.scenario.get("edge", {}).get("nginx") or {}).get("workers")
    workers = said if isinstance(said, int) and said > 0 else len(moment.sockets)
    return (*moment.sockets, *[0] * workers)[:workers]


def _excess(sockets: tuple[int, ...]) -> float:
    """Above 1, the fullest worker has more than chance, and a good balance, allow."""
    total = sum(sockets)
    if len(sockets) < 2 or total < FEWEST_SOCKETS:
        return 0.0
    mean = total / len(sockets)
    allowed = max(UNEVEN * mean, mean + BY_CHANCE * sqrt(mean * (1 - 1 / len(sockets))))
    return max(sockets) / allowed


def pods_taken_out(evidence: Evidence) -> Found | None:
    """The proxy, or a sidecar, stopped asking a pod that was there."""
    return _taken_out_by_proxy(evidence.run) or _ejected_by_sidecars(evidence.run)


def _taken_out_by_proxy(run: Run) -> Found | None:
    log = run.info.proxy_log
    if log is None or not (log.taken_out_alive or log.none_left):
        return None
    text = (
        f"{proxy_name([run])} took pods out of its upstream {_times(log.taken_out)}, "
        f"{units.count(log.taken_out_alive)} of these while the pod was alive, and late or broken."
    )
    if log.none_left:
        text += f" {units.count(log.none_left)} requests then found no pod left, and got 502 at once."
    return Found(figures=text)


def _ejected_by_sidecars(run: Run) -> Found | None:
    ejections = round(series.total(series.column(run.sidecars, "ejections")))
    if not ejections:
        return None
    pods = len({row["pod"] for row in run.sidecars if row.get("ejections")})
    return Found(
        figures=(
            f"Outlier detection of the sidecars ejected {units.count(pods)} pods, {_times(ejections)}; a "
            "sidecar whose pod is ejected answers 503 to everybody."
        ),
        proxy="envoy",
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{units.count(number)} times"

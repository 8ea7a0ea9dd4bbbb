"""Surprises: what a reader would not have expected, found by rules.

Add one: write a rule, a function from the evidence to a surprise or None, and enter it in
`SURPRISES`. A rule says nothing where it has no data.
"""

from collections.abc import Callable, Iterable

import numpy as np
from msgspec import Struct

from reports.analysis.findings.finding import RunFinding
from reports.analysis.metrics import Summary, aftermath, unaided_stretch
from reports.analysis.validity import Evidence
from reports.compare.event_text import short_words
from reports.page.pods import UNEVEN
from reports.rehearsal.waves import waves
from reports.rundir import series
from reports.rundir.reader import Run
from reports.text import units
from reports.text.gave_up import gave_up_after

SATURATED_WITHIN_S = 20
WASTED = 0.5
ATTEMPTS_PER_DISCONNECT = 10.0
RISEN = 1.5
FEWEST_ATTEMPTS_PER_S = 10.0
BURST, BURSTS_S = 0.5, 10
"""Share of a second's attempts within one tenth of it, and in how many seconds it is looked for."""
DROPS_PER_CLIENT = 1.5
LOST_AGAIN = 0.2
BACK_FOR_S = 3
LOOKED_FINE = 2.0
"""Fan-out p99 as a multiple of what it was, up to which a dashboard would have looked calm."""


class Surprise(Struct, frozen=True, kw_only=True):
    """Something that was found, and what might be done about it."""

    text: str
    consider: str
    """A question for the owner of the action item."""


Rule = Callable[[Evidence], Surprise | None]


def surprises(run: Run, summary: Summary, findings: Iterable[RunFinding] = ()) -> dict[str, Surprise]:
    """What the rules found, by the name of the rule, but for what the findings about the run say as well."""
    evidence = Evidence(run, summary)
    said = {finding.id for finding in findings}
    found = {name: rule(evidence) for name, rule in SURPRISES.items() if SAID_BY.get(name) not in said}
    return {name: surprise for name, surprise in found.items() if surprise is not None}


def _synchronised_waves(evidence: Evidence) -> Surprise | None:
    stretch = aftermath(evidence.run)
    if stretch is None:
        return None
    attempts = series.aligned(evidence.run, "attempts", *stretch)
    peaks = series.aligned(evidence.run, "attempts_peak_100ms", *stretch)
    found = waves(attempts)
    if found is not None:
        return Surprise(
            text=(
                f"Connection attempts came in waves {units.seconds(found.period_s)} apart "
                f"(autocorrelation {found.strength:.2f}): up to {units.count(found.peak_per_s)} in a second "
                f"where the mean is {units.count(found.mean_per_s)}, and up to "
                f"{units.count(series.highest(peaks))} within a tenth of a second."
            ),
            consider="Does the clients' back-off still have jitter at its cap?",
        )
    busy = attempts >= FEWEST_ATTEMPTS_PER_S
    within = series.shares(peaks, attempts)[busy & ~np.isnan(peaks)]
    if len(within) < BURSTS_S or np.median(within) < BURST:
        return None
    return Surprise(
        text=(
            f"Connection attempts came in bursts: in half of the {len(within)} seconds with attempts, at "
            f"least {units.percent(float(np.median(within)))} of them started within one tenth of the second."
        ),
        consider="What synchronises the clients: a common timeout without jitter?",
    )


def _refused_shared_ips(evidence: Evidence) -> Surprise | None:
    shared = [group for group in evidence.summary.shared_ips if group.clients_per_ip > 1 and group.limited]
    refused = sum(group.limited for group in evidence.summary.shared_ips)
    if not shared:
        return None
    limited, attempts = sum(group.limited for group in shared), sum(group.attempts for group in shared)
    clients = sum(group.clients for group in shared)
    return Surprise(
        text=(
            f"{units.count(limited)} of {units.count(refused)} refusals hit the {units.count(clients)} "
            f"clients behind a shared IP: {units.percent(limited / max(1, attempts))} of their attempts "
            "were refused, although each of them behaved well."
        ),
        consider="Which real users are behind a shared IP, and does the limit exempt them?",
    )


def _uneven_pods(evidence: Evidence) -> Surprise | None:
    if evidence.summary.pod_spread is None or evidence.summary.pod_spread < UNEVEN:
        return None
    clients = {pod.pod: pod.clients_at_end for pod in evidence.summary.pods if pod.clients_at_end is not None}
    fullest, emptiest = max(clients, key=lambda pod: clients[pod]), min(clients, key=lambda pod: clients[pod])
    return Surprise(
        text=(
            f"The pods were unevenly loaded at the end: pod {fullest} had {units.count(clients[fullest])} "
            f"clients, pod {emptiest} had {units.count(clients[emptiest])}; the fullest "
            f"{units.times(evidence.summary.pod_spread)} the mean."
        ),
        consider="What rebalances long-lived connections, and which alert fires for a full pod?",
    )


def _second_wave(evidence: Evidence) -> Surprise | None:
    stretch = unaided_stretch(evidence.run)
    if stretch is None:
        return None
    rows = evidence.run.between(*stretch)
    served = series.shares(series.column(rows, "useful"), series.column(rows, "clients"))
    down = next((place for place, share in enumerate(served) if share < series.SERVED), None)
    if down is None:
        return None
    lasting, back_s = 0, None
    for place in range(down, len(served)):
        lasting = lasting + 1 if served[place] >= series.SERVED else 0
        if lasting == BACK_FOR_S and back_s is None:
            back_s = place - BACK_FOR_S + 1
        if back_s is not None and served[place] < series.SERVED - LOST_AGAIN:
            return Surprise(
                text=(
                    f"There was a second wave: {units.percent(series.SERVED)} of the clients were served at "
                    f"{units.seconds(back_s)}, and at {units.seconds(place)} only "
                    f"{units.percent(float(served[place]))} were."
                ),
                consider="What disconnected them again: a watchdog, a probe, or a restart?",
            )
    return None


def _wasted_work(evidence: Evidence) -> Surprise | None:
    wasted = evidence.summary.storm.wasted_work if evidence.summary.storm else None
    if wasted is None or wasted < WASTED:
        return None
    return Surprise(
        text=(
            f"{units.percent(wasted)} of the handshakes were wasted: their clients had left by then, or left "
            "within 5 s."
        ),
        consider="Can a pod detect that a client has left before it continues the handshake?",
    )


def _saturated_new_pods(evidence: Evidence) -> Surprise | None:
    new = [pod for pod in evidence.summary.pods if pod.joined_after_s is not None]
    times = sorted(
        pod.saturated_after_s
        for pod in new
        if pod.saturated_after_s is not None and pod.saturated_after_s <= SATURATED_WITHIN_S
    )
    if not times:
        return None
    after = units.span(units.seconds(times[0]), units.seconds(times[-1])) or units.seconds(times[-1])
    return Surprise(
        text=f"{len(times)} of {len(new)} pods that joined were saturated within {after} of joining.",
        consider="Should the autoscaler add pods while retries are what saturates them?",
    )


def _gave_up(evidence: Evidence) -> Surprise | None:
    storm = evidence.summary.storm
    if storm is None or not storm.gave_up:
        return None
    after = gave_up_after(storm.gave_up_by_reason) or "their policy allowed no further attempt"
    return Surprise(
        text=(
            f"{units.count(storm.gave_up)} of {units.count(evidence.summary.clients)} "
            f"clients gave up for good: {after}."
        ),
        consider="What does a user see whose client has given up, and what makes it reconnect?",
    )


def _retry_amplification(evidence: Evidence) -> Surprise | None:
    storm = evidence.summary.storm
    if storm is None or storm.amplification is None or storm.amplification < ATTEMPTS_PER_DISCONNECT:
        return None
    return Surprise(
        text=(
            f"Every disconnect was followed by {units.plain(storm.amplification)} attempts: "
            f"{units.count(storm.attempts)} attempts for {units.count(storm.disconnects)} disconnects."
        ),
        consider="Do the clients have a retry budget?",
    )


def _disconnected_again(evidence: Evidence) -> Surprise | None:
    storm = evidence.summary.storm
    if storm is None or storm.disconnects < DROPS_PER_CLIENT * max(1, evidence.summary.clients):
        return None
    by_watchdog = f", {units.count(storm.stale)} by the client's own watchdog" if storm.stale else ""
    return Surprise(
        text=(
            f"Clients were disconnected more than once: {units.count(storm.disconnects)} disconnects of "
            f"{units.count(evidence.summary.clients)} clients{by_watchdog}."
        ),
        consider="Does the back-off reset as soon as a connection opens, or once it is stable?",
    )


def _more_attempts_after_a_mitigation(evidence: Evidence) -> Surprise | None:
    for action in evidence.summary.actions:
        before, after = action.before, action.after
        if action.kind != "mitigation" or before is None or after is None:
            continue
        was, became = before.attempts_per_s or 0.0, after.attempts_per_s or 0.0
        if became >= max(RISEN * was, FEWEST_ATTEMPTS_PER_S):
            return Surprise(
                text=(
                    f"After {short_words(action.name, action.details)}, at "
                    f"{units.seconds(round(action.t_s))}, attempts rose "
                    f"from {units.per_second(was)} to {units.per_second(became)}."
                ),
                consider="Do clients retry at once when they are refused quickly?",
            )
    return None


def _calm_fanout(evidence: Evidence) -> Surprise | None:
    before, during = evidence.summary.before, evidence.summary.during
    if before is None or during is None or during.effective_p99 is None or before.effective_p99 is None:
        return None
    was, became = before.fanout_p99_ms, during.fanout_p99_ms
    if was is None or became is None or (during.availability or 0.0) >= series.SERVED:
        return None
    if became > LOOKED_FINE * was or during.effective_p99.ms <= LOOKED_FINE * before.effective_p99.ms:
        return None
    return Surprise(
        text=(
            "Fan-out p99, which counts connected clients only, looked healthy: "
            f"{units.milliseconds(became)}, after {units.milliseconds(was)} before. Effective p99, over all "
            f"clients, was {units.latency(during.effective_p99)}."
        ),
        consider="Which dashboard counts the clients that are disconnected?",
    )


SURPRISES: dict[str, Rule] = {
    "synchronised waves": _synchronised_waves,
    "well-behaved clients rate-limited": _refused_shared_ips,
    "new pods saturated": _saturated_new_pods,
    "second wave": _second_wave,
    "disconnected again": _disconnected_again,
    "uneven pods": _uneven_pods,
    "more attempts after a mitigation": _more_attempts_after_a_mitigation,
    "wasted work": _wasted_work,
    "retry amplification": _retry_amplification,
    "healthy fan-out p99": _calm_fanout,
    "gave up for good": _gave_up,
}
"""Every rule by its name, the most important one first."""

SAID_BY = {"well-behaved clients rate-limited": "refused-first-attempts"}
"""Findings about a run that say the same as a surprise."""

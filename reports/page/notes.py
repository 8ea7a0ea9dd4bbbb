"""The paragraphs below the tables and figures of a report: what they show, in any medium."""

from msgspec import Struct

from reports.compare.comparison import Comparison
from reports.compare.measures import KEY_MEASURES
from reports.compare.statistics import runs_needed
from reports.text import units

NO_ISSUES = "No validity issues."
STRETCH = (
    "From the trigger to the end of “after”. Ticks delivered in time: the client held the tick or a newer "
    "one within 1 s of its due time; late: after that; never: not by the end of the measurement. Ticks lost: "
    "not received themselves, whether a newer one came in their place or none. Clients back: served again "
    "for 5 s, by the rescue or the end, of those that were not served in the worst second; the time counts "
    "from the end of the trigger."
)
MAP = "S1 and S2 are explained under “Stability estimate”."
FIGURE = (
    "Thick lines: what the panel is named after. Shaded: the phase “during”, and every event that lasted "
    "for a while. Vertical lines: events; where only some arms had one, it has their colours. Of an arm "
    "with several runs, the line is the median and the band reaches from the lowest to the highest."
)
KEYS = (
    "Point at a second or tap it; or focus the figure and press the arrow keys (Page Up and Page Down: 10 s; "
    "Home, End; Escape). The same numbers are under “Numbers per second”."
)
PER_SECOND = (
    "A table for each arm. Seconds count as in the figure. Of an arm with several runs: the median of its "
    "valid runs. “≥”: at least; not delivered by the end. Refusals: attempts answered with 429 or 503. Loop "
    "and CPU: mean over pods. “–”: not recorded."
)
NUMBERS = (
    "“≥”: at least; the value had not been reached by then. Effective p99: over all clients, connected or "
    "not. Fan-out p99: over delivered ticks only. Served: connected, with data less than 1 s old. "
    "Availability: client-seconds served, as a share of all client-seconds. Refusals: attempts answered "
    "with 429 or 503. Reconnect attempts per disconnect: retry amplification. Availability, attempts and "
    "refusals count from the trigger to the end of “after”. Time to recover counts from the end of the "
    "trigger. Rescue: a forced-recovery probe at the end of “after”, which pushes a gentle policy to all "
    "clients; a fleet that recovers only then was METASTABLE. Metastable runs: of the valid runs, with the "
    "exact 95 % interval of their share (Clopper–Pearson)."
)
ACTIONS = (
    "Times count from the trigger; in a run without one, from the start of the steady state. Before: the 5 "
    "s before the action. After: the 5 s that begin 5 s after its end. An effect need not be due to the "
    "action: other actions may overlap these seconds. “–”: not recorded, or later than the rescue or the end "
    "of the run."
)
PODS = (
    "From the trigger to the rescue or the end of the run. Joined after: its first report, from the "
    "trigger. Saturated: its event loop was occupied for at least 95 % of 3 consecutive seconds; the time "
    "counts from the trigger, or from when it joined. Loop and CPU are means."
)
SIDECARS = (
    "CPU as a share of one core. Memory is resident memory, with the program’s own pages counted for each "
    "sidecar. “Before” and “during” are means; counts are from the trigger to the end of “after”, or over "
    "the whole run where there is no trigger."
)
FINDINGS = "Mistakes in the settings that show in the runs. Nothing is said of what a run did not record."
METHOD = (
    "Clients speak HTTP/1.1, each WebSocket on a connection of its own: WebSockets over HTTP/2 (RFC 8441) "
    "are not tested."
)
EXTERNAL = (
    "External target: CPU of pods and proxy, event loops, per-pod results, and refusals as the proxy and the "
    "pods logged them cannot be known; all numbers are those of the clients."
)
SHARED_IPS = (
    "From the trigger to the end of “after”. Ticks: shares of those due to these clients, unless a run is "
    "too old to have them. "
    "Recovered after: from the end of the trigger until 99 % of the clients were served, and stayed so to "
    "the end. 95 % back after: until 95 % of the clients that were not served in the worst second were "
    "served, for 5 s. Never returned: those that were served neither for 5 s nor in the last seconds before "
    "the rescue or the end."
)

GROUPS = (
    "The same stretches and terms as by shared IP. Failed attempts: ended without a join in whatever way, "
    "refusals by a limit among them. A group whose clients ask for a protocol that no gateway of today has "
    "can never be served: its clients are not among those of the other tables, its attempts are."
)


class Notes(Struct, frozen=True, kw_only=True):
    """Every paragraph of one report, by the chapter that it belongs to."""

    numbers: str
    against: str
    refusals: str
    external: str = ""
    """Empty where the gateway was no external target."""
    no_issues: str = NO_ISSUES
    stretch: str = STRETCH
    map: str = MAP
    figure: str = FIGURE
    keys: str = KEYS
    per_second: str = PER_SECOND
    actions: str = ACTIONS
    pods: str = PODS
    sidecars: str = SIDECARS
    findings: str = FINDINGS
    method: str = METHOD
    shared_ips: str = SHARED_IPS
    groups: str = GROUPS


def notes(comparison: Comparison, *, sidecars: bool) -> Notes:
    """The paragraphs of a report on these arms; sidecars: some of them have sidecars."""
    return Notes(
        numbers=f"{_reference_note(comparison)}{_median_note(comparison)}{NUMBERS}",
        against=_against_note(comparison),
        refusals=(
            "Clients: answers of 429 or 503."
            if comparison.external
            else refusals_note(comparison.names.proxy, sidecars=sidecars)
        ),
        external=EXTERNAL if comparison.external else "",
    )


def refusals_note(proxy: str, *, sidecars: bool) -> str:
    """What each side of the table of refusals counts."""
    beside = "; sidecars: their own answers" if sidecars else ""
    return (
        f"Clients: answers of 429 or 503. {units.capitalised(proxy)}: lines of its log{beside}. Pods: "
        "handshakes that they shed. Unaccounted: counted by clients and by none of the others; negative "
        "where clients gave up before the answer came. Answers: the status in the log of refused requests, "
        "during the whole steady state."
    )


def _reference_note(comparison: Comparison) -> str:
    return f"Latencies count from: {comparison.reference}. " if comparison.reference else ""


def _median_note(comparison: Comparison) -> str:
    coverage = {
        len(span.values): span.coverage
        for arm in comparison.arms
        for span in arm.ranges.values()
        if len(span.values) > 1
    }
    if not coverage:
        return ""
    cases = ", ".join(f"{units.coverage(coverage[runs])} for {runs} runs" for runs in sorted(coverage))
    return (
        "Median over runs; in brackets, the interval of order statistics of the median: up to eight runs, "
        f"from the lowest to the highest. Probability that it contains the true median: {cases}. "
    )


def _against_note(comparison: Comparison) -> str:
    return (
        f"Each arm against “{comparison.arms[0].name}”: the ratio of medians; in brackets, its exact "
        "interval (Hodges–Lehmann, from the Mann–Whitney rank test), for arms whose runs differ by a "
        "factor, and the least probability that it contains the true ratio; and the p of that test, where "
        "there are enough runs for it to decide. Better, worse: p ≤ 0.05, and the medians differ by at "
        "least the minimum effect. No difference: the whole 95 % interval lies within the minimum effect; "
        "tested for each measure alone. Everything else is inconclusive. “Or more”: no upper end is known. * "
        f"Key measures: p is adjusted for their number (Holm), which takes {runs_needed(len(KEY_MEASURES))} "
        "valid runs per arm. The others are not adjusted: one in twenty may differ by chance. Nothing is "
        "adjusted for the number of arms."
    )

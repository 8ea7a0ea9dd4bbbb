"""Refusals as each side counted them, as text."""

from collections.abc import Mapping

from reports.analysis.judgement import judgement_of
from reports.analysis.refusals import Refusals, proxy_is_unknown
from reports.rundir.reader import Run, proxy_name
from reports.text import units
from reports.text.tables import TextTable

_CLOSED = "none, closed"


def refusal_table(runs: Mapping[str, Run]) -> TextTable | None:
    """Refusals in each of `runs`, which are by the name to show; None where nothing was refused."""
    storms = {name: judgement_of(run).summary.storm for name, run in runs.items()}
    found = {name: storm.refusals for name, storm in storms.items() if storm and storm.refusals}
    if not any(any(_counts(counted, sidecars=True)) for counted in found.values()):
        return None
    sidecars = any(counted.sidecars for counted in found.values())
    headings = (
        *("clients", proxy_name(runs.values())),
        *(("sidecars",) if sidecars else ()),
        *("pods", "unaccounted"),
        f"answers of {proxy_name(runs.values())}",
    )
    rows = {
        name: (
            *_row(counted, sidecars=sidecars, proxy_is_unknown=proxy_is_unknown(runs[name])),
            _answers(runs[name]),
        )
        for name, counted in found.items()
    }
    # Of an external target only the clients' own count is known.
    known = [
        place for place in range(len(headings)) if any(row[place] != units.NOTHING for row in rows.values())
    ]
    return TextTable(
        label="Refusals by a limit, as each side counted them",
        headings=("arm", *(headings[place] for place in known)),
        rows=tuple((name, *(row[place] for place in known)) for name, row in rows.items()),
    )


def _row(counted: Refusals, *, sidecars: bool, proxy_is_unknown: bool) -> tuple[str, ...]:
    cells = [*map(units.count, _counts(counted, sidecars=sidecars)), _unaccounted(counted)]
    if proxy_is_unknown:
        # And so is what is left of the clients' count without it.
        cells[1] = cells[-1] = "unknown"
    return tuple(cells)


def _answers(run: Run) -> str:
    """What the limits of the proxy answered, and to which share of the requests that they refused."""
    answers = run.info.proxy_log.answers if run.info.proxy_log else {}
    total = sum(answers.values())
    if not total:
        return units.NOTHING
    # A log format of the user's own may have no status.
    own = bool(run.info.scenario.get("edge", {}).get("nginx_conf"))
    names = {"444": _CLOSED, "0": "unknown" if own else _CLOSED}
    shares: dict[str, int] = {}
    for status, number in sorted(answers.items(), key=lambda each: -each[1]):
        name = names.get(status, status)
        shares[name] = shares.get(name, 0) + number
    if len(shares) == 1:
        return next(iter(shares))
    return "; ".join(f"{name}: {units.percent(number / total)}" for name, number in shares.items())


def _counts(counted: Refusals, *, sidecars: bool) -> tuple[int | None, ...]:
    between = (counted.sidecars,) if sidecars else ()
    return (counted.clients, counted.nginx, *between, counted.pods)


def _unaccounted(counted: Refusals) -> str:
    if not counted.unexplained:
        return units.count(counted.unexplained)
    text = f"{counted.unexplained:+,d}".replace("-", "\u2212")
    if counted.unseen and counted.unexplained < 0:
        return f"{text}, not seen by clients"
    return text if counted.agree else f"{text}, exceeds tolerance"

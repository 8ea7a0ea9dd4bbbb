"""The report on a search for settings, as plain text and in order."""

from msgspec import Struct

from reports.text import units
from reports.text.tables import TextTable
from reports.tuning.result import OBJECTIVES, Score, StockSettings, Tuned, Tuning, times_as_much

_WORDS = {
    "time_to_recover_s": "time to recover",
    "peak_load": "peak load",
    "nat_victim_s": "recovery time of the slowest shared-IP group",
}


class TunedPage(Struct, frozen=True, kw_only=True):
    """All of it; the template only lays it out."""

    title: str
    about: str
    headline: str
    sentences: tuple[str, ...]
    table: TextTable
    storms: TextTable | None
    """The storms of the chosen settings; None where nothing was chosen."""
    settings: str
    stock: TextTable | None
    """Stock clients; None where nothing was chosen."""
    command: str


def tuned_page(found: Tuning) -> TunedPage:
    """The content of the page."""
    chosen = found.named(found.chosen) if found.chosen else None
    return TunedPage(
        title=f"{found.scenario}: recommended settings",
        about=found.summary,
        headline=headline(found),
        sentences=sentences(found),
        table=finalists_table(found),
        storms=storms_table(chosen) if chosen else None,
        settings=found.settings,
        stock=stock_table(found) if found.stock_clients else None,
        command=found.command,
    )


def headline(found: Tuning) -> str:
    """The answer in a sentence or two."""
    if found.chosen:
        finalist = found.named(found.chosen)
        return f"Recommended: {finalist.name}: {_in_words(finalist.score)}."
    if not found.finalists:
        return "No candidate was evaluated on every storm."
    nearest = found.finalists[0]
    return f"No candidate meets all constraints. Closest: {nearest.name}: {'; '.join(nearest.broken)}."


def sentences(found: Tuning) -> tuple[str, ...]:
    """What was searched, and how far other settings are from the choice."""
    lines = [
        f"{found.tried:,} candidates in {found.storms:,} simulated storms of {found.clients:,} clients and "
        f"{found.pods} pods; {len(found.finalists)} finalists were evaluated on {_storms_played(found)}. "
        "Every figure is predicted, and the worst over a candidate's storms."
    ]
    if not found.complete:
        lines.append("The search was stopped before it was complete.")
    if found.chosen:
        best = found.named(found.chosen)
        if found.tried > 1:
            # The best of many is partly the luckiest.
            lines.append(
                "The choice is based on these storms: expect somewhat worse results with other seeds."
            )
        for origin, words in (
            ("incident's fix", "Fix of the incident"),
            ("now", "Current settings"),
            ("naive", "Retrying at once"),
            ("default options", "Default options"),
        ):
            other = found.of_origin(origin)
            if other:
                lines.append(f"{words} ({other.name}): {_against(other, best)}.")
    lines += _warnings(found)
    return (*lines, *found.notes)


def _warnings(found: Tuning) -> list[str]:
    """Where the policy of the chosen settings, or of the current ones, loses its jitter."""
    chosen = found.named(found.chosen) if found.chosen else None
    current = found.of_origin("now")
    looked_at = [("recommended settings", chosen)]
    if current != chosen:
        looked_at.append(("current settings", current))
    return [
        f"Warning: {words}: {one.collapse} {_on_one_value(one)}"
        for words, one in looked_at
        if one and one.collapse
    ]


def stock_table(found: Tuning) -> TextTable:
    """What each stock client can do of the recommended settings."""
    return TextTable(
        label="Stock clients: nearest options by the distance of their delays, not simulated",
        headings=("stock client", "settings", "lost"),
        rows=tuple(
            (one.client, _given(one), "; ".join(one.lost) or "nothing") for one in found.stock_clients
        ),
        words=frozenset({"stock client", "settings", "lost"}),
    )


def stock_lines(found: Tuning) -> list[str]:
    """The same for a terminal: those that can express the settings first."""
    able = [one for one in found.stock_clients if not one.lost]
    others = [one for one in found.stock_clients if one.lost]
    lines = ["", "Stock clients that can express the recommended policy:", ""] if able else []
    lines += [f"    {one.client}: {_given(one)}" for one in able]
    if others:
        lines += [
            "",
            "Least bad options of other stock clients, by the distance of their delays; no storm was "
            "simulated (tune --client NAME does that):",
            "",
        ]
    lines += [f"    {one.client}: {_given(one)} (lost: {'; '.join(one.lost)})" for one in others]
    return lines


def _given(one: StockSettings) -> str:
    return one.function or ", ".join(f"{key} = {value}" for key, value in one.options.items()) or "defaults"


def _on_one_value(one: Tuned) -> str:
    shares = ", ".join(units.percent(share) for share in one.on_one_value)
    return f"Share of clients on one value before attempt 0, 1, 2, …: {shares}."


def finalists_table(found: Tuning) -> TextTable:
    """Every finalist, from the best to the worst."""
    return TextTable(
        label="Finalists, worst storm of each",
        headings=(
            "settings",
            "time to recover",
            "peak load",
            "slowest shared-IP group recovered",
            "availability",
            "effective p99",
            "recovered",
            "",
        ),
        rows=tuple(
            (finalist.name, *_figures(finalist.score), _remark(found, finalist))
            for finalist in found.finalists
        ),
        words=frozenset({"settings", ""}),
    )


def finalist_lines(found: Tuning) -> list[str]:
    """The same for a terminal, where names are wider than columns: two lines for each."""
    lines = []
    for place, row in enumerate(finalists_table(found).rows, start=1):
        name, recover, load, back, served, p99, recovered, remark = row
        lines += [
            f"{place}. {name}" + (f"  [{remark}]" if remark else ""),
            f"   time to recover: {recover}; peak load: {load}; slowest shared-IP group recovered: {back}; "
            f"availability: {served}; effective p99: {p99}; storms recovered: {recovered}",
        ]
    return lines


def storms_table(finalist: Tuned) -> TextTable:
    """The chosen settings, storm by storm."""
    return TextTable(
        label="The recommended settings, storm by storm",
        headings=(
            "storm",
            "seed",
            "verdict",
            "time to recover",
            "peak load",
            "slowest shared-IP group recovered",
            "availability",
        ),
        rows=tuple(
            (
                each.trigger,
                str(each.seed),
                each.verdict,
                units.seconds(each.time_to_recover_s),
                units.percent(each.peak_load),
                units.seconds(each.nat_victim_s),
                units.percent(each.availability),
            )
            for each in finalist.outcomes
        ),
        words=frozenset({"verdict"}),
    )


def _figures(score: Score) -> tuple[str, ...]:
    return (
        _or_never(score.time_to_recover_s),
        units.percent(score.peak_load),
        _or_never(score.nat_victim_s),
        units.percent(score.availability),
        units.milliseconds(score.effective_p99_ms),
        f"{score.recovered} of {score.storms}",
    )


def _or_never(value: float | None) -> str:
    return "never" if value is None else units.seconds(value)


def _remark(found: Tuning, finalist: Tuned) -> str:
    remarks = [] if finalist.origin == "drawn" else [finalist.origin]
    if finalist.name == found.chosen:
        remarks.insert(0, "recommended")
    elif finalist.name in found.front:
        remarks.append("Pareto-optimal")
    return "; ".join([*remarks, *finalist.broken])


def _in_words(score: Score) -> str:
    return (
        f"worst storm: recovered after {_or_never(score.time_to_recover_s)}, peak load "
        f"{units.percent(score.peak_load)}, slowest shared-IP group recovered after "
        f"{_or_never(score.nat_victim_s)}, availability {units.percent(score.availability)}"
    )


def _against(other: Tuned, best: Tuned) -> str:
    if other.name == best.name:
        return "the same as recommended"
    if other.score.recovered < other.score.storms:
        lost = other.score.storms - other.score.recovered
        return f"{lost} of {other.score.storms} storms not recovered"
    factors = times_as_much(other.score, best.score)
    parts = [
        f"{units.times(value)} the {_WORDS[name]}"
        for name in OBJECTIVES
        if (value := factors[name]) is not None
    ]
    return ", ".join(parts)


def _storms_played(found: Tuning) -> str:
    if not found.complete:
        return f"{found.finalists[0].score.storms if found.finalists else 0} storms, the most that any played"
    seeds = "one seed" if found.seeds == 1 else f"{found.seeds} seeds"
    return f"all of them ({', '.join(found.triggers)}) with {seeds}"

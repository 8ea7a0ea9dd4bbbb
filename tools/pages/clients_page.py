"""The page of stock clients, and their figures."""

from pathlib import Path

from msgspec import Struct

from scenarios.policies.collapse import ATTEMPTS, DRAWS, outages
from scenarios.policies.outcome import OutcomeKind, reset_in_words
from scenarios.policies.registry import POLICIES
from scenarios.policies.stock.catalogue import STOCK
from scenarios.policies.stock.client import StockClient
from scenarios.reference.docstrings import Described, described
from scenarios.reference.parameters import Parameter, parameters
from tools.pages.client_facts import MINUTE_S, Facts, facts
from tools.pages.delays import spread
from tools.pages.figures import delays_figure, svg
from tools.pages.policies_page import alt_of_delays
from tools.pages.rendering import rendered

FIGURES = "clients"
"""Folder of the figures, beside the page."""

SEED = 1

_OUTCOMES = {
    OutcomeKind.CONNECT_ERROR: "a refused handshake (CONNECT_ERROR)",
    OutcomeKind.NAMESPACE_DISCONNECT: "a disconnect by the server (DISCONNECT)",
    OutcomeKind.HTTP_STATUS: "an HTTP status instead of the stream",
}


class Entry(Struct, frozen=True):
    """One stock client on the page."""

    name: str
    library: str
    version: str
    package: str
    described: Described
    parameters: list[Parameter]
    file: str
    starts_over: str
    stops_on: str
    """What stops it; empty: nothing."""
    facts: Facts
    alt: str
    drawing: str
    """The figure as SVG; empty for a client that makes no attempt."""


def entries() -> list[Entry]:
    """All stock clients, in the order of the catalogue."""
    return [_entry(name, kind) for name, kind in STOCK.items()]


def page(clients: list[Entry]) -> str:
    """The page in Markdown."""
    return rendered("clients.md.j2", clients=clients, draws=DRAWS, figures=FIGURES)


def drawings(clients: list[Entry]) -> dict[Path, str]:
    """The figures, by where they belong below docs/."""
    return {Path(FIGURES) / f"{entry.name}.svg": entry.drawing for entry in clients if entry.drawing}


def _entry(name: str, kind: type[StockClient]) -> Entry:
    client = kind()
    chains = outages(client, seed=SEED, until_s=MINUTE_S)
    found = spread([chain[:ATTEMPTS] for chain in chains], attempts=ATTEMPTS)
    attempts = bool(found.median_s)
    alt = alt_of_delays(name, found) if attempts else ""
    return Entry(
        name=name,
        library=kind.library,
        version=kind.version,
        package=kind.package.replace(":", " package ", 1),
        described=described(kind),
        parameters=parameters(kind, defaults=POLICIES[name][1]),
        file=f"{kind.__module__.replace('.', '/')}.py",
        starts_over=reset_in_words(client.reset),
        stops_on=stops_on(client),
        facts=facts(chains),
        alt=alt,
        drawing=svg(delays_figure(found), alt) if attempts else "",
    )


def stops_on(client: StockClient) -> str:
    """What stops it, in words."""
    kinds = [_OUTCOMES[kind] for kind in sorted(client.stops_on)]
    return ", or ".join([*kinds, *([client.final] if client.final else [])])

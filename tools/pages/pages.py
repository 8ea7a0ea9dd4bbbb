"""All that is generated below docs/: where it belongs, and what is in it."""

from pathlib import Path

from tools.pages import (
    events_page,
    findings_page,
    limits_page,
    lint_page,
    scenarios_page,
    stock_fleets_page,
)
from tools.pages.rendering import rendered

INDEX = Path("README.md")


def pages(docs: Path) -> dict[Path, str]:
    """The contents of every generated file, by its path below `docs`.

    The index also lists pages of `docs` that its template does not know.
    """
    # matplotlib takes longer to load than all the rest.
    from tools.pages import clients_page, policies_page  # noqa: PLC0415

    policies = policies_page.entries()
    clients = clients_page.entries()
    generated = {
        Path("policies.md"): policies_page.page(policies),
        Path("clients.md"): clients_page.page(clients),
        Path("limits.md"): limits_page.page(),
        Path("events.md"): events_page.page(),
        Path("report-findings.md"): findings_page.page(),
        Path("lint.md"): lint_page.page(),
        Path("scenarios.md"): scenarios_page.page(),
        Path("stock-fleets.md"): stock_fleets_page.page(),
        **policies_page.drawings(policies),
        **clients_page.drawings(clients),
    }
    written = {
        path.relative_to(docs): path.read_text(encoding="utf-8")
        for path in docs.glob("*.md")
        if path.name != INDEX.name
    }
    titles = {path: title(text) for path, text in {**written, **generated}.items() if path.suffix == ".md"}
    index = rendered("index.md.j2", titles=titles, others=[])
    others = sorted(path for path in titles if f"]({path})" not in index)
    return {INDEX: rendered("index.md.j2", titles=titles, others=others), **generated}


def title(text: str) -> str:
    """The first heading of a page in Markdown."""
    return next((line[2:].strip() for line in text.splitlines() if line.startswith("# ")), "without a title")


def differences(docs: Path) -> list[str]:
    """Which files below `docs` are not what would be generated, one line each."""
    wanted = pages(docs)
    return [
        *(f"{docs / path}: out of date" for path, text in wanted.items() if _on_disk(docs / path) != text),
        *(f"{docs / path}: no longer generated" for path in _left_over(docs, wanted)),
    ]


def write(docs: Path) -> list[str]:
    """Writes what is out of date, removes figures that are no longer generated; one line for each."""
    wanted = pages(docs)
    done = []
    for path, text in wanted.items():
        if _on_disk(docs / path) != text:
            (docs / path).parent.mkdir(parents=True, exist_ok=True)
            (docs / path).write_text(text, encoding="utf-8")
            done.append(f"{docs / path}: written")
    for path in _left_over(docs, wanted):
        (docs / path).unlink()
        done.append(f"{docs / path}: removed")
    return done


def _on_disk(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


def _left_over(docs: Path, wanted: dict[Path, str]) -> list[Path]:
    folders = {path.parent for path in wanted if path.suffix == ".svg"}
    there = [path.relative_to(docs) for folder in folders for path in (docs / folder).glob("*.svg")]
    return sorted(path for path in there if path not in wanted)

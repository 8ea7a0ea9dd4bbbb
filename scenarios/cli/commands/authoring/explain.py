"""The documentation of one word, in the terminal."""

import shutil
from importlib.metadata import PackageNotFoundError, metadata

import click

from scenarios.cli.terminal import fail

MOST_SHOWN = 4
"""Of more topics, only the names are listed."""
WIDEST = 100


@click.command("explain")
@click.argument("words", nargs=-1, metavar="[WORD]...")
def explain_command(words: tuple[str, ...]) -> None:
    """Explain a key, policy, limit, event, verdict, measure, reason or rule of lint.

    WORD is a key such as fleet.policy, the name of a policy, limit, event, verdict, measure or rule, or the
    sentence of a report that says why a run is INVALID. Without a word, everything that can be explained is
    listed.
    """
    from scenarios.reference.lookup import found, similar  # noqa: PLC0415
    from scenarios.reference.topic import explanation, listing  # noqa: PLC0415
    from scenarios.reference.topics import topics  # noqa: PLC0415

    width = min(WIDEST, shutil.get_terminal_size().columns)
    known = topics()
    if not words:
        click.echo(listing(known, width))
        if address := _documentation():
            click.echo(f"\npages of docs/ are at {address}")
        return
    text = " ".join(words)
    matches = found(text, known)
    if not matches:
        near = similar(text, known)
        suggestion = f"did you mean {' or '.join(near)}? " if near else ""
        fail(f"{text}: nothing to explain: {suggestion}`reconnect-storm explain` lists all words")
    if len(matches) > MOST_SHOWN:
        click.echo(f"{text} is in several places; explain one of them:\n")
        for topic in matches:
            click.echo(f"  {topic.name}: {topic.kind}")
        return
    click.echo("\n\n\n".join(explanation(topic, width) for topic in matches))


def _documentation() -> str:
    """Where the pages are; empty where the program is not installed."""
    try:
        urls = metadata("reconnect-storm").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    return next((url.partition(", ")[2] for url in map(str, urls) if url.startswith("Documentation, ")), "")

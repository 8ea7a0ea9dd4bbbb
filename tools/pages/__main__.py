"""`python -m tools.pages`: writes what is generated, or with `--check` says what is out of date."""

import sys
from pathlib import Path

import click

from tools.pages import data, pages

DOCS = Path(__file__).parents[2] / "docs"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--check", is_flag=True, help="Write nothing; exit status 1 if a page is out of date.")
@click.option(
    "--docs",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=DOCS,
    help="Folder of the pages; by default docs/ of this repository.",
)
def main(check: bool, docs: Path) -> None:
    """Write the pages of docs/, and the data of the program, that come from the code."""
    if not check:
        for line in [*data.write(), *pages.write(docs)]:
            click.echo(line)
        return
    found = [*data.differences(), *pages.differences(docs)]
    for line in found:
        click.echo(line, err=True)
    if found:
        click.echo("run `make docs` to write them again", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()

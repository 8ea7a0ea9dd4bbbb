"""The JSON Schema of files and results."""

import json
from pathlib import Path

import click

from reports.rundir.files import replacing
from scenarios.cli.terminal import fail
from scenarios.reference.definitions import JsonSchema


@click.command("schema")
@click.argument("what", type=click.Choice(["scenario", "result", "run"]), default="scenario")
@click.option(
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file instead, such as .storm.schema.json.",
)
def schema_command(what: str, file: Path | None) -> None:
    """Print the JSON Schema of scenario files, results or run.json.

    WHAT is scenario (the default), result (what commands print with --json) or run (run.json). Editors
    complete and check a scenario file whose first line names the schema: `#:schema ./.storm.schema.json`.
    """
    text = json.dumps(_schema(what), indent=2, ensure_ascii=False)
    if file is None:
        click.echo(text)
        return
    try:
        with replacing(file) as stream:
            stream.write(f"{text}\n")
    except OSError as error:
        fail(f"--output: {file}: {error.strerror}")
    click.echo(f"schema: {file}")


def _schema(what: str) -> JsonSchema:
    # Results have types of all commands; a scenario needs none of them.
    if what == "scenario":
        from scenarios.reference.scenario_schema import stored_schema  # noqa: PLC0415

        return stored_schema()
    from scenarios.cli.commands.doctor import Finding  # noqa: PLC0415
    from scenarios.reference.result_schema import result_schema, run_schema  # noqa: PLC0415

    return run_schema() if what == "run" else result_schema({"doctor": tuple[Finding, ...]})

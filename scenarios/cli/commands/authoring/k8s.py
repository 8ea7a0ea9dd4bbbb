"""What to apply to a cluster for a scenario."""

import re
from importlib.metadata import version
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from scenarios.bench.result import BenchResult
from scenarios.cli.options import SET_OPTION, TARGET_OPTIONS, decorated_by, scenario_argument, target_override
from scenarios.cli.terminal import fail, usage_errors
from scenarios.fields import invalid
from scenarios.kubernetes.complaints import cluster_complaints
from scenarios.kubernetes.manifests import Wanted, manifests, yaml_text
from scenarios.kubernetes.notes import notes
from scenarios.kubernetes.size import Figures, size_of
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import file_of, load, refuse_set_by_arms
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import secrets_in, secrets_of
from scenarios.scenario.validate import ScenarioError

_WITH_ARMS = ("compare",)
_LONGEST_NAME = 50
"""Letters of a scenario's name in names of objects, which have up to 63."""
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")


@click.command("k8s")
@scenario_argument("mass-drop")
@SET_OPTION
@decorated_by(*TARGET_OPTIONS)
@click.option(
    "--command",
    type=click.Choice(["compare", "run", "rehearse", "gate"]),
    default="compare",
    show_default=True,
    help="What the storm's job does.",
)
@click.option(
    "--image",
    default=lambda: f"registry.example/reconnect-storm:{version('reconnect-storm')}",
    show_default="registry.example/reconnect-storm:VERSION",
    help="Image of this program, where you pushed it.",
)
@click.option("--namespace", default="reconnect-storm", show_default=True, help="Namespace of all objects.")
@click.option(
    "--bench",
    "bench_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What one worker can do: JSON of `reconnect-storm bench --json`, run where the workers will run."
    "  [default: the figures of docs/generator.md]",
)
@click.option(
    "--attempts-per-s",
    type=click.FloatRange(min=1),
    help="Connection attempts at the peak, of all clients.  [default: one of each client in one second, or"
    " fleet.max_attempts_per_s]",
)
@click.option(
    "--workers", type=click.IntRange(1, 10_000), help="Number of generator processes.  [default: computed]"
)
def k8s_command(
    scenario_name: str,
    overrides: tuple[str, ...],
    target: str,
    allow_remote: bool,
    command: str,
    image: str,
    namespace: str,
    bench_file: Path | None,
    attempts_per_s: float | None,
    workers: int | None,
) -> None:
    """Print the Kubernetes manifests for a storm, sized for its scenario.

    Pods of the built-in stub, nginx, the Locust master and as many workers as the scenario needs, and a job
    that plays it. With --target, only the job, which then has the clients itself. The job is suspended:
    applying the manifests starts no storm. What to type, and the computed size, is on standard error.

    Exit status: 0 good, 2 usage or configuration.
    """
    _check_names(image, namespace)
    given = (*overrides, *target_override(target))
    with usage_errors(ScenarioError):
        scenario = load(scenario_name, given)
        if command in _WITH_ARMS:
            refuse_set_by_arms(scenario, overrides)
        every = _played(scenario, command)
        for arm in every:
            for complaint in cluster_complaints(arm, allow_remote=allow_remote):
                raise ScenarioError(complaint)
    if any(secrets_in(given)):
        fail("--set: has secrets, which everybody can read in a job: expected them in the scenario file")
    external = bool(scenario.target.url)
    if external and workers:
        fail("--workers: not supported with a target: the storm's job has the clients itself, in one process")
    figures = _figures(bench_file)
    hidden = any(secrets_of(scenario))
    wanted = Wanted(
        name=re.sub(r"[^a-z0-9]+", "-", scenario.name.lower()).strip("-")[:_LONGEST_NAME].strip("-")
        or "mine",
        text="" if hidden else file_of(scenario_name).read_text(encoding="utf-8"),
        arguments=(
            *(part for override in given for part in ("--set", override)),
            *(("--allow-remote",) if external else ()),
        ),
        command=command,
        image=image,
        namespace=namespace,
        size=size_of(every, figures, attempts_per_s=attempts_per_s, workers=1 if external else workers),
        external=external,
    )
    for note in notes(wanted, figures):
        click.echo(f"# {note}", err=True)
    click.echo(yaml_text(manifests(wanted)), nl=False)


def _check_names(image: str, namespace: str) -> None:
    if not _NAMESPACE.fullmatch(namespace):
        fail(invalid("--namespace", namespace, "up to 63 of a-z, 0-9 and -, none of them - at either end"))
    if not _IMAGE.fullmatch(image):
        fail(invalid("--image", image, "a name such as registry.example/reconnect-storm:1.0"))


def _played(scenario: Scenario, command: str) -> list[Scenario]:
    """What the command plays of it: every arm, or the scenario without its matrix."""
    if command in _WITH_ARMS:
        return [*arms(scenario).values()]
    return [replace(scenario, matrix={}, arms={})]


def _figures(file: Path | None) -> Figures:
    """What one generator process can do, by the file or by docs/generator.md."""
    if file is None:
        return Figures()
    try:
        found = msgspec.json.decode(file.read_bytes(), type=BenchResult)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        fail(f"--bench: {file}: invalid: {error}: expected what `reconnect-storm bench --json` prints")
    if found.connecting is None:
        fail(f"--bench: {file}: has no connects: expected a bench without --target")
    return Figures(
        ticks_per_cpu_s=found.reception.ticks_per_cpu_s,
        connects_per_cpu_s=found.connecting.connects_per_cpu_s,
        kb_per_client=found.connecting.kb_per_client,
    )

"""What to know, and what to type, beside the manifests of a storm."""

from collections.abc import Iterator

from reports.text.units import count, percent
from scenarios.host.machine import needed_descriptors
from scenarios.kubernetes.manifests import Wanted
from scenarios.kubernetes.size import MOST_LOAD, WORKER_DESCRIPTORS, Figures

_CREATE = 'create secret generic token --from-literal=token="$(openssl rand -hex 32)"'


def notes(wanted: Wanted, figures: Figures) -> Iterator[str]:
    """Lines about the size, and the commands in their order."""
    yield from _sizes(wanted, figures)
    yield from _commands(wanted)


def _sizes(wanted: Wanted, figures: Figures) -> Iterator[str]:
    size = wanted.size
    yield (
        f"{count(size.clients)} clients: {count(round(size.ticks_per_s))} ticks and"
        f" {count(round(size.attempts_per_s))} attempts per second at the peak take {size.cores:.1f} cores of"
        f" the generator, with {count(round(figures.ticks_per_cpu_s))} ticks and"
        f" {count(round(figures.connects_per_cpu_s))} connects per CPU-second"
    )
    if wanted.external:
        if size.cores > MOST_LOAD:
            yield (
                "a run against an external target has one generator process, which may use"
                f" {percent(MOST_LOAD)} of a core: this one will be late, and the run INVALID"
            )
    else:
        yield (
            f"workers: {size.workers}, each up to {percent(MOST_LOAD)} of a core, and {size.worker_mib} MiB;"
            f" pods: {size.gateways}, each with {size.gateway_milli_cpu}m CPU and {size.gateway_mib} MiB;"
            f" nginx: {size.nginx_mib} MiB"
        )
        if size.workers < size.enough_workers:
            yield (
                f"workers: {size.workers} are fewer than the {size.enough_workers} that this storm takes:"
                " they will be late, or refuse clients, and the run will be INVALID"
            )
        if (needed := needed_descriptors(size.clients)) > WORKER_DESCRIPTORS:
            yield (
                f"nginx needs {count(needed)} open files: the container runtime of its node has to allow them"
            )


def _commands(wanted: Wanted) -> Iterator[str]:
    kubectl = f"kubectl --namespace {wanted.namespace}"
    yield "the storm is suspended until you start it:"
    if not wanted.external or not wanted.text:
        yield f"    kubectl create namespace {wanted.namespace}"
    if not wanted.external:
        yield f"    {kubectl} {_CREATE}"
    if not wanted.text:
        yield f"    {kubectl} create secret generic {wanted.job} --from-file={wanted.file}=FILE"
    yield "    reconnect-storm k8s … | kubectl apply --filename -"
    if not wanted.external:
        yield f"    {kubectl} rollout status deployment --timeout 5m"
    yield f'    {kubectl} patch job {wanted.job} --patch \'{{"spec": {{"suspend": false}}}}\''
    yield f"    {kubectl} logs --follow job/{wanted.job}"
    yield f"to play it again: {kubectl} delete job {wanted.job}, and apply"

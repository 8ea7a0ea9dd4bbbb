"""The manifests of `deploy/kubernetes` for one scenario, as text.

They get the namespace and the labels that the kustomization in that folder gives them, so both can be applied
to one cluster.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from scenarios.kubernetes.size import Size

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
LABELS: Mapping[str, str] = {"app.kubernetes.io/part-of": "reconnect-storm"}
SCENARIO_FOLDER = "/etc/reconnect-storm"
_VOLUME = "scenario"
_RUNNER_MIB = 512
"""Of the job, besides the clients that it may have."""
SELECTING = {"Deployment": ("selector", "matchLabels"), "Service": ("selector",)}
"""Where kinds of objects select pods by labels, inside their `spec`."""

_ALWAYS = ("namespace.yaml", "network-policy.yaml", "runs.yaml")
_OWN_STACK = ("gateway.yaml", "nginx.yaml", "locust-master.yaml", "locust-worker.yaml")

Object = dict[str, Any]


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be played, where, and how large."""

    name: str
    """Of the scenario, as part of an object's name."""
    text: str
    """The scenario file; empty where its secrets must not be printed, and a Secret has it."""
    arguments: tuple[str, ...]
    """Of the command, behind the scenario: overrides and a target."""
    command: str
    image: str
    namespace: str
    size: Size
    external: bool
    """The target is somebody else's: no pods and no nginx, and the job has the clients itself."""

    @property
    def job(self) -> str:
        """Name of the job, and of the ConfigMap or Secret with the scenario file."""
        return f"storm-{self.name}"

    @property
    def file(self) -> str:
        """Name of the scenario file."""
        return f"{self.name}.toml"


def manifests(wanted: Wanted) -> list[Object]:
    """All objects, those first that others need. The job is suspended: nothing storms by being applied."""
    files = (*_ALWAYS, *(() if wanted.external else _OWN_STACK))
    found = [found for file in files for found in _read(file)]
    if wanted.text:
        found.append(_config_map(wanted))
    found.append(_job(wanted))
    for each in found:
        _adapt(each, wanted)
    return found


def yaml_text(objects: Iterable[Object]) -> str:
    """The objects as documents of one YAML stream."""
    return yaml.dump_all(
        objects, Dumper=_Dumper, explicit_start=True, sort_keys=False, allow_unicode=True, width=1_000_000
    )


def _read(file: str) -> list[Object]:
    return list(yaml.safe_load_all((FOLDER / file).read_text(encoding="utf-8")))


def _config_map(wanted: Wanted) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": wanted.job},
        "data": {wanted.file: wanted.text},
    }


def _job(wanted: Wanted) -> Object:
    (job,) = _read("storm.yaml")
    metadata, spec = job["metadata"], job["spec"]
    del metadata["generateName"]
    metadata["name"] = wanted.job
    spec["suspend"] = True
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    container["args"] = [wanted.command, f"{SCENARIO_FOLDER}/{wanted.file}", *wanted.arguments]
    container["volumeMounts"].append({"name": _VOLUME, "mountPath": SCENARIO_FOLDER, "readOnly": True})
    source = {"configMap": {"name": wanted.job}} if wanted.text else {"secret": {"secretName": wanted.job}}
    pod["volumes"].append({"name": _VOLUME, **source})
    if wanted.external:
        del container["env"]
        container["resources"]["requests"]["cpu"] = "2"
        _set_memory(container, wanted.size.worker_mib + _RUNNER_MIB)
    return job


def _adapt(found: Object, wanted: Wanted) -> None:
    """Namespace, labels, image, and what depends on the size."""
    kind, metadata = found["kind"], found["metadata"]
    if kind == "Namespace":
        metadata["name"] = wanted.namespace
    else:
        metadata["namespace"] = wanted.namespace
    metadata["labels"] = {**metadata.get("labels", {}), **LABELS}
    if kind in SELECTING:
        selected = found["spec"]
        for step in SELECTING[kind]:
            selected = selected[step]
        selected.update(LABELS)
    if "template" not in found.get("spec", {}):
        return
    template = found["spec"]["template"]
    template["metadata"]["labels"].update(LABELS)
    container = template["spec"]["containers"][0]
    container["image"] = wanted.image
    _resize(found, container, wanted.size)


def _resize(found: Object, container: Object, size: Size) -> None:
    match found["kind"], found["metadata"]["name"]:
        case "Deployment", "gateway":
            found["spec"]["replicas"] = size.gateways
            _set_memory(container, size.gateway_mib)
            for bound in ("requests", "limits"):
                container["resources"][bound]["cpu"] = f"{size.gateway_milli_cpu}m"
        case "Deployment", "nginx":
            _set_memory(container, size.nginx_mib)
        case "Deployment", "locust-worker":
            found["spec"]["replicas"] = size.workers
            _set_memory(container, size.worker_mib)
        case "Deployment", "locust-master":
            container["command"].append(f"--expect-workers={size.workers}")


def _set_memory(container: Object, mib: int) -> None:
    """What is to be expected as the request, and twice that as the limit."""
    container["resources"]["requests"]["memory"] = f"{mib}Mi"
    container["resources"]["limits"]["memory"] = f"{2 * mib}Mi"


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a block."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)

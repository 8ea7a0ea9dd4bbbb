"""What `reconnect-storm k8s` prints: valid for Kubernetes, sized, and like the kustomization beside it."""

import shutil
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import yaml

from scenarios.kubernetes.manifests import FOLDER, SCENARIO_FOLDER, Wanted, manifests, yaml_text
from scenarios.kubernetes.size import Size

VERSIONS = ("1.28", "1.37")
"""The oldest and the newest release that the validator has schemas for."""
TEXT = '#:schema ./x.json\nsummary = "Ü: a storm"  \n\n[fleet]\nclients = 50000\n'
SIZE = Size(
    clients=50_000,
    ticks_per_s=250_000,
    attempts_per_s=50_000,
    cores=9.5,
    workers=19,
    enough_workers=19,
    worker_mib=128,
    gateways=9,
    gateway_milli_cpu=250,
    gateway_mib=320,
    nginx_mib=1408,
)


def wanted(**keys: Any) -> Wanted:
    usual: dict[str, Any] = {
        "name": "mass-drop",
        "text": TEXT,
        "arguments": ("--set", "fleet.clients=50000"),
        "command": "compare",
        "image": "registry.test/storm:1.2.3",
        "namespace": "load",
        "size": SIZE,
        "external": False,
    }
    return Wanted(**{**usual, **keys})


CASES = {
    "the stub": wanted(),
    "somebody else's gateway": wanted(external=True),
    "a scenario with secrets": wanted(text=""),
}


def parsed(of: Wanted) -> dict[str, dict[str, Any]]:
    """What is printed, read again, by kind and name."""
    found = list(yaml.safe_load_all(yaml_text(manifests(of))))
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in found}


def container(found: dict[str, Any]) -> dict[str, Any]:
    (only,) = found["spec"]["template"]["spec"]["containers"]
    result: dict[str, Any] = only
    return result


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_every_object_is_what_the_schema_allows(case: str, version: str) -> None:
    for found in parsed(CASES[case]).values():
        kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_in_the_namespace_and_has_the_image(case: str) -> None:
    for name, found in parsed(CASES[case]).items():
        if name == "Namespace/load":
            continue
        assert found["metadata"]["namespace"] == "load"
        assert found["metadata"]["labels"]["app.kubernetes.io/part-of"] == "reconnect-storm"
        if "template" in found["spec"] if "spec" in found else False:
            assert container(found)["image"] == "registry.test/storm:1.2.3"


def test_numbers_and_sizes_are_those_that_were_computed() -> None:
    found = parsed(wanted())
    gateway, worker = found["Deployment/gateway"], found["Deployment/locust-worker"]
    assert gateway["spec"]["replicas"] == 9
    assert container(gateway)["resources"] == {
        "requests": {"cpu": "250m", "memory": "320Mi"},
        "limits": {"cpu": "250m", "memory": "640Mi"},
    }
    assert container(found["Deployment/nginx"])["resources"]["requests"]["memory"] == "1408Mi"
    assert worker["spec"]["replicas"] == 19
    assert container(worker)["resources"]["requests"] == {"cpu": "1", "memory": "128Mi"}
    assert "--expect-workers=19" in container(found["Deployment/locust-master"])["command"]


def test_the_job_waits_until_it_is_started_and_plays_the_scenario_of_the_config_map() -> None:
    found = parsed(wanted())
    job, config = found["Job/storm-mass-drop"], found["ConfigMap/storm-mass-drop"]
    assert job["spec"]["suspend"] is True
    assert config["data"] == {"mass-drop.toml": TEXT}
    file = f"{SCENARIO_FOLDER}/mass-drop.toml"
    assert container(job)["args"] == ["compare", file, "--set", "fleet.clients=50000"]
    (volume,) = [each for each in job["spec"]["template"]["spec"]["volumes"] if each["name"] == "scenario"]
    assert volume["configMap"] == {"name": "storm-mass-drop"}
    (mount,) = [each for each in container(job)["volumeMounts"] if each["name"] == "scenario"]
    assert mount["mountPath"] == SCENARIO_FOLDER


def test_a_scenario_with_secrets_is_in_no_object() -> None:
    found = parsed(wanted(text=""))
    assert not [name for name in found if name.startswith(("ConfigMap/", "Secret/"))]
    volumes = found["Job/storm-mass-drop"]["spec"]["template"]["spec"]["volumes"]
    assert {"name": "scenario", "secret": {"secretName": "storm-mass-drop"}} in volumes


def test_somebody_elses_gateway_gets_a_job_alone() -> None:
    found = parsed(wanted(external=True))
    assert not [name for name in found if name.startswith(("Deployment/", "Service/"))]
    storm = container(found["Job/storm-mass-drop"])
    assert "env" not in storm
    assert storm["resources"] == {"requests": {"cpu": "2", "memory": "640Mi"}, "limits": {"memory": "1280Mi"}}


def test_a_scenario_can_be_read_in_the_config_map() -> None:
    assert "  mass-drop.toml: |\n    summary" in yaml_text(manifests(wanted(text="summary = 1\n[fleet]\n")))


# -- beside the kustomization --------------------------------------------------------------------------------


def merged() -> list[dict[str, Any]]:
    """The kustomization as kustomize reads it, as far as it is used here: namespace and labels."""
    (kustomization,) = yaml.safe_load_all((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    (labels,) = (each["pairs"] for each in kustomization["labels"])
    found = []
    for file in kustomization["resources"]:
        for each in yaml.safe_load_all((FOLDER / file).read_text(encoding="utf-8")):
            spec = each.get("spec", {})
            if each["kind"] != "Namespace":
                each["metadata"]["namespace"] = kustomization["namespace"]
            each["metadata"].setdefault("labels", {}).update(labels)
            if each["kind"] == "Deployment":
                spec["selector"]["matchLabels"].update(labels)
                spec["template"]["metadata"]["labels"].update(labels)
            if each["kind"] == "Service":
                spec["selector"].update(labels)
            found.append(each)
    return found


def identities(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """What cannot be changed of an object that is there, and what it is found by."""
    return {
        f"{each['kind']}/{each['metadata']['name']}": (
            each["metadata"].get("namespace"),
            each["metadata"]["labels"],
            each.get("spec", {}).get("selector"),
        )
        for each in objects
    }


def test_what_is_printed_can_be_applied_over_the_kustomization() -> None:
    printed = identities(manifests(wanted(namespace="reconnect-storm")))
    there = identities(merged())
    assert {name: printed[name] for name in there} == there
    assert set(printed) - set(there) == {"Job/storm-mass-drop", "ConfigMap/storm-mass-drop"}


def test_kustomize_reads_the_kustomization_like_this_test() -> None:
    if shutil.which("kubectl") is None:
        return  # The comparison above rests on the merge of this test alone.
    done = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, timeout=60, check=True
    )
    assert identities(list(yaml.safe_load_all(done.stdout))) == identities(merged())

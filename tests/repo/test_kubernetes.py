"""The manifests of deploy/kubernetes are what Kubernetes' own schemas allow, and fit together."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
VERSIONS = ("1.28", "1.37")
"""The oldest and the newest release that the validator has schemas for."""


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


KUSTOMIZATION = documents(FOLDER / "kustomization.yaml")[0]
OBJECTS = {
    f"{document['kind']}/{document['metadata'].get('name', 'storm')}": document
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in documents(path)
}
WORKLOADS = {name: object_ for name, object_ in OBJECTS.items() if "template" in object_.get("spec", {})}


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = WORKLOADS[name]["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    (only,) = pod(name)["containers"]
    found: dict[str, Any] = only
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_what_the_schema_allows(name: str, version: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], version, strict=True)


def test_a_misspelt_key_would_be_found() -> None:
    deployment = {**OBJECTS["Deployment/gateway"], "spce": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


def test_the_kustomization_has_every_file_but_the_job() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "storm.yaml"}
    assert sorted(KUSTOMIZATION["resources"]) == sorted(files)


def test_the_job_and_the_kustomization_take_the_same_image() -> None:
    (image,) = KUSTOMIZATION["images"]
    assert container("Job/storm")["image"] == f"{image['newName']}:{image['newTag']}"
    others = {container(name)["image"] for name in WORKLOADS if name != "Job/storm"}
    assert others == {image["name"]}


def test_the_job_has_the_labels_and_the_namespace_of_the_others() -> None:
    job = OBJECTS["Job/storm"]
    assert job["metadata"]["namespace"] == KUSTOMIZATION["namespace"]
    (labels,) = KUSTOMIZATION["labels"]
    assert labels["pairs"].items() <= job["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("name", [name for name in OBJECTS if name.startswith("Service/")])
def test_a_service_leads_to_ports_of_its_workload(name: str) -> None:
    service = OBJECTS[name]["spec"]
    workload = f"Deployment/{name.partition('/')[2]}"
    labels = WORKLOADS[workload]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    ports = {(port["name"], port["containerPort"]) for port in container(workload)["ports"]}
    assert {(port["name"], port["port"]) for port in service["ports"]} == ports


def test_a_selector_selects_what_the_template_makes() -> None:
    for name in WORKLOADS:
        if name != "Job/storm":
            spec = WORKLOADS[name]["spec"]
            labels = spec["template"]["metadata"]["labels"]
            assert spec["selector"]["matchLabels"].items() <= labels.items()


def test_every_address_of_a_storm_is_a_service_with_that_port() -> None:
    for name in WORKLOADS:
        for variable in container(name).get("env", []):
            if variable["name"].startswith("RECONNECT_STORM_") and "value" in variable:
                host, _, port = variable["value"].partition(":")
                ports = OBJECTS[f"Service/{host}"]["spec"]["ports"]
                assert int(port) in {each["port"] for each in ports}, variable


def test_a_busy_gateway_is_not_restarted() -> None:
    gateway = container("Deployment/gateway")
    assert gateway["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "agent"}
    assert gateway["readinessProbe"]["httpGet"] == {"path": "/healthz/readiness", "port": "control"}


def test_a_gateway_has_a_ceiling_and_may_always_reach_it() -> None:
    resources = container("Deployment/gateway")["resources"]
    assert resources["limits"]["cpu"] == resources["requests"]["cpu"]


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_may_do_nothing_that_it_need_not(name: str) -> None:
    assert pod(name)["automountServiceAccountToken"] is False
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    memory = container(name)["resources"]["limits"]["memory"]
    assert memory.endswith(("Mi", "Gi"))


def test_tests_from_the_web_ui_go_to_our_own_nginx_alone() -> None:
    command = container("Deployment/locust-master")["command"]
    assert "--own-target=http://nginx:8080" in command
    assert "--web-name=locust-master" in command
    for name in WORKLOADS:
        words = [*container(name).get("command", ()), *container(name).get("args", ())]
        assert not [word for word in words if word.startswith(("--allow-remote", "--host=http"))]


def test_nginx_believes_nobody_outside_its_own_network_unless_told_to() -> None:
    (trust,) = [
        variable["value"]
        for variable in container("Deployment/nginx")["env"]
        if variable["name"] == "AGENT_NGINX_TRUST"
    ]
    assert trust == ""


def test_the_token_is_in_no_file() -> None:
    assert not any(name.startswith("Secret/") for name in OBJECTS)
    for name in WORKLOADS:
        for variable in container(name).get("env", []):
            if "TOKEN" in variable["name"]:
                assert variable["valueFrom"]["secretKeyRef"] == {"name": "token", "key": "token"}

"""Dockerfile, compose file and what belongs to them, as far as that can be seen without an engine."""

import ipaddress
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "reconnect-storm"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SCRIPTS = (*sorted(f".ci/{path.name}" for path in (ROOT / ".ci").iterdir()), "deploy/healthy.sh")


def defaults(text: str) -> str:
    """A value of the compose file with each variable's default in its place."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_no_variable_of_the_compose_file_has_to_be_set() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert "$" not in re.sub(r"\$\{\w+:-[^}]*\}", "", text)


@pytest.mark.parametrize("name", OURS)
def test_a_service_may_do_nothing_that_it_need_not(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert defaults(service["user"]) == "1000:1000"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert ipaddress.ip_address(defaults(port).split(":")[0]).is_loopback


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_gets_the_docker_socket(name: str) -> None:
    assert not any("docker.sock" in volume for volume in SERVICES[name].get("volumes", ()))


@pytest.mark.parametrize("name", SERVICES)
def test_folders_that_a_service_is_given_are_there(name: str) -> None:
    for volume in SERVICES[name].get("volumes", ()):
        source = defaults(volume).split(":")[0]
        if source.startswith("."):
            assert (ROOT / source).exists(), source
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_cannot_take_the_whole_machine(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", defaults(SERVICES[name]["mem_limit"]))
    # docker-compose 1.29 takes no variable here.
    assert isinstance(SERVICES[name]["pids_limit"], int)
    assert 0 < SERVICES[name]["pids_limit"] <= 4096


def test_an_image_can_be_named_by_its_digest() -> None:
    base = defaults(SERVICES["gateway"]["build"]["args"]["BASE"])
    assert re.findall(r"^ARG BASE=(.+)$", DOCKERFILE, re.MULTILINE) == [base]
    for name in SERVICES.keys() - OURS:
        assert SERVICES[name]["image"].startswith("${")


def test_tests_from_the_web_ui_go_to_our_own_nginx_alone() -> None:
    command = SERVICES["locust-master"]["command"]
    assert command[command.index("--own-target") + 1] == "http://nginx:8080"
    for service in SERVICES.values():
        assert "--allow-remote" not in service.get("command", ())
        assert "--host" not in service.get("command", ())


def test_prometheus_may_ask_the_master_by_the_name_that_it_uses() -> None:
    prometheus = (ROOT / "deploy" / "monitoring" / "prometheus.yml").read_text(encoding="utf-8")
    command = SERVICES["locust-master"]["command"]
    assert f'"{command[command.index("--web-name") + 1]}:8089"' in prometheus


def test_addresses_of_the_storm_are_services() -> None:
    for name, value in SERVICES["storm"]["environment"].items():
        assert value.partition(":")[0] in SERVICES, name


def test_a_foreign_image_has_an_exact_version() -> None:
    foreign = [defaults(service["image"]) for name, service in SERVICES.items() if name not in OURS]
    assert all(re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", image) for image in foreign)


def test_the_image_gets_every_package_and_nothing_that_may_be_secret() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    kept = {line[1:] for line in ignored if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]) <= kept
    assert all((ROOT / path).exists() for path in kept)


def test_the_image_can_be_built_without_buildkit() -> None:
    assert "--mount" not in DOCKERFILE
    assert "<<" not in DOCKERFILE
    assert "# syntax" not in DOCKERFILE
    assert "--chmod" not in DOCKERFILE


def test_the_image_is_not_run_by_root() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["1000:1000"]


def test_the_bill_of_materials_is_made_in_the_build_and_ends_in_the_image() -> None:
    made, image = DOCKERFILE.split("\nFROM system\n")
    assert "tools/bill_of_materials.py" in made
    assert re.search(r"^COPY --from=installed \S+/bom\.cdx\.json ", image, re.MULTILINE)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_names_no_mirror(script: str) -> None:
    assert "://" not in (ROOT / script).read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_can_be_run_and_read(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / script], check=True)

"""`reconnect-storm k8s` as somebody types it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from scenarios.cli.main import main
from tests.support.command_results import assert_refused

BENCH: dict[str, Any] = {
    "machine": {},
    "versions": {},
    "reception": {
        "clients": 1_000,
        "ticks_per_s": 10_000,
        "ticks_per_cpu_s": 67_830,
        "cpu": 0.17,
        "reference": None,
        "p50_ms": 6.5,
        "p99_ms": 17.8,
    },
    "connecting": {
        "clients": 10_000,
        "processes": 1,
        "join_s": 1.9,
        "connects_per_cpu_s": 8_611,
        "kb_per_client": 6.9,
        "storms": [],
    },
}


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["k8s", *arguments])


def objects(result: Result) -> dict[str, dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found = yaml.safe_load_all(result.stdout)
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in found}


def arguments_of(job: dict[str, Any]) -> list[str]:
    found: list[str] = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def test_manifests_are_on_standard_output_and_everything_else_is_not() -> None:
    result = typed("incident", "--namespace", "load")
    found = objects(result)
    assert {"Namespace/load", "Deployment/gateway", "Deployment/locust-worker", "Job/storm-incident"} <= {
        *found
    }
    assert all(line.startswith("# ") for line in result.stderr.splitlines())
    assert "workers: 1, each up to 50 % of a core" in result.stderr
    assert "kubectl --namespace load patch job storm-incident" in result.stderr
    assert "openssl rand" in result.stderr


def test_the_scenario_and_its_overrides_reach_the_job(tmp_path: Path) -> None:
    file = tmp_path / "My Storm.toml"
    file.write_text('[fleet]\nclients = 70\n\n[[event]]\nat_s = 6\ndo = "drop_all"\n')
    found = objects(typed(str(file), "--set", "gateway.pods=3", "--command", "run"))
    assert found["ConfigMap/storm-my-storm"]["data"] == {"my-storm.toml": file.read_text()}
    job = found["Job/storm-my-storm"]
    assert arguments_of(job) == ["run", "/etc/reconnect-storm/my-storm.toml", "--set", "gateway.pods=3"]
    assert found["Deployment/gateway"]["spec"]["replicas"] == 3


def test_a_bench_of_the_users_machines_sizes_the_workers(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(BENCH))
    arguments = ("--set", "fleet.clients=50000", "--bench", str(file))
    assert objects(typed(*arguments))["Deployment/locust-worker"]["spec"]["replicas"] == 19
    spread = objects(typed(*arguments, "--attempts-per-s", "10000"))
    assert spread["Deployment/locust-worker"]["spec"]["replicas"] == 10
    given = objects(typed(*arguments, "--workers", "40"))
    assert given["Deployment/locust-worker"]["spec"]["replicas"] == 40


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "invalid"),
        ("no JSON", "invalid"),
        (json.dumps({**BENCH, "connecting": None}), "expected a bench without --target"),
    ],
)
def test_another_file_than_that_of_a_bench_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "bench.json"
    file.write_text(content)
    assert_refused(typed("--bench", str(file)), "--bench", "bench.json", said)


def test_somebody_elses_gateway_is_stormed_only_when_that_is_said() -> None:
    target = ("--target", "http://gateway.shop.svc:3000")
    assert_refused(typed(*target), "target.url: gateway.shop.svc would be stormed", "--allow-remote")
    found = objects(typed(*target, "--allow-remote"))
    assert not [name for name in found if name.startswith("Deployment/")]
    arguments = arguments_of(found["Job/storm-mass-drop"])
    assert arguments[-1] == "--allow-remote"
    assert 'target.url="http://gateway.shop.svc:3000"' in arguments


def test_one_process_that_is_too_few_is_told() -> None:
    target = ("--target", "http://gateway.shop.svc:3000", "--allow-remote")
    assert "INVALID" in typed(*target, "--set", "fleet.clients=50000").stderr
    assert "INVALID" not in typed(*target).stderr


def test_fewer_workers_than_the_storm_takes_are_told() -> None:
    storm = ("--set", "fleet.clients=50000", "--attempts-per-s", "5000")
    (told,) = [line for line in typed(*storm, "--workers", "3").stderr.splitlines() if "INVALID" in line]
    assert re.search(r"workers: 3 are fewer than the \d\d that this storm takes", told)
    assert "INVALID" not in typed(*storm).stderr


def test_open_files_of_nginx_are_told_where_there_is_one() -> None:
    many = ("--set", "fleet.clients=300000")
    assert "nginx needs 1,200," in typed(*many).stderr
    target = ("--target", "http://gateway.shop.svc:3000", "--allow-remote")
    assert "nginx" not in typed(*many, *target).stderr


REFUSED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "a loopback": (
        ("--target", "http://127.0.0.1:3000", "--allow-remote"),
        ("target.url: invalid value 'http://127.0.0.1:3000'", "the storm's own pod"),
    ),
    "the loopback by name": (("--target", "http://localhost", "--allow-remote"), ("the storm's own pod",)),
    "no URL": (("--target", "gateway:3000", "--allow-remote"), ("target.url: invalid value", "http://")),
    "another proxy": (("--set", "edge.proxy=envoy"), ("edge.proxy: invalid value 'envoy'", "'nginx'")),
    "sidecars": (("mesh",), ("mesh.sidecar",)),
    "a gateway by command": (("--set", "gateway.command=node x.js"), ("gateway.command: not supported",)),
    "another port": (("--set", "edge.port=9000"), ("edge.port: invalid value 9000: expected 0 or 8080",)),
    "a policy in a file": (("--set", "fleet.policy=json:loads"), ("fleet.policy",)),
    "certificates in a file": (
        ("--target", "https://h", "--allow-remote", "--set", "target.ca_file=ca.pem"),
        ("target.ca_file: invalid value 'ca.pem'",),
    ),
    "a command of a timeline": (
        (
            *("--set", 'commands.allow=[["touch"]]'),
            *("--set", 'event=[{at_s=6, do="exec", command=["touch"]}]'),
        ),
        ("event[0].do: exec not supported by k8s",),
    ),
    "an unknown scenario": (("mass-dorp",), ("mass-dorp", "mass-drop")),
    "a bad namespace": (("--namespace", "Shop"), ("--namespace: invalid value 'Shop'",)),
    "a bad image": (("--image", "x y"), ("--image: invalid value 'x y'",)),
    "workers for a job that has the clients itself": (
        ("--target", "http://h", "--allow-remote", "--workers", "3"),
        ("--workers: not supported with a target",),
    ),
    "a secret that would be an argument": (
        ("--target", "http://h", "--allow-remote", "--set", "target.headers.A=open-sesame"),
        ("--set: has secrets",),
    ),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_what_a_cluster_cannot_play_is_refused_with_the_reason(
    arguments: tuple[str, ...], said: tuple[str, ...]
) -> None:
    result = typed(*arguments)
    assert_refused(result, *said)
    assert "open-sesame" not in result.output


def test_a_scenario_with_secrets_is_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "storm.toml"
    file.write_text('[target]\nurl = "http://gateway.shop.svc:3000"\nheaders = { A = "open-sesame" }\n')
    result = typed(str(file), "--allow-remote")
    found = objects(result)
    assert "open-sesame" not in result.output
    assert not [name for name in found if name.startswith("ConfigMap/")]
    assert "create secret generic storm-storm --from-file=storm.toml=FILE" in result.stderr

"""What a scenario may not say about TLS and about a configuration of the user's own."""

import re
from typing import Any

import pytest

from scenarios.cli.commands.simulate import check_known
from scenarios.scenario.loader import load
from scenarios.scenario.validate import ScenarioError, build

ROTATE = [{"do": "certificate_rotate", "at_s": 3}]
URL = {"url": "http://127.0.0.1:80"}
OWN = {"nginx_conf": "nginx.conf"}

REFUSED: dict[str, dict[str, Any]] = {
    "edge.tls: not supported together with target.url": {"edge": {"tls": {}}, "target": URL},
    "fleet.tls_resume: invalid value True: expected no such key without TLS": {"fleet": {"tls_resume": True}},
    "event[0].do: not supported: certificate_rotate needs TLS: expected [edge.tls]": {"event": ROTATE},
    "edge.nginx_conf: not supported together with target.url": {"edge": OWN, "target": URL},
    "edge.nginx_log_format: not supported without edge.nginx_conf": {"edge": {"nginx_log_format": "main"}},
    "edge.proxy: invalid value 'haproxy': expected 'nginx' with edge.nginx_conf": {
        "edge": {**OWN, "proxy": "haproxy"}
    },
    "edge.limit: invalid value 'per-ip': expected 'none' with edge.nginx_conf": {
        "edge": {**OWN, "limit": "per-ip"}
    },
    "edge.nginx.max_fails: invalid value 3: expected no such key with edge.nginx_conf": {
        "edge": {**OWN, "nginx": {"max_fails": 3}}
    },
    "gateway.balance: invalid value 'hash': expected no such key with edge.nginx_conf": {
        "edge": OWN,
        "gateway": {"balance": "hash"},
    },
    "edge.tls.session_cache: invalid value False: expected no such key with edge.nginx_conf": {
        "edge": {**OWN, "tls": {"session_cache": False}}
    },
    "event[0].do: not supported: set_limit would change your own configuration": {
        "edge": OWN,
        "event": [{"do": "set_limit", "at_s": 3, "limit": "per-ip"}],
    },
    "edge.tls.key: invalid value 'rsa-4096'": {"edge": {"tls": {"key": "rsa-4096"}}},
    "fleet.tls_resume: invalid value 2": {"edge": {"tls": {}}, "fleet": {"tls_resume": 2}},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_does_not_go_together_is_refused_by_its_key(said: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(said)):
        build(REFUSED[said], source="test")


ACCEPTED: dict[str, dict[str, Any]] = {
    "a share resumes": {"edge": {"tls": {}}, "fleet": {"tls_resume": 0.5}},
    "an external target with TLS": {"target": {"url": "https://127.0.0.1"}, "fleet": {"tls_resume": True}},
    "shedding by the pods": {"edge": {**OWN, "limit": "lag-shed"}},
    "polling clients, which the user's own file balances": {
        "edge": OWN,
        "fleet": {"transport": "polling-upgrade"},
        "gateway": {"pods": 3},
    },
    "a rotation": {"edge": {"tls": {}}, "event": ROTATE},
    "a file of one's own, with TLS": {"edge": {**OWN, "tls": {"key": "rsa-2048"}}},
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_goes_together_is_accepted(name: str) -> None:
    build(ACCEPTED[name], source="test")


def test_the_model_does_not_know_a_file_of_ones_own() -> None:
    with pytest.raises(
        ScenarioError, match=r"^edge.nginx_conf: not supported by simulate and tune: the model "
    ):
        check_known(build({"edge": OWN}, source="test"))


def test_limits_of_the_catalogue_give_way_to_a_file_on_the_command_line() -> None:
    scenario = load("mass-drop", ['edge.nginx_conf="nginx.conf"'])
    assert scenario.edge.limit == "none"
    assert "edge.limit" not in scenario.matrix
    assert "fleet.policy" in scenario.matrix

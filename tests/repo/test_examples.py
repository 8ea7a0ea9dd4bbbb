"""The examples: each scenario loads, fits its gateway, and names nothing of the machine it was made on."""

import hashlib
import hmac
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from scenarios.scenario.loader import load
from scenarios.scenario.program import words_of
from tests.repo.test_links import ROOT

EXAMPLES = ROOT / "examples"
FILES = sorted(path for path in EXAMPLES.glob("*/storm.toml"))
SIGNED = [path for path in FILES if "TOKEN_SECRET" in path.read_text(encoding="utf-8")]


def example(path: Path) -> str:
    return path.parent.name


def test_there_is_an_example_for_each_kind_of_gateway() -> None:
    assert [example(path) for path in FILES] == ["node", "python", "redis"]


@pytest.mark.parametrize("path", FILES, ids=example)
def test_an_example_loads_and_its_folder_has_the_programs_that_it_starts(path: Path) -> None:
    scenario = load(str(path))
    assert scenario.own_gateway
    assert scenario.trigger_s is not None
    for program in (scenario.gateway, scenario.feed):
        scripts = [word for word in words_of(program.command) if word.endswith((".js", ".py"))]
        assert all((path.parent / script).is_file() for script in scripts)
    assert (path.parent / "README.md").is_file()


@pytest.mark.parametrize("path", SIGNED, ids=example)
def test_the_token_is_signed_with_the_secret_and_the_rates_agree(path: Path) -> None:
    scenario = load(str(path))
    secret = str(scenario.gateway.environment["TOKEN_SECRET"]).encode()
    assert scenario.target.auth is not None
    name, _, signature = scenario.target.auth["token"].partition(".")
    assert signature == hmac.new(secret, name.encode(), hashlib.sha256).hexdigest()
    assert float(scenario.gateway.environment["RATE_HZ"]) == scenario.feed.rate_hz


def test_the_examples_for_two_languages_play_the_same_storm() -> None:
    def storm(name: str) -> dict[str, Any]:
        table = tomllib.loads((EXAMPLES / name / "storm.toml").read_text(encoding="utf-8"))
        return {key: table[key] for key in ("feed", "fleet", "event", "phases", "slo", "matrix", "target")}

    assert storm("node") == storm("python")


def test_the_lock_of_the_node_example_names_no_registry_and_fits_its_package() -> None:
    text = (EXAMPLES / "node" / "package-lock.json").read_text(encoding="utf-8")
    package = json.loads((EXAMPLES / "node" / "package.json").read_text(encoding="utf-8"))
    assert "://" not in "\n".join(line for line in text.splitlines() if '"url"' not in line)
    assert '"resolved"' not in text
    assert json.loads(text)["packages"][""]["dependencies"] == package["dependencies"]

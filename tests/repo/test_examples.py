"""The examples: each scenario loads, fits its gateway, and names nothing of the machine it was made on."""

import asyncio
import hashlib
import hmac
import importlib.util
import json
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
import socketio

from scenarios.gate.seeded_regressions import read_regressions
from scenarios.scenario.loader import load
from scenarios.scenario.program import words_of
from tests.repo.test_links import ROOT
from tools.node_regressions import EXAMPLE, REGRESSIONS, changed, write_copies

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


def server_of(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of an example in Python. There is no Redis, and none is needed."""
    monkeypatch.setitem(sys.modules, "redis", fake := MagicMock())
    monkeypatch.setitem(sys.modules, "redis.asyncio", fake.asyncio)
    fake.asyncio.from_url.return_value = AsyncMock()
    monkeypatch.setattr(socketio, "AsyncRedisManager", lambda _url: socketio.AsyncManager())
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / name / "server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["python", "redis"])
def test_a_client_that_reads_nothing_does_not_keep_a_gateway_from_ending(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = server_of(name, monkeypatch)
    module.sio.eio.sockets["reads nothing"] = object()
    monkeypatch.setattr(module.sio.eio, "disconnect", lambda _connection: asyncio.Event().wait())
    monkeypatch.setattr(module, "DRAIN_S", 0.01)

    async def drain() -> None:
        await asyncio.wait_for(module.drain(module.app), 60)

    asyncio.run(drain())


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_of_the_node_example_changes_its_code_in_one_place(name: str) -> None:
    server = (EXAMPLE / "server.js").read_text(encoding="utf-8")
    worse = changed(server, REGRESSIONS[name])
    assert worse != server
    with pytest.raises(ValueError, match=r"occurs 0 times in server\.js: expected once"):
        changed("", REGRESSIONS[name])


def test_copies_of_the_node_example_are_arms_of_its_gate(tmp_path: Path) -> None:
    arms = read_regressions(write_copies(tmp_path))
    assert set(arms) == set(REGRESSIONS)
    for overrides in arms.values():
        scenario = load(str(EXAMPLE / "gate.toml"), overrides)
        assert (Path(scenario.folder) / scenario.gateway.directory / "server.js").is_file()

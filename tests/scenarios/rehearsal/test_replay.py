"""A rehearsal as a scenario file: what is written is read back as what was played."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.rehearsal.decisions import at, left_to_the_operator, options
from scenarios.rehearsal.replay import rehearsed, scenario_file
from scenarios.scenario.loader import catalog, load
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import build


def read_back(scenario: Scenario, folder: Path) -> Scenario:
    path = folder / "rehearsed.toml"
    path.write_text(scenario_file(scenario, path.name), encoding="utf-8")
    return load(str(path))


@pytest.mark.parametrize("name", catalog())
def test_what_was_chosen_is_read_back_as_the_timeline(tmp_path: Path, name: str) -> None:
    script = load(name)
    trigger_s = script.trigger_s or 0.0
    chosen = [at(option.event, trigger_s + 3) for option in options(script, 4) if option.event]
    played = rehearsed(script, chosen)
    assert read_back(played, tmp_path) == played
    assert played.event == (*left_to_the_operator(script).event, *chosen)
    assert not played.arms
    assert not played.matrix


def test_a_rehearsal_of_a_replay_keeps_its_name() -> None:
    once = rehearsed(load("incident"), [])
    assert once.name == "incident-rehearsed"
    assert rehearsed(once, []).name == once.name


def test_the_file_says_how_to_play_it_and_has_no_defaults() -> None:
    text = scenario_file(rehearsed(load("mass-drop"), []), "rehearsed.toml")
    assert "reconnect-storm rehearse rehearsed.toml" in text
    assert "payload_bytes" not in text
    assert "transport" not in text


def test_secrets_stay_out_of_the_file_and_it_says_so() -> None:
    target = {
        "url": "http://127.0.0.1:9/?token=open-sesame",
        "auth": {"token": "open-sesame"},
        "headers": {"X-Key": "open-sesame"},
    }
    table: dict[str, Any] = {"target": target, "event": [{"do": "drop_all", "at_s": 6}]}
    text = scenario_file(build(table, source="test"), "rehearsed.toml")
    assert "open-sesame" not in text
    assert "Credentials of the target are left out; give them with --set." in text


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
POLICIES = st.sampled_from(
    ["naive", {"name": "spread", "hold_s": 1.5, "window_s": 2}, {"name": "full-jitter", "base_s": 0.25}]
)


@given(
    summary=TEXT,
    statement=TEXT,
    headers=st.dictionaries(TEXT, TEXT.filter(lambda text: not set(text) & set("\r\n\0")), max_size=3),
    policy=POLICIES,
    clients=st.integers(1, 1_000_000),
    handshake_cpu_ms=st.floats(0, 1_000, allow_nan=False),
    cancel_gone=st.booleans(),
)
def test_whatever_a_scenario_says_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    summary: str,
    statement: str,
    headers: dict[str, str],
    policy: Any,
    clients: int,
    handshake_cpu_ms: float,
    cancel_gone: bool,
) -> None:
    table = {
        "name": "any",
        "summary": summary,
        "fleet": {"clients": clients, "policy": policy},
        "gateway": {"handshake_cpu_ms": handshake_cpu_ms, "cancel_gone": cancel_gone},
        "feed": {"seq_field": "a.b"},
        "target": {"headers": headers},
        "slo": [{"metric": "availability", "phase": "before", "operator": ">=", "bound": 0.99}],
        "hypothesis": {
            "metric": "time_to_recover_s",
            "operator": "<=",
            "bound": 60,
            "statement": statement,
        },
        "event": [{"do": "drop_all", "at_s": 6, "every_s": [5, 7.5], "times": 2}],
    }
    scenario = build(table, source="test")
    without = msgspec.structs.replace(scenario, target=msgspec.structs.replace(scenario.target, headers={}))
    assert read_back(scenario, tmp_path_factory.getbasetemp()) == without

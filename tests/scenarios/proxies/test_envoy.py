"""Where Envoy is, and what it accepts."""

from pathlib import Path

import pytest

from scenarios.host.machine import MachineError
from scenarios.proxies import envoy


def test_the_extra_brings_a_program_that_can_be_run() -> None:
    assert envoy.executable().stat().st_mode & 0o111


def test_a_program_without_its_permission_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "envoy" / "_bin").mkdir(parents=True)
    (tmp_path / "envoy" / "__init__.py").touch()
    binary = tmp_path / "envoy" / "_bin" / "envoy"
    binary.touch(mode=0o600)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert envoy.executable() == binary
    assert binary.stat().st_mode & 0o111


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envoy, "find_spec", lambda _name: None)
    with pytest.raises(MachineError, match=r"install the optional extra reconnect-storm\[envoy\]"):
        envoy.executable()


@pytest.mark.parametrize(("text", "complaint"), [("{}", ""), ("unheard_of: 1", "unheard_of")])
def test_it_says_what_is_wrong_with_a_configuration(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "envoy.yaml"
    file.write_text(text)
    said = envoy.check_syntax(file)
    assert complaint in said
    assert bool(said) == bool(complaint)

"""The token that the services of a site share: made once, whole, and for nobody else's eyes."""

import stat
import threading
from pathlib import Path

import pytest

from scenarios.host.machine import MachineError
from scenarios.host.token import (
    FILE_VARIABLE,
    SHORTEST,
    TOKEN_VARIABLE,
    TokenError,
    token_from_environment,
    token_in,
)
from scenarios.stack.remote.site import site_from_environment


def test_whoever_comes_first_makes_the_file_and_everybody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    first = token_in(path)
    assert len(first) >= 40
    assert token_in(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [*tmp_path.iterdir()] == [path]


def test_many_who_come_at_once_agree(tmp_path: Path) -> None:
    path = tmp_path / "token"
    gate = threading.Barrier(8)
    found: set[str] = set()

    def look() -> None:
        gate.wait()
        found.add(token_in(path))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    assert [*tmp_path.iterdir()] == [path]


def test_the_environment_has_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "token"))
    monkeypatch.setenv(TOKEN_VARIABLE, " a-token-of-my-own ")
    assert token_from_environment() == "a-token-of-my-own"
    monkeypatch.delenv(TOKEN_VARIABLE)
    assert token_from_environment() == (tmp_path / "token").read_text().strip()


def test_a_short_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "")
    with pytest.raises(
        TokenError, match=f"{TOKEN_VARIABLE}: invalid token of 0 characters: expected at least {SHORTEST}"
    ):
        token_from_environment()
    (tmp_path / "token").write_text("short\n")
    with pytest.raises(TokenError, match="token: invalid token of 5 characters"):
        token_in(tmp_path / "token")


def test_a_folder_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match=f"nowhere/token: .*{FILE_VARIABLE}"):
        token_in(tmp_path / "nowhere" / "token")


def test_a_run_that_is_told_of_a_wrong_file_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "tokne"
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.setenv(FILE_VARIABLE, str(wrong))
    with pytest.raises(MachineError, match=r"tokne: .*No such file.*: expected a file with the token;"):
        site_from_environment(
            {"RECONNECT_STORM_GATEWAYS": "127.0.0.1:1", "RECONNECT_STORM_NGINX": "127.0.0.1:2"}
        )
    assert not wrong.exists()

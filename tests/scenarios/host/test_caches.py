"""What this program keeps is where the user has others."""

from pathlib import Path

import pytest

from scenarios.host import caches
from scenarios.host.caches import cache_folder


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"XDG_CACHE_HOME": "/cache"}, "/cache/reconnect-storm/versions"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/reconnect-storm/versions"),
        ({"XDG_CACHE_HOME": ""}, "/home/me/.cache/reconnect-storm/versions"),
        ({}, "/home/me/.cache/reconnect-storm/versions"),
    ],
)
def test_the_cache_is_where_the_user_has_others(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder("versions") == Path(expected)


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(caches.Path, "home", nowhere)  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="home directory"):
        cache_folder("versions")

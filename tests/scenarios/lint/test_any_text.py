"""Whatever a file has in it, reading it gives findings or one error, and no traceback."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenarios.lint.clients import Clients
from scenarios.lint.finding import LintError
from scenarios.lint.lint import KINDS, lint

CONFIGURATIONS = sorted((Path(__file__).parent / "configurations").iterdir())
SUFFIXES = {"nginx": ".conf", "haproxy": ".cfg", "envoy": ".yaml", "kubernetes": ".yml"}
PIECES = (
    *(
        "{",
        "}",
        ";",
        "'",
        '"',
        "\\",
        "#",
        "\n",
        " ",
        ":",
        "- ",
        "[",
        "]",
        ", ",
        "&a ",
        "*a",
        "<<: ",
        "\t",
        "$",
        "=",
    ),
    *(
        "server",
        "location",
        "~ ",
        "/socket.io/",
        "map",
        "limit_req",
        "zone=a:1m",
        "rate=1r/s",
        "proxy_pass",
        "if",
    ),
    *(
        "frontend a",
        "backend a",
        "defaults",
        "listen a",
        "stick-table",
        "track-sc0",
        "server a 1",
        "use_backend",
    ),
    *(
        "static_resources",
        "http_filters",
        "stat_prefix",
        "route",
        "match",
        "prefix",
        "cluster",
        "name",
        "thresholds",
    ),
    *(
        "http-request deny",
        "timeout tunnel",
        "upgrade_configs",
        "websocket",
        "1",
        "60s",
        "é",
        "\x00",
        "\r",
        "{{",
    ),
)
ALLOWED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def survives(file: Path, data: bytes, kind: str | None) -> None:
    file.write_bytes(data)
    says = str(file)
    try:
        found = lint(file, kind, Clients(paths=("/socket.io/",)))
    except LintError as error:
        says = str(error)
    else:
        assert all(one.place.line >= 1 for one in found)
    assert str(file) in says
    assert "\n" not in says


@pytest.mark.parametrize("kind", KINDS)
@ALLOWED
@given(data=st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, kind: str, data: bytes) -> None:
    survives(tmp_path / "a", data, kind)


@pytest.mark.parametrize("kind", KINDS)
@ALLOWED
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_pieces_of_configurations(tmp_path: Path, kind: str, pieces: list[str]) -> None:
    survives(tmp_path / "a", "".join(pieces).encode(), kind)


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.name)
def test_a_configuration_with_pieces_missing_doubled_or_moved(tmp_path: Path, file: Path) -> None:
    rng = random.Random(file.name)
    kind = {suffix: name for name, suffix in SUFFIXES.items()}[file.suffix]
    lines = file.read_text(encoding="utf-8").split("\n")
    for _ in range(8):
        changed = [*lines]
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(changed))
            match rng.randrange(4):
                case 0:
                    del changed[at]
                    changed = changed or [""]
                case 1:
                    changed.insert(at, changed[rng.randrange(len(changed))])
                case 2:
                    changed[at] = changed[at][: rng.randint(0, len(changed[at]))]
                case _:
                    changed[at] = " ".join(changed[at].split()[1:])
        survives(tmp_path / "a", "\n".join(changed).encode(), kind)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("nginx", "a {" * 5_000),
        ("envoy", "[" * 5_000),
        (
            "envoy",
            "a: &a [1, 1]\n"
            + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(22)),
        ),
        ("envoy", "a: &a\n  b: *a\n"),
        ("haproxy", "frontend a\n" + " acl b path /\n" * 2_000),
    ],
    ids=["many blocks", "many lists", "aliases that double", "an alias of itself", "many lines"],
)
def test_what_is_nested_too_deeply_ends(tmp_path: Path, kind: str, text: str) -> None:
    survives(tmp_path / "a", text.encode(), kind)

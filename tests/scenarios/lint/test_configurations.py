"""Small configurations, good and bad: each says in its first lines what is to be found in it."""

import itertools
import re
from pathlib import Path

import pytest

from scenarios.lint import validation
from scenarios.lint.clients import Clients
from scenarios.lint.finding import Finding, LintError, Severity
from scenarios.lint.lint import RULES, lint
from scenarios.lint.parts import kind_of

FILES = sorted((Path(__file__).parent / "configurations").iterdir())
KINDS = {".conf": "nginx", ".cfg": "haproxy", ".yaml": "envoy", ".yml": "kubernetes"}


def clients(text: str) -> Clients:
    """What the comment `# options:` says of the clients."""
    words = " ".join(re.findall(r"(?m)^# options: (.*)$", text)).split()
    value = dict(itertools.pairwise(words))
    return Clients(
        paths=(value["--path"],) if "--path" in value else (),
        number=int(value["--clients"]) if "--clients" in value else None,
        websocket_only="--websocket-only" in words,
    )


def expected(text: str) -> set[tuple[str, str]]:
    """Severities and rules of the comments `# expect:`."""
    lines = " ".join(re.findall(r"(?m)^# expect: (.*)$", text))
    return set(re.findall(r"(error|warning|note) ([\w-]+)", lines))


def found(file: Path) -> list[Finding]:
    return lint(file, None, clients(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_configuration_has_the_findings_that_its_comment_names_and_no_other_but_notes(file: Path) -> None:
    wanted = expected(file.read_text(encoding="utf-8"))
    got = {(one.severity.word, one.rule.name) for one in found(file)}
    assert {one for one in got if one[0] != "note"} == {one for one in wanted if one[0] != "note"}
    assert wanted <= got


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_configuration_says_what_is_expected(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "\n# expect: nothing\n" in text or expected(text)
    assert {name for _, name in expected(text)} <= set(RULES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_kind_is_seen_from_the_text(file: Path) -> None:
    assert kind_of(file.read_text(encoding="utf-8"), Path("file")) == KINDS[file.suffix]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("location /ws { proxy_pass http://a; }\n", "nginx"),
        ("upstream nodes { server a; server b; }", "nginx"),
        ("proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\n", "nginx"),
        ("frontend all 0.0.0.0:80\nbackend a\n  http-request deny if { path /x }\n", "haproxy"),
        ("listen chat\n  bind *:80\n", "haproxy"),
        ('{"staticResources": {}}', "envoy"),
        ('resources:\n- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster\n', "envoy"),
    ],
)
def test_the_kind_of_a_part_is_seen_from_the_text(text: str, kind: str) -> None:
    assert kind_of(text, Path("file")) == kind


def test_every_rule_is_found_in_some_configuration() -> None:
    of_validators = {rule.name for rule in validation.RULES}
    assert {one.rule.name for file in FILES for one in found(file)} == set(RULES) - of_validators


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_finding_names_a_line_of_the_file_and_what_to_change(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").split("\n")
    for one in found(file):
        assert one.place.file == str(file)
        assert 1 <= one.place.line <= len(lines)
        assert one.found
        assert one.change
        assert not one.sentence.endswith(".")


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_rule_is_one_sentence_with_a_change_and_a_source(rule) -> None:  # type: ignore[no-untyped-def]
    assert re.fullmatch(r"(nginx|haproxy|envoy|kubernetes)(-[a-z0-9]+)+", rule.name)
    assert rule.happens[0].islower() or rule.happens.startswith(("HAProxy", "Envoy", "IPv6", "Kubernetes"))
    assert not rule.happens.endswith(".")
    assert rule.change
    assert rule.source


UNREADABLE = {
    "nothing": ("", "expected a configuration of nginx, HAProxy or Envoy"),
    "prose": ("Dear reader, this is no configuration.\n", "expected a configuration of nginx"),
    "a missing semicolon": (
        "server {\n    listen 80\n    server_name a;\n}\n",
        ':2: directive "listen" is not terminated by ";"',
    ),
    "a semicolon that a brace hides": ("server {\n    listen 80\n}\n", ':2: directive "listen" is not'),
    "an open block": ("server {\n    listen 80;\n", ':2: unexpected end of file, expecting "}"'),
    "an open quote": ('server {\n    add_header A "b;\n}\n', "unexpected end of file"),
    "a brace too many": ("server {\n    listen 80;\n}\n}\n", ':4: unexpected "}"'),
    "a template": (
        "server {\n    listen 80;\n    server_name {% if x %}a\n}\n",
        ':3: directive "server_name" is not terminated by ";"; this looks like a template: fill it in first',
    ),
    "HAProxy outside a section": ("bind :80\nfrontend a\n", ":1: invalid value 'bind': expected a section"),
    "HAProxy with an open quote": ('frontend a\n    acl b path "/c\n', ':2: unterminated "'),
    "YAML with wrong indentation": ("static_resources:\n  a: 1\n b: 2\n", ":3: "),
}


@pytest.mark.parametrize(("text", "says"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_one_error_with_file_and_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "some.file"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(LintError) as caught:
        lint(file, None, Clients())
    assert str(caught.value).startswith(str(file))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LintError, match=r"nothing\.conf: No such file or directory"):
        lint(tmp_path / "nothing.conf", None, Clients())


def test_included_files_are_read_and_findings_name_them(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "nginx.conf").write_text("events {}\nhttp {\n    include conf.d/*.conf;\n}\n")
    site = tmp_path / "conf.d" / "chat.conf"
    site.write_text("server {\n  listen 80;\n  location /socket.io/ {\n    proxy_pass http://a;\n  }\n}\n")
    got = {one.rule.name: one for one in lint(tmp_path / "nginx.conf", None, Clients())}
    assert got["nginx-websocket-headers"].place.file == str(site)
    assert got["nginx-websocket-headers"].place.line == 3
    assert got["nginx-worker-connections"].place.file == str(tmp_path / "nginx.conf")
    site.write_text("# storm-lint: ignore nginx-websocket-headers\n" + site.read_text())
    assert "nginx-websocket-headers" not in {
        one.rule.name for one in lint(tmp_path / "nginx.conf", None, Clients())
    }


WORKERS = """worker_processes {};
events {{ worker_connections 1024; }}
http {{ server {{ location /ws {{ proxy_pass http://a; }} }} }}
"""
TOO_LITTLE = "worker_connections 1024 is room for {} clients"


@pytest.mark.parametrize(
    ("workers", "number", "severity", "says"),
    [
        ("auto", None, Severity.WARNING, TOO_LITTLE.format("512") + " in each worker"),
        (
            "auto",
            20_000,
            Severity.WARNING,
            TOO_LITTLE.format("512") + " in each worker, and 20,000 clients need at least 40 workers",
        ),
        (
            "auto",
            40_000,
            Severity.ERROR,
            TOO_LITTLE.format("512") + " in each worker, and 40,000 clients need at least 79 workers",
        ),
        ("4", 20_000, Severity.ERROR, TOO_LITTLE.format("2,048") + ", and 20,000 come"),
        ("1", 513, Severity.ERROR, TOO_LITTLE.format("512") + ", and 513 come"),
        ("auto", 512, None, ""),
        ("4", 2_048, None, ""),
    ],
)
def test_the_room_of_nginx_is_compared_with_the_clients_that_come(
    tmp_path: Path, workers: str, number: int | None, severity: Severity | None, says: str
) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(WORKERS.format(workers), encoding="utf-8")
    got = [
        (one.severity, one.found)
        for one in lint(file, None, Clients(number=number))
        if one.rule.name == "nginx-worker-connections"
    ]
    assert got == ([] if severity is None else [(severity, says)])


def test_a_file_that_includes_itself_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_text("events {}\ninclude a.conf;\n")
    with pytest.raises(LintError, match=r"a\.conf:2: .*includes itself"):
        lint(file, None, Clients())


def test_rules_can_be_ignored_by_name(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_text("server {\n  location /ws {\n    proxy_pass http://a;\n  }\n}\n")
    assert not [
        one
        for one in lint(file, None, Clients(), {"nginx-websocket-headers", "nginx-read-timeout"})
        if one.severity > Severity.NOTE
    ]

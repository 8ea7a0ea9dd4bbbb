"""`reconnect-storm lint`: what it prints, and its exit status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scenarios.cli.main import main

GOOD = """server {
    location /ws {
        proxy_pass http://127.0.0.1:3000;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_read_timeout 1h;
    }
}
"""
LATE = GOOD.replace("1h", "60s")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["lint", *map(str, arguments)])


@pytest.fixture
def late(tmp_path: Path) -> Path:
    file = tmp_path / "late.conf"
    file.write_text(LATE, encoding="utf-8")
    return file


def test_a_finding_is_printed_with_file_line_severity_rule_sentence_and_change(late: Path) -> None:
    done = run(late)
    assert done.exit_code == 1
    first, change, *_ = [
        line for line in done.output.split("\n") if "timeout" in line and "connect" not in line
    ]
    assert first.startswith(
        f"{late}:8: warning nginx-read-timeout: proxy_read_timeout 60s is enough only if the gateway sends"
        " something to each client more often than every 60 s: "
    )
    assert change == "    change: proxy_read_timeout 1h;"
    assert done.output.rstrip().endswith("1 warning, 4 notes")


@pytest.mark.parametrize(("fail_on", "status"), [("note", 1), ("warning", 1), ("error", 0), ("never", 0)])
def test_the_exit_status_follows_the_worst_finding(late: Path, fail_on: str, status: int) -> None:
    assert run(late, "--fail-on", fail_on).exit_code == status


def test_nothing_found(tmp_path: Path) -> None:
    file = tmp_path / "good.conf"
    skipped = "nginx-no-limit nginx-connect-timeout nginx-not-judged nginx-polling-unknown"
    file.write_text(f"# storm-lint: ignore {skipped}\n{GOOD}", encoding="utf-8")
    done = run(file)
    assert (done.exit_code, done.output) == (0, "nothing found\n")


def test_json_has_every_finding(late: Path) -> None:
    done = run(late, "--json")
    found = {one["rule"]: one for one in json.loads(done.output)}
    assert done.exit_code == 1
    one = found["nginx-read-timeout"]
    assert (one["file"], one["line"], one["severity"]) == (str(late), 8, "warning")
    assert one["sentence"].startswith("proxy_read_timeout 60s")
    assert one["change"] == "proxy_read_timeout 1h;"
    assert one["source"].startswith("https://nginx.org/")


def test_annotations_for_github_name_file_and_line(late: Path) -> None:
    done = run(late, "--format", "github")
    assert f"::warning file={late},line=8,title=nginx-read-timeout::proxy_read_timeout 60s" in done.output
    assert "::notice file=" in done.output


def test_several_files_are_checked_each_by_itself(late: Path, tmp_path: Path) -> None:
    other = tmp_path / "haproxy.cfg"
    other.write_text("listen websockets\n    server a 1:1\n", encoding="utf-8")
    done = run(late, other)
    assert "nginx-read-timeout" in done.output
    assert "haproxy-no-timeouts" in done.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.conf"], "nowhere.conf: No such file or directory"),
        (["{file}", "--as", "envoy"], "late.conf:"),
        (
            ["{file}", "--ignore", "nginx-read-timeouts"],
            "rules of lint that `reconnect-storm explain` prints",
        ),
        ([], "FILE"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(late: Path, arguments: list[str], says: str) -> None:
    done = run(*(word.replace("{file}", str(late)) for word in arguments))
    assert done.exit_code == 2
    assert says in done.output
    assert done.output.count("\n") == 1


def test_the_kind_can_be_named(late: Path) -> None:
    assert run(late, "--as", "nginx").exit_code == 1


def test_a_manifest_has_no_validator(tmp_path: Path) -> None:
    file = tmp_path / "ingress.yaml"
    file.write_text("kind: Ingress\n", encoding="utf-8")
    done = run(file, "--validate")
    assert done.exit_code == 2
    assert (
        "ingress.yaml: no validator of kubernetes: use --validate with nginx, haproxy, envoy" in done.output
    )


@pytest.mark.parametrize("form", ["text", "github"])
def test_a_missing_file_does_not_hide_what_is_found_in_the_others(late: Path, form: str) -> None:
    done = run("nowhere.conf", late, "--format", form)
    assert done.exit_code == 2
    assert "nginx-read-timeout" in done.output
    assert "reconnect-storm: nowhere.conf: No such file or directory" in done.output


def test_a_file_that_this_machine_lacks_is_a_note_beside_the_other_findings(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(f"events {{}}\nhttp {{\n  include {tmp_path}/mime.types;\n{LATE}}}\n", encoding="utf-8")
    done = run(file, "--validate", "--fail-on", "error")
    assert done.exit_code == 0
    assert f"{file}:3: note nginx-not-validated: nginx -t says “" in done.output
    assert "nginx-read-timeout" in done.output


def test_a_rule_is_explained() -> None:
    done = CliRunner().invoke(main, ["explain", "nginx-max-fails"])
    assert done.exit_code == 0
    assert "change  max_fails=0 on each server of the upstream" in done.output


def test_the_proxy_itself_is_asked(late: Path, tmp_path: Path) -> None:
    done = run(late, "--validate")
    assert done.exit_code == 1
    assert (
        f'{late}:1: error nginx-rejected: nginx -t says “"server" directive is not allowed here'
        in done.output
    )
    assert "nginx-read-timeout" in done.output
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/a.pid;\nerror_log stderr;\nevents {{}}\nhttp {{ access_log off; {LATE} }}\n"
    )
    assert run(whole, "--validate", "--fail-on", "never").exit_code == 0

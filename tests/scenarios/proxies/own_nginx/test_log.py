"""Access logs are read by the format that wrote them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.proxies.own_nginx.log import LogFormat, format_of, read_log

COMBINED = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
READ = {
    "by nginx's own word": (
        "$msec $status $limit_req_status",
        "10.25 503 REJECTED",
        (10.25, "REJECTED"),
    ),
    "by the limit on connections": (
        "$msec $status $limit_req_status $limit_conn_status",
        "10.25 503 PASSED REJECTED",
        (10.25, "REJECTED"),
    ),
    "passed both": ("$msec $limit_req_status $limit_conn_status", "1 PASSED PASSED", (1.0, "PASSED")),
    "by status, from no pod": (
        f"{COMBINED} $upstream_status",
        '127.0.0.1 - - [01/Jan/1970:00:01:40 +0000] "GET /socket.io/ HTTP/1.1" 429 0 -',
        (100.0, "REJECTED"),
    ),
    "by status, from a pod": (
        "$time_iso8601|$status|$upstream_status",
        "1970-01-01T01:01:40+01:00|503|503",
        (100.0, "-"),
    ),
    "as JSON": (
        'escape=json {"at":"${msec}","limit":"$limit_req_status"}',
        '{"at":"3.5","limit":"REJECTED"}',
        (3.5, "REJECTED"),
    ),
    "after two pods": (
        "$time_iso8601 $status $upstream_addr $upstream_response_length $upstream_status $request_id",
        "1970-01-01T00:01:40+00:00 503 127.0.0.1:1, 127.0.0.1:2 -, - 503, 503 7af",
        (100.0, "-"),
    ),
    "between tabs": (r"$msec\t$limit_req_status", "3.5\tREJECTED_DRY_RUN", (3.5, "REJECTED_DRY_RUN")),
}


@pytest.mark.parametrize("name", READ)
def test_a_line_says_when_and_whether_a_limit_refused(tmp_path: Path, name: str) -> None:
    text, line, found = READ[name]
    words = text.split(" ", 1) if text.startswith("escape") else [text]
    written_by = format_of(words)
    assert written_by.complaint == ""
    log = tmp_path / "access.log"
    log.write_text(f"{line}\n{line[:3]}", encoding="utf-8")
    (read,) = read_log(log, written_by)
    assert (read.ended_wall_s, read.limit_status) == found


def test_each_variable_of_two_pods_has_both(tmp_path: Path) -> None:
    written_by = format_of(
        ["$msec $status $upstream_addr $upstream_status $upstream_response_time [$request]"]
    )
    log = tmp_path / "access.log"
    log.write_text(
        "7 101 127.0.0.1:1, 127.0.0.1:2 503, 101 0.001, 0.250 [GET / HTTP/1.1]\n", encoding="utf-8"
    )
    (read,) = read_log(log, written_by)
    assert read.upstream_status == "503, 101"


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("$msec $status $upstream_status $request_time $pid", "9 101 101 2.5 71", (2.5, "71")),
        ("$msec $status $upstream_status $pid", "9 101 101 71", (0.0, "")),
    ],
)
def test_a_worker_is_known_with_the_time_that_a_request_took(
    tmp_path: Path, text: str, line: str, found: tuple[float, str]
) -> None:
    log = tmp_path / "access.log"
    log.write_text(f"{line}\n", encoding="utf-8")
    (read,) = read_log(log, format_of([text]))
    assert (read.lasted_s, read.worker) == found


@pytest.mark.parametrize("text", ["$msec $status", "$status $limit_req_status", COMBINED, ""])
def test_a_format_that_does_not_tell_says_what_is_missing(text: str) -> None:
    assert format_of([text]).complaint.startswith("expected $msec, and $limit_req_status")


def test_a_format_in_several_words_is_one() -> None:
    assert format_of(["escape=default", "$a-", "${b}c"]) == LogFormat(("", "-", "c"), ("a", "b"))


@given(st.text())
def test_no_text_is_taken_for_lines_of_a_log(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    log = tmp_path_factory.getbasetemp() / "any.log"
    log.write_text(text, encoding="utf-8", errors="replace")
    assert all(line.limit_status for line in read_log(log, format_of(["$msec|$limit_req_status|"])))


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert read_log(tmp_path / "none", format_of(["$msec"])) == []

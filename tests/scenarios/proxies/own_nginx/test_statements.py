"""Statements of an nginx configuration are read, and changed in their place."""

import pytest

from scenarios.proxies.own_nginx.placeholders import OwnNginxError
from scenarios.proxies.own_nginx.statements import changed, flat, statements_of

TEXT = """user www-data; # user nobody;
http {
    access_log /var/log/a.log
        main;
    log_format main '$status; "x"'; error_log "/var/log/e;f.log" warn;
    server { listen 80; access_log off; return 200 "access_log /c;"; access_log /b; }
}
"""


def test_statements_have_their_lines_their_arguments_and_their_blocks() -> None:
    found = [(one.name, one.line, one.args, one.within) for one in flat(statements_of(TEXT, "a.conf"))]
    assert found == [
        ("user", 1, ("www-data",), ()),
        ("http", 2, (), ()),
        ("access_log", 3, ("/var/log/a.log", "main"), ("http",)),
        ("log_format", 5, ("main", '$status; "x"'), ("http",)),
        ("error_log", 5, ("/var/log/e;f.log", "warn"), ("http",)),
        ("server", 6, (), ("http",)),
        ("listen", 6, ("80",), ("http", "server")),
        ("access_log", 6, ("off",), ("http", "server")),
        ("return", 6, ("200", "access_log /c;"), ("http", "server")),
        ("access_log", 6, ("/b",), ("http", "server")),
    ]


def test_statements_are_changed_where_they_stand_and_no_line_moves() -> None:
    new = {"user": "", "error_log": "error_log e;", "access_log": "access_log a;"}
    text = changed(
        TEXT,
        statements_of(TEXT, "a.conf"),
        lambda one: None if one.args == ("off",) else new.get(one.name),
    )
    assert (
        text
        == """ # user nobody;
http {
    access_log a;

    log_format main '$status; "x"'; error_log e;
    server { listen 80; access_log off; return 200 "access_log /c;"; access_log a; }
}
"""
    )


def test_a_file_that_is_no_configuration_is_refused_with_its_line() -> None:
    with pytest.raises(OwnNginxError, match=r'^a.conf:2: unexpected "}"$'):
        statements_of("events {}\n}\n", "a.conf")
    with pytest.raises(OwnNginxError, match=r'^a.conf:1: unexpected end of file, expecting "}"$'):
        statements_of("events {\n\n", "a.conf")


def test_a_file_of_another_proxy_is_told_to_be_no_configuration_of_nginx() -> None:
    text = "global\n    maxconn 5\n\ndefaults\n  mode http\n"
    with pytest.raises(OwnNginxError, match=r"^haproxy.cfg: not a configuration of nginx: expected "):
        statements_of(text, "haproxy.cfg")

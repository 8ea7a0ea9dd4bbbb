"""Placeholders in a user's nginx configuration: what is filled in, and what is refused with its line."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.proxies.own_nginx.placeholders import OwnNginxError, Values, filled

VALUES = Values(listen="127.0.0.1:8080", pods=["127.0.0.1:1", "127.0.0.1:2"], certificate="/run/c.pem")

CASES = {
    "listen {{ listen }} ssl;": "listen 127.0.0.1:8080 ssl;",
    "listen {{listen}};": "listen 127.0.0.1:8080;",
    "ssl_certificate {{ certificate }};": "ssl_certificate /run/c.pem;",
    "ssl_certificate_key {{ certificate_key }};": "ssl_certificate_key /run/c.pem;",
    "server {{ pods }};": "server 127.0.0.1:1;server 127.0.0.1:2;",
    " server {{ pods }} down;  # each": " server 127.0.0.1:1 down; server 127.0.0.1:2 down;  # each",
    "upstream a { server {{ pods }}; }": "upstream a { server 127.0.0.1:1; server 127.0.0.1:2; }",
    "events {} # {{ … }}": "events {} # {{ … }}",
    'location ~ "^/x{2}$" { return 200 "{}"; }': 'location ~ "^/x{2}$" { return 200 "{}"; }',
}


@pytest.mark.parametrize("text", CASES)
def test_a_placeholder_is_filled_in_and_everything_else_stays(text: str) -> None:
    assert filled(text, VALUES, "nginx.conf") == CASES[text]


REFUSED = {
    "a\nlisten {{ port }};": "nginx.conf:2: unknown placeholder {{ port }}: expected one of {{ listen }}, ",
    "proxy_pass\n http://{{ pods }} {": "nginx.conf:2: {{ pods }} stands alone: expected `server {{ pods",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_placeholder_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(OwnNginxError, match=re.escape(REFUSED[text])):
        filled(text, VALUES, "nginx.conf")


def test_a_certificate_needs_tls() -> None:
    with pytest.raises(OwnNginxError, match=r"nginx.conf:1: \{\{ certificate \}\} needs \[edge.tls\]"):
        filled("ssl_certificate {{ certificate }};", Values(listen="x", pods=["y"]), "nginx.conf")


PIECES = st.lists(st.sampled_from([*CASES, "\n", "# server {{ pods }};\n", "events {}", "  "]))


@given(PIECES)
def test_no_line_moves(pieces: list[str]) -> None:
    text = "\n".join(pieces)
    assert filled(text, VALUES, "nginx.conf").count("\n") == text.count("\n")

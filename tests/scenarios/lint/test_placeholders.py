"""Templates are read as far as possible: lines stay, and what is filled in later stands as `…`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.lint.placeholders import filled, has_placeholders, readings, unknown

ALONE = "include …;"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("listen {{ port }};", "listen …;"),
        ("listen {{{port}}};", "listen …;"),
        ("listen <%= @port %>;", "listen …;"),
        ("{{ .Extra }}", ALONE),
        ("    {{ $value }}{{- end }}", ALONE),
        ('{{ include "headers" . }}', ALONE),
        ("{% if tls %}listen 443;{% endif %}", "listen 443;"),
        ("{{- range .Ports }}\nlisten {{ . }};\n{{- end }}", "\nlisten …;\n"),
        ("{{#if ssl}}\nlisten 443;\n{{/if}}", "\nlisten 443;\n"),
        ("{# a comment #}listen 80;", "listen 80;"),
        ("{{/* a comment */}}listen 80;", "listen 80;"),
        ("{{ $port := .Port }}listen 80;", "listen 80;"),
        ("<#if ssl==true>listen 443;</#if>", "listen 443;"),
        ("<% @pods.each do |pod| -%>\nserver <%= pod %>;\n<% end -%>", "\nserver …;\n"),
        ("listen {{\n  port\n}};", "listen \n\n…;"),
        ("listen ${PORT};", "listen ${PORT};"),
        ("location ~ ^/[a-z]{2}/{", "location ~ ^/[a-z]{2}/{"),
    ],
)
def test_a_placeholder_is_a_word_and_what_decides_is_left_out(text: str, says: str) -> None:
    assert filled(text, ALONE) == says


@pytest.mark.parametrize(
    "text",
    [
        "{% if a %}\nx;\n{% else %}\ny;\n{% endif %}\nz;",
        "{{ if a }}\nx;\n{{ else if b }}\ny;\n{{ else }}\ny;\n{{ end }}\nz;",
        "<% if a %>\nx;\n<% else %>\n<% if b %>\ny;\n<% end %>\n<% end %>\nz;",
        "{{#if a}}\nx;\n{{else}}\ny;\n{{/if}}\nz;",
    ],
)
def test_of_a_condition_the_first_branch_stays(text: str) -> None:
    assert filled(text, ALONE, "first").split() == ["x;", "z;"]
    assert "y;" in filled(text, ALONE)


def test_a_text_without_placeholders_is_read_as_it_is() -> None:
    assert [*readings("server { }", ALONE)] == ["server { }"]
    assert has_placeholders("a {{ b }}")


@pytest.mark.parametrize(
    ("word", "is_unknown"),
    [("…", True), ("${PORT}", True), ("$PORT", True), ("$host", False), ("${host}", False), ("8080", False)],
)
def test_a_word_is_unknown_where_it_is_filled_in_later(word: str, is_unknown: bool) -> None:
    assert unknown(word) is is_unknown


@given(
    st.lists(st.sampled_from(["{{", "}}", "{%", "%}", "<%=", "%>", " if a ", " else ", " end ", "\n", "x"]))
)
def test_a_reading_has_as_many_lines_as_the_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert all(reading.count("\n") == text.count("\n") for reading in readings(text, ALONE))

"""Charts in comments."""

import re
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.text.mermaid import Line, line_chart


def chart(*lines: list[float], title: str = "pod CPU") -> str:
    return line_chart(title, "run", "pod CPU, percent", [Line("#8a8a8a", values) for values in lines])


def test_a_chart_is_a_block_that_names_its_axes() -> None:
    assert chart([1.0, 2.5], [1250.0, 3.0]).splitlines() == [
        "```mermaid",
        "%%{init: {'themeVariables': {'xyChart': {'plotColorPalette': '#8a8a8a, #8a8a8a'}}}}%%",
        "xychart-beta",
        '    title "pod CPU"',
        '    x-axis "run" [1, 2]',
        '    y-axis "pod CPU, percent" 0 --> 1312',
        "    line [1, 2.5]",
        "    line [1250, 3]",
        "```",
    ]


@pytest.mark.parametrize("lines", [[], [[1.0, 2.0], [1.0]], [[1.0, inf]]])
def test_what_mermaid_cannot_draw_is_left_out(lines: list[list[float]]) -> None:
    assert chart(*lines) == ""


def test_lines_are_as_long_as_the_shortest() -> None:
    assert chart([1.0, 2.0, inf], [3.0, 4.0]).count("1, 2]") == 2


def test_a_title_ends_neither_its_quotation_marks_nor_the_block() -> None:
    text = chart([1.0, 2.0], title='"\n```\n<b>')
    assert text.count("```") == 2
    assert """title "' ''' <b>\"""" in text


@given(st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=20))
def test_values_lie_within_the_axis_and_are_plain_numbers(values: list[float]) -> None:
    text = chart(values)
    bottom, top = map(float, re.findall(r"percent\" (\S+) --> (\S+)$", text, re.MULTILINE)[0])
    drawn = [float(value) for value in re.findall(r"line \[(.*)\]", text)[0].split(", ")]
    assert "e" not in re.findall(r"line \[(.*)\]", text)[0]
    assert bottom <= min(drawn) <= max(drawn) <= top

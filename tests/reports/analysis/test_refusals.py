"""Refusals by a limit, reconciled."""

from typing import Any

import pytest

from reports.analysis.metrics import summarise
from reports.analysis.refusals import Refusals, refusal_warnings, refusals
from reports.page.refusals import refusal_table
from reports.rundir.proxy_log import ProxyLog
from tests.support.histories import history, scenario, second, seconds

CASES: dict[str, tuple[float, float | None, float | None, int | None, bool]] = {
    "they add up": (1000.0, 700.0, 300.0, 0, True),
    "2 % went astray": (1000.0, 700.0, 320.0, -20, True),
    "more than 2 % went astray": (1000.0, 700.0, 321.0, -21, False),
    "2 % came from elsewhere": (1000.0, 700.0, 280.0, 20, True),
    "more than 2 % came from elsewhere": (1000.0, 700.0, 279.0, 21, False),
    "five of few": (3.0, 5.0, 3.0, -5, True),
    "six of few": (3.0, 5.0, 4.0, -6, False),
    "nginx is not ours": (1000.0, None, 3.0, None, True),
    "pods are not ours": (1000.0, 3.0, None, None, True),
}


@pytest.mark.parametrize(("clients", "nginx", "pods", "unexplained", "agree"), CASES.values(), ids=CASES)
def test_what_neither_nginx_nor_pods_refused_is_unexplained(
    clients: float, nginx: float | None, pods: float | None, unexplained: int | None, agree: bool
) -> None:
    found = refusals([second(0, limited=clients, nginx_limited=nginx, pod_shed=pods)], {})
    assert (found.unexplained, found.agree) == (unexplained, agree)


def test_what_sidecars_answered_by_themselves_is_explained() -> None:
    rows = [second(0, limited=20.0, nginx_limited=3.0, pod_shed=4.0, sidecar_refused=12.0)]
    assert refusals(rows, {}) == Refusals(clients=20, nginx=3, sidecars=12, pods=4, unexplained=1)


DROP = {"name": "per-ip", "drop": True}
CLOSE = {"name": "per-ip+pod-window", "pod-window": {"close_1013": True}}


@pytest.mark.parametrize(
    "keys",
    [
        {"edge__limit": DROP},
        {"edge__limit": CLOSE},
        {"event": [{"do": "set_limit", "at_s": 4.0, "limit": DROP}]},
        {"edge__nginx": {"proxy_next_upstream": ["error", "http_503"]}},
    ],
)
def test_what_clients_do_not_see_as_a_refusal_is_no_contradiction(keys: dict[str, Any]) -> None:
    rows = seconds(0, 12, limited=0.0, nginx_limited=30.0, pod_shed=0.0)
    run = history(rows, scenario=scenario(**keys))
    assert list(refusal_warnings(run)) == []
    table = refusal_table({"arm": run})
    assert table is not None
    assert table.rows[0][-1].endswith("not seen by clients")
    assert len(list(refusal_warnings(history(rows)))) == 1
    more = seconds(0, 12, limited=60.0, nginx_limited=30.0, pod_shed=0.0)
    assert len(list(refusal_warnings(history(more, scenario=scenario(**keys))))) == 1


def test_the_storm_reconciles_its_own_seconds() -> None:
    rows = seconds(0, 8, limited=9.0) + seconds(8, 12, limited=5.0, nginx_limited=3.0, pod_shed=1.0)
    storm = summarise(history(rows)).storm
    assert storm is not None
    assert storm.refusals == Refusals(clients=20, nginx=12, pods=4, unexplained=4)


def test_what_an_nginx_of_the_users_own_refused_is_unknown_where_its_log_does_not_tell() -> None:
    rows = seconds(0, 12, limited=9.0, nginx_limited=None, pod_shed=1.0)
    own = history(rows, nginx_limited=None)
    own.info.scenario["edge"] = {"nginx_conf": "nginx.conf", "nginx_log_format": ""}
    (warning,) = refusal_warnings(own)
    assert warning.startswith(
        "refusals by a limit of nginx are unknown: the configuration in edge.nginx_conf"
    )
    assert warning.endswith("edge.nginx_log_format names the format of yours")
    storm = summarise(own).storm
    assert storm is not None
    assert storm.nginx_limited is None
    table = refusal_table({"own": own})
    assert table is not None
    assert table.headings == ("arm", "clients", "nginx", "pods", "unaccounted")
    assert table.rows[0][2::2] == ("unknown", "unknown")


ANSWERS: dict[str, tuple[dict[str, int], dict[str, Any], str]] = {
    "one status": ({"503": 30}, {}, "503"),
    "two": ({"444": 25, "429": 75}, {}, "429: 75 %; none, closed: 25 %"),
    "HAProxy without an answer": ({"0": 30}, {"edge__proxy": "haproxy"}, "none, closed"),
    "a format without a status": ({"0": 30}, {"edge__nginx_conf": "nginx.conf"}, "unknown"),
}


@pytest.mark.parametrize(("answers", "keys", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_the_table_says_what_refused_requests_were_answered(
    answers: dict[str, int], keys: dict[str, Any], expected: str
) -> None:
    rows = seconds(0, 12, limited=30.0, nginx_limited=30.0, pod_shed=0.0)
    log = ProxyLog(requests=99, addresses=9, answers=answers)
    table = refusal_table({"arm": history(rows, scenario=scenario(**keys), proxy_log=log)})
    assert table is not None
    assert table.headings[-1].startswith("answers of ")
    assert table.rows[0][-1] == expected

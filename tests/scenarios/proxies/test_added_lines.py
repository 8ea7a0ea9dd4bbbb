"""What a limit adds to a proxy's configuration, pasted into one that people have."""

from pathlib import Path
from typing import Any

import pytest

from scenarios.limits.proxy_support import limit_at
from scenarios.limits.registry import LIMITS, LimitError
from scenarios.proxies.added_lines import added_lines
from scenarios.proxies.registry import PROXIES
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import build
from tests.support.pasting import CHECKS, pasted

MORE: list[Any] = [
    {"name": "per-ip", "status": 503, "retry_after_s": 7, "exempt": ["10.0.0.0/8", "2001:db8::/32"]},
    {"name": "per-ip+global", "dry_run": True},
    {"name": "per-ip", "drop": True},
    {"name": "per-token", "by": "cookie:session"},
    {"name": "concurrent-per-ip+per-ip", "retry_after_s": 7},
]
KINDS = [
    pytest.param(name, marks=pytest.mark.needs_haproxy) if name == "haproxy" else name for name in PROXIES
]


def with_limit(proxy: str, limit: Any) -> Scenario | None:
    """A scenario with it; None where the proxy does not support it."""
    try:
        limit_at(proxy, limit)
    except LimitError:
        return None
    return build({"edge": {"proxy": proxy, "limit": limit}}, source="test")


@pytest.mark.parametrize("proxy", KINDS)
def test_every_limit_can_be_pasted_into_a_plain_configuration(tmp_path: Path, proxy: str) -> None:
    scenarios = [one for limit in (*LIMITS, *MORE) if (one := with_limit(proxy, limit))]
    limiting = {text for one in scenarios if (text := added_lines(one))}
    assert len(limiting) > 5
    for number, text in enumerate(limiting):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = pasted(proxy, text, folder, listen="127.0.0.1:18999", pod="127.0.0.1:9001")
        assert CHECKS[proxy](path) == "", text


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("limit", ["none", "lag-shed"])
def test_without_a_limit_at_the_proxy_nothing_is_added(proxy: str, limit: str) -> None:
    assert added_lines(build({"edge": {"proxy": proxy, "limit": limit}}, source="test")) == ""


LINES = {
    "nginx": ["limit_req zone=per_ip burst=40 nodelay;", "limit_req_status 429;"],
    "haproxy": ["frontend clients", "acl storm path_beg /socket.io/", "backend per_ip"],
    "envoy": ['- match: {prefix: "/socket.io/"}', "http_filters:", "max_tokens: 41"],
}


@pytest.mark.parametrize("proxy", PROXIES)
def test_the_lines_are_those_of_the_proxy_in_use_and_say_where_they_go(proxy: str) -> None:
    scenario = build({"edge": {"proxy": proxy, "limit": {"name": "per-ip", "burst": 40}}}, source="test")
    lines = [line.strip() for line in added_lines(scenario).splitlines()]
    assert [line for line in LINES[proxy] if line not in lines] == []

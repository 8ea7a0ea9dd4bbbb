"""nginx writes access logs in formats that people use: refusals are counted, or said to be unknown."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from scenarios.host.machine import free_ports
from scenarios.proxies.access_log import refusals_per_second
from scenarios.proxies.registry import kind_of
from scenarios.scenario.validate import build
from tests.e2e.command_line import PATIENCE_S
from tests.e2e.plain_requests import asked, yes
from tests.support.serving import serving

pytestmark = pytest.mark.e2e

BURST = 4
REQUESTS = 20
REFUSED = REQUESTS - BURST - 1

CONFIGURATION = """
events {}
http {
    %s
    limit_req_zone $binary_remote_addr zone=clients:1m rate=1r/m;
    upstream gateway { server {{ pods }}; }
    server {
        listen {{ listen }};
        location /healthz/ { access_log off; proxy_pass http://gateway; }
        location / {
            set $service gateway-3000;
            limit_req zone=clients burst=4 nodelay;
            %s
            proxy_pass http://gateway;
        }
    }
}
"""

JSON = """log_format json escape=json '{'
        '"time_local":"$time_local",' '"remote_addr":"$remote_addr",' '"remote_user":"$remote_user",'
        '"request":"$request",' '"status": $status,' '"body_bytes_sent":"$body_bytes_sent",'
        '"request_time":"$request_time",' '"http_referrer":"$http_referer",'
        '"http_user_agent":"$http_user_agent",' '"upstream_addr":"$upstream_addr",'
        '"upstream_status":"$upstream_status",' '"upstream_response_time":"$upstream_response_time"' '}';
    access_log access.log json;"""
UPSTREAM = """log_format upstreaminfo '$remote_addr - $remote_user [$time_local] "$request" '
        '$status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time '
        '[$service] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status '
        '$request_id';
    access_log access.log upstreaminfo;"""

FORMATS: dict[str, tuple[str, str, str, int | None]] = {
    # (name, what defines it, more of the location, refusals that the log tells)
    "combined, as nginx has it": ("", "access_log access.log;", "", None),
    "combined, by its name": ("", "access_log access.log combined;", "", None),
    "JSON": ("json", JSON, "limit_req_status 429;", REFUSED),
    "JSON, refused with nginx's own 503": ("json", JSON, "", REFUSED),
    "with what pods took and answered": ("upstreaminfo", UPSTREAM, "limit_req_status 429;", REFUSED),
}


async def told(folder: Path, name: str, log: str, more: str) -> tuple[int, int | None]:
    """(refusals as a client counts them, as the log tells them; None where it does not tell)."""
    port, pod = free_ports(2)
    (folder / "nginx.conf").write_text(CONFIGURATION % (log, more), encoding="utf-8")
    edge = {"nginx_conf": "nginx.conf", "nginx_log_format": name}
    scenario = build({"folder": str(folder), "edge": edge}, source="test")
    kind = kind_of(scenario)
    host = kind.host(port=port, directory=folder / "run", cores=(), binary=None)
    host.private = folder / "private"
    host.directory.mkdir()
    host.private.mkdir()
    async with AsyncExitStack() as stops:
        await stops.enter_async_context(serving(yes, pod))
        await host.configure(kind.render(scenario, host, [f"127.0.0.1:{pod}"], None))
        child = await host.start(descriptors=1024)
        stops.push_async_callback(child.stop)
        heads = [await asked(port, "") for _ in range(REQUESTS)]
    # It has written its log when it ends.
    refused = sum(head.split()[1] in {"429", "503"} for head in heads)
    path = folder / "run" / "access.log"
    if not kind.tells_refusals(path):
        return refused, None
    lines = kind.read_access_log(path)
    assert len(lines) == REQUESTS
    return refused, refusals_per_second(lines, wall_epoch_s=0.0).total()


@pytest.mark.parametrize(("name", "log", "more", "wanted"), FORMATS.values(), ids=FORMATS)
def test_a_format_that_people_use_tells_refusals_or_is_said_not_to(
    tmp_path: Path, name: str, log: str, more: str, wanted: int | None
) -> None:
    refused, found = asyncio.run(asyncio.wait_for(told(tmp_path, name, log, more), PATIENCE_S))
    assert refused == REFUSED
    assert found == wanted

"""A storm of requests through a real proxy with a limit, and a pure rule that has to decide as it did."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from scenarios.host.machine import free_ports
from scenarios.limits import leaky_bucket, token_bucket
from scenarios.limits.leaky_bucket import Decision, EdgeRule, LeakyBucket
from scenarios.limits.token_bucket import TokenBucket, token_rule
from scenarios.proxies import envoy, haproxy, nginx
from scenarios.proxies.access_log import COLUMNS, AccessLine
from scenarios.proxies.registry import PROXIES
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import build
from tests.e2e.command_line import PATIENCE_S
from tests.e2e.plain_requests import yes
from tests.support.serving import serving

OTHER_PROXIES = ["envoy", pytest.param("haproxy", marks=pytest.mark.needs_haproxy)]

SLACK_MS = range(-2, 3)
"""A proxy decides by its monotonic clock and logs by the wall clock, both cut to whole milliseconds."""


class Request(Struct, frozen=True):
    """What is sent, and when."""

    at_s: float
    address: str
    method: str = "GET"
    sid: str = ""

    @property
    def new(self) -> bool:
        return self.method == "GET" and not self.sid


class Logged(Struct, frozen=True):
    """What the proxy says about it."""

    request: Request
    start_ms: int
    took_ms: int
    status: int
    limit_status: str


class Pure(Struct, frozen=True):
    """A proxy's rule without the proxy."""

    rule_of: Callable[[EdgeRule], Any]
    fresh: Any
    decide: Callable[[Sequence[Any], Sequence[Any], int, bool], tuple[Decision, Sequence[Any]]]
    counts_as: Callable[[EdgeRule, str, bool], str]
    words: Callable[[Decision, bool, bool], str]
    """(decision, counted at all, dry run) as the log's word for it."""
    access_line: Callable[[Sequence[str]], AccessLine]
    ms_per_logged: float
    """The log's unit of how long a request took."""


def _nginx_words(decision: Decision, counted: bool, dry_run: bool) -> str:
    """What the log would have as `$limit_req_status`."""
    if not counted:
        return "-"
    word = "PASSED" if decision.refused_by is None else "REJECTED"
    if decision.delay_ms:
        word = "DELAYED"
    return word + ("_DRY_RUN" if dry_run and word != "PASSED" else "")


def _plain_words(decision: Decision, _counted: bool, dry_run: bool) -> str:
    if decision.refused_by is None:
        return "-"
    return "REJECTED_DRY_RUN" if dry_run else "REJECTED"


PURE: Mapping[str, Pure] = {
    "nginx": Pure(
        lambda rule: rule.bucket,
        LeakyBucket(),
        lambda rules, buckets, now_ms, _dry_run: leaky_bucket.decide(rules, buckets, now_ms),
        lambda rule, address, new: rule.counts_as(address, new=new),
        _nginx_words,
        nginx.access_line,
        1000,
    ),
    "envoy": Pure(
        token_rule,
        TokenBucket(),
        lambda rules, buckets, now_ms, dry: token_bucket.decide(rules, buckets, now_ms, dry_run=dry),
        lambda rule, address, new: token_bucket.counts_as(rule, address, new=new),
        _plain_words,
        envoy.access_line,
        1,
    ),
    "haproxy": Pure(
        token_rule,
        TokenBucket(),
        lambda rules, buckets, now_ms, _dry: token_bucket.decide(rules, buckets, now_ms, together=True),
        lambda rule, address, new: rule.counts_as(address, new=new),
        _plain_words,
        haproxy.access_line,
        0.001,
    ),
}


def storm_of(addresses: Sequence[str]) -> list[Request]:
    """Bursts, pauses and trickles of new connections, with requests of sessions in between."""
    bursts = {0.0: 6, 0.25: 3, 0.72: 5, 1.5: 2, 1.9: 4, 2.1: 1}
    requests = []
    for place, address in enumerate(addresses):
        for at_s, count in bursts.items():
            requests += [Request(at_s + 0.004 * (n * len(addresses) + place), address) for n in range(count)]
        for n in range(4):
            at_s = 0.013 + 0.41 * n + 0.05 * place
            requests.append(Request(at_s, address, sid="abc"))
            requests.append(Request(at_s + 0.002, address, method="POST", sid="abc"))
    return requests


def scenario(spec: Any, source: str = "bind", proxy: str = "nginx") -> Scenario:
    """Half of what its gateway has room for is 10 handshakes a second."""
    table = {
        "edge": {"limit": spec, "proxy": proxy},
        "fleet": {"clients": 10, "source": source},
        "gateway": {"pods": 1, "handshake_cpu_ms": 50.0},
    }
    return build(table, source="test")


async def _ask(port: int, n: int, request: Request, source: str) -> None:
    bound = (request.address, 0) if source == "bind" else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=bound)
    try:
        proxied = ""
        if source != "bind":
            family, to = ("TCP6", "::1") if ":" in request.address else ("TCP4", "127.0.0.1")
            proxied = f"PROXY {family} {request.address} {to} 1234 {port}\r\n"
        sid = f"&sid={request.sid}" if request.sid else ""
        # The log has the transport, so that it tells which request a line is about.
        target = f"/socket.io/?EIO=4&transport={n}{sid}"
        # In one piece: the log has when a request began, and a proxy decides when it is there.
        head = f"{proxied}{request.method} {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: 0\r\n\r\n".encode())
        await reader.read()
    finally:
        writer.close()


Case = tuple[Scenario, Sequence[Request]]


async def _storm(chosen: Scenario, requests: Sequence[Request], port: int) -> None:
    async def ask(n: int, request: Request) -> None:
        await asyncio.sleep(request.at_s)
        await _ask(port, n, request, chosen.fleet.source)

    await asyncio.gather(*(ask(n, request) for n, request in enumerate(requests)))


async def _carry_out(folder: Path, cases: Mapping[str, Case]) -> None:
    ports = free_ports(2 * len(cases))
    async with AsyncExitStack() as stops:
        storms = []
        for (name, case), port, pod_port in zip(cases.items(), ports[::2], ports[1::2], strict=True):
            chosen, requests = case
            await stops.enter_async_context(serving(yes, pod_port))
            (folder / name).mkdir()
            kind = PROXIES[chosen.edge.proxy]
            host = kind.host(port=port, directory=folder / name, cores=(), binary=None)
            await host.configure(kind.render(chosen, host, [f"127.0.0.1:{pod_port}"], None))
            proxy = await host.start(descriptors=1024)
            stops.push_async_callback(proxy.stop)
            storms.append(_storm(chosen, requests, port))
        await asyncio.gather(*storms)
        for name, (chosen, requests) in cases.items():
            await until_logged(chosen.edge.proxy, folder / name, len(requests))


async def until_logged(proxy: str, folder: Path, requests: int) -> None:
    """Returns once the proxy of that folder has logged that many requests, all of whose clients have gone.

    HAProxy closes a connection and then logs it, and SIGTERM ends its worker in between.
    """
    async with asyncio.timeout(PATIENCE_S):
        while len(PROXIES[proxy].read_access_log(folder / "access.log")) < requests:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def carried_out(folder: Path, cases: Mapping[str, Case]) -> dict[str, list[Logged]]:
    """What each scenario's proxy did with its requests, by name; a folder for each has its log.

    All storm at once, for they mostly wait.
    """
    asyncio.run(_carry_out(folder, cases))
    return {
        name: logged(folder / name, chosen.edge.proxy, requests) for name, (chosen, requests) in cases.items()
    }


def logged(folder: Path, proxy: str, requests: Sequence[Request]) -> list[Logged]:
    """The log, in the order in which the proxy took the requests up."""
    pure = PURE[proxy]
    lines = []
    for text in (folder / "access.log").read_text(encoding="utf-8").splitlines():
        row = text.split("\t")
        if len(row) != COLUMNS:
            continue
        access, (n, sid) = pure.access_line(row), row[-2:]
        request = requests[int(n)]
        assert (row[3], sid) == (request.method, request.sid or "-")
        assert access.remote_address == request.address
        took_ms = float(row[1]) * pure.ms_per_logged
        start_ms = access.ended_wall_s * 1000 - took_ms
        line = Logged(request, int(start_ms + 1e-3), round(took_ms), access.status, access.limit_status)
        # Of several at one moment, a bucket lets in the first ones.
        lines.append((round(start_ms, 3), line.limit_status.startswith("REJECTED"), int(n), line))
    assert len(lines) == len(requests)
    return [line for *_, line in sorted(lines, key=lambda line: line[:3])]


def compare(proxy: str, rules: Sequence[EdgeRule], lines: Sequence[Logged]) -> tuple[list[Logged], int]:
    """Lines on which rule and proxy differ, whatever a millisecond does; and how many none can change.

    Where a millisecond decides, the rule goes on from what the proxy did.
    """
    pure = PURE[proxy]
    own = [pure.rule_of(rule) for rule in rules]
    dry_run = any(rule.dry_run for rule in rules)
    buckets: dict[tuple[str, str], Any] = {}
    differ, certain = [], 0
    for line in lines:
        counted = [pure.counts_as(rule, line.request.address, line.request.new) for rule in rules]
        keys = [(rule.name, key) for rule, key in zip(rules, counted, strict=True)]
        mine = [buckets.get(key, pure.fresh) if key[1] else None for key in keys]
        outcomes: dict[str, Sequence[Any]] = {}
        for slack_ms in sorted(SLACK_MS, key=abs):
            decision, after = pure.decide(own, mine, line.start_ms + slack_ms, dry_run)
            outcomes.setdefault(pure.words(decision, any(counted), dry_run), after)
        certain += len(outcomes) == 1
        if line.limit_status not in outcomes:
            differ.append(line)
            continue
        # A dry run that would have held a request back has charged it all the same.
        charged = zip(keys, outcomes[line.limit_status], strict=True)
        buckets.update({key: bucket for key, bucket in charged if bucket is not None})
    return differ, certain

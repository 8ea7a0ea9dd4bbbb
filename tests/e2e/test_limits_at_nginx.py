"""nginx and the pure rule make the same decisions, request for request, for every limit at the edge."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from scenarios.leaky_bucket import Decision, EdgeRule, LeakyBucket, decide
from scenarios.limits import LIMITS, limit
from scenarios.model import Scenario
from scenarios.scenario_file import build
from scenarios.stability import edge_rules
from scenarios.stack.machine import free_ports
from scenarios.stack.nginx import check_syntax, executable, read_access_log, refusals_per_second, render
from scenarios.stack.processes import start

# Milliseconds decide.
pytestmark = [pytest.mark.e2e, pytest.mark.measures]

AT_EDGE = [name for name in LIMITS if limit(name).rules]
SLACK_MS = range(-2, 3)
"""nginx decides by its monotonic clock and logs by the wall clock, both cut to whole milliseconds."""


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
    """What nginx says about it."""

    request: Request
    start_ms: int
    took_ms: int
    status: int
    limit_status: str


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


def scenario(spec: Any, source: str = "bind") -> Scenario:
    """Half of what its gateway has room for is 10 handshakes a second."""
    table = {
        "edge": {"limit": spec},
        "fleet": {"clients": 10, "source": source},
        "gateway": {"pods": 1, "handshake_cpu_ms": 50.0},
    }
    return build(table, source="test")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A pod that says yes at once."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    await writer.drain()
    writer.close()


async def _ask(port: int, n: int, request: Request, source: str) -> None:
    bound = (request.address, 0) if source == "bind" else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=bound)
    if source != "bind":
        family, to = ("TCP6", "::1") if ":" in request.address else ("TCP4", "127.0.0.1")
        writer.write(f"PROXY {family} {request.address} {to} 1234 {port}\r\n".encode())
    sid = f"&sid={request.sid}" if request.sid else ""
    # The log has the transport, so that it tells which request a line is about.
    target = f"/socket.io/?EIO=4&transport={n}{sid}"
    writer.write(f"{request.method} {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n".encode())
    writer.write(b"Content-Length: 0\r\n\r\n")
    await reader.read()
    writer.close()


async def _behind_nginx(
    chosen: Scenario, folder: Path, ports: Sequence[int], talk: Callable[[int], Awaitable[None]]
) -> None:
    """Starts a pod and nginx in front of it and talks to them; an nginx that ends has written its log."""
    port, pod_port = ports
    pod = await asyncio.start_server(_answer, "127.0.0.1", pod_port)
    configuration = folder / "gateway.conf"
    configuration.write_text(
        render(
            chosen,
            listen=f"127.0.0.1:{port}",
            pods=[f"127.0.0.1:{pod_port}"],
            directory=folder,
            trusted=("127.0.0.1",),
        ),
        encoding="utf-8",
    )
    assert check_syntax(configuration) == ""
    nginx = await start(
        "nginx",
        [str(executable()), "-p", str(folder), "-c", str(configuration), "-g", "daemon off;"],
        log=folder / "error.log",
        death_signal=signal.SIGTERM,
    )
    try:
        await _until_it_listens(port)
        await talk(port)
    finally:
        await nginx.stop()
        pod.close()


async def _until_it_listens(port: int) -> None:
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise AssertionError("nginx does not listen")


def logged(folder: Path, requests: Sequence[Request]) -> list[Logged]:
    """The log, in the order in which nginx took the requests up."""
    lines = []
    for line in (folder / "access.log").read_text(encoding="utf-8").splitlines():
        ended, took, address, method, status, limit_status, *_, n, sid = line.split("\t")
        request = requests[int(n)]
        assert (address, method, sid) == (request.address, request.method, request.sid or "-")
        took_ms = round(float(took) * 1000)
        start_ms = round(float(ended) * 1000) - took_ms
        lines.append((start_ms, int(n), Logged(request, start_ms, took_ms, int(status), limit_status)))
    assert len(lines) == len(requests)
    return [line for *_, line in sorted(lines, key=lambda line: line[:2])]


async def _storm(
    folder: Path, spec: Any, requests: Sequence[Request], source: str, ports: Sequence[int]
) -> None:
    async def talk(port: int) -> None:
        async def ask(n: int, request: Request) -> None:
            await asyncio.sleep(request.at_s)
            await _ask(port, n, request, source)

        await asyncio.gather(*(ask(n, request) for n, request in enumerate(requests)))

    await _behind_nginx(scenario(spec, source), folder, ports, talk)


def carried_out(folder: Path, spec: Any, requests: Sequence[Request], source: str = "bind") -> list[Logged]:
    asyncio.run(_storm(folder, spec, requests, source, free_ports(2)))
    return logged(folder, requests)


def in_words(decision: Decision, counted: bool, dry_run: bool) -> str:
    """What the log would have as `$limit_req_status`."""
    if not counted:
        return "-"
    word = "PASSED" if decision.refused_by is None else "REJECTED"
    if decision.delay_ms:
        word = "DELAYED"
    return word + ("_DRY_RUN" if dry_run and word != "PASSED" else "")


def compare(rules: Sequence[EdgeRule], lines: Sequence[Logged]) -> tuple[list[Logged], int]:
    """Lines on which rule and nginx differ, whatever a millisecond does; and how many none can change.

    Where a millisecond decides, the rule goes on from what nginx did.
    """
    dry_run = any(rule.dry_run for rule in rules)
    buckets: dict[tuple[str, str], LeakyBucket] = {}
    differ, certain = [], 0
    for line in lines:
        counted = [rule.counts_as(line.request.address, new=line.request.new) for rule in rules]
        keys = [(rule.name, key) for rule, key in zip(rules, counted, strict=True)]
        mine = [buckets.get(key, LeakyBucket()) if key[1] else None for key in keys]
        outcomes: dict[str, tuple[LeakyBucket | None, ...]] = {}
        for slack_ms in sorted(SLACK_MS, key=abs):
            decision, after = decide([rule.bucket for rule in rules], mine, line.start_ms + slack_ms)
            outcomes.setdefault(in_words(decision, any(counted), dry_run), after)
        certain += len(outcomes) == 1
        if line.limit_status not in outcomes:
            differ.append(line)
            continue
        # A dry run that would have held a request back has charged it all the same.
        charged = zip(keys, outcomes[line.limit_status], strict=True)
        buckets.update({key: bucket for key, bucket in charged if bucket is not None})
    return differ, certain


NAMES = [*AT_EDGE, "per-ip+global", "global+per-ip-delay"]
STORM = storm_of(["127.11.12.1", "127.21.22.1", "127.31.32.1"])


@pytest.fixture(scope="module")
def storms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each limit, with the log of its own nginx; all storms at once, for they mostly wait."""
    folder = tmp_path_factory.mktemp("storms")

    async def all_of_them() -> None:
        ports = free_ports(2 * len(NAMES))
        for name in NAMES:
            (folder / name).mkdir()
        pairs = zip(NAMES, ports[::2], ports[1::2], strict=True)
        await asyncio.gather(*(_storm(folder / name, name, STORM, "bind", pair) for name, *pair in pairs))

    asyncio.run(all_of_them())
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_nginx_refuses_whom_the_rule_refuses(storms: Path, name: str) -> None:
    lines = logged(storms / name, STORM)
    rules = edge_rules(scenario(name))
    differ, certain = compare(rules, lines)
    assert differ == []
    assert certain > 0.8 * len(lines), "milliseconds decide too often for the comparison to mean anything"

    refused = [line for line in lines if line.limit_status == "REJECTED"]
    assert refused, "the storm has to be one that the limit refuses a part of"
    assert {line.status for line in refused} == {429}
    assert {line.status for line in lines if line.limit_status != "REJECTED"} == {200}
    counted = refusals_per_second(read_access_log(storms / name / "access.log"), wall_epoch_s=0.0)
    assert counted.total() == len(refused)
    if name != "per-ip-all-requests":
        assert {line.limit_status for line in lines if not line.request.new} == {"-"}
    if "delay" in name:
        delayed = [line for line in lines if line.limit_status == "DELAYED"]
        # Whoever is delayed at 3 a second after somebody else has to wait for a good part of 334 ms.
        assert delayed
        assert max(line.took_ms for line in delayed) > 100


def test_polling_clients_never_connect_where_all_requests_count(tmp_path: Path) -> None:
    polling = [
        Request(0.01 * n, "127.11.12.1", method="POST" if n == 1 else "GET", sid="abc" if n else "")
        for n in range(5)
    ]
    (tmp_path / "all").mkdir()
    (tmp_path / "new").mkdir()
    counted = carried_out(tmp_path / "all", "per-ip-all-requests", polling)
    assert [line.status for line in counted] == [200, 200, 200, 429, 429]
    assert {line.status for line in carried_out(tmp_path / "new", "per-ip", polling)} == {200}


def test_a_dry_run_refuses_nobody_and_logs_whom_it_would_have_refused(tmp_path: Path) -> None:
    spec = {"name": "per-ip+global", "dry_run": True}
    requests = storm_of(["127.11.12.1", "127.21.22.1"])
    lines = carried_out(tmp_path, spec, requests)
    assert {line.status for line in lines} == {200}
    assert "REJECTED_DRY_RUN" in {line.limit_status for line in lines}
    assert compare(edge_rules(scenario(spec)), lines)[0] == []
    assert refusals_per_second(read_access_log(tmp_path / "access.log"), wall_epoch_s=0.0) == {}


def test_exempt_ranges_and_networks_count_as_the_rule_says(tmp_path: Path) -> None:
    spec = {"name": "per-ip", "exempt": ["10.0.0.0/8", "2001:db8:ffff::/48"]}
    exempt = ["10.1.2.3", "2001:db8:ffff:1::1"]
    one_network = ["2001:db8::1", "2001:db8::a:b:c:d"]
    one_address = ["192.0.2.1", "::ffff:192.0.2.1"]
    others = ["2001:db8:0:1::1", "2001:db8:1:0:1::", "192.0.2.2", "::1"]
    requests = storm_of([*exempt, *one_network, *one_address, *others])
    lines = carried_out(tmp_path, spec, requests, source="proxy-protocol")
    assert {line.limit_status for line in lines if line.request.address in exempt} == {"-"}
    assert compare(edge_rules(scenario(spec)), lines)[0] == []
    for shared in (one_network, one_address):
        first_ms = min(line.start_ms for line in lines if line.request.address in shared)
        passed = [line for line in lines if line.request.address in shared and line.limit_status == "PASSED"]
        early = [line for line in passed if line.start_ms < first_ms + 200]
        assert 3 <= len(early) <= 4, "two ways to write one address share one allowance"


def test_a_rule_is_not_charged_for_what_a_later_rule_refuses(tmp_path: Path) -> None:
    spec = {
        "name": "per-ip-strict+global",
        "per-ip-strict": {"rate_per_s": 1 / 60},
        "global": {"rate_per_s": 1, "burst": 2},
    }
    crowd = [Request(0.01 * n, f"127.{20 + n}.1.1") for n in range(3)]
    late = [Request(at_s, "127.11.12.1") for at_s in (0.1, 1.4, 2.8)]
    lines = carried_out(tmp_path, spec, [*crowd, *late])
    assert {line.status for line in lines[:3]} == {200}
    # All together refuse the first; the address itself, with one a minute, lets one in and then no more.
    assert [line.status for line in lines[3:]] == [429, 200, 429]
    assert compare(edge_rules(scenario(spec)), lines)[0] == []

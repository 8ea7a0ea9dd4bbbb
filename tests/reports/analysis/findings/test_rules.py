"""What each rule finds, and where it is silent."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from reports.analysis.findings.registry import FINDINGS, PROXIES, findings
from reports.analysis.metrics import summarise
from reports.analysis.validity import Evidence
from reports.rundir.proxy_log import ProxyLog, WorkerSockets, ZoneRefusals
from reports.rundir.reader import Run
from reports.rundir.series import Row
from tests.support.acted_runs import incident
from tests.support.found_runs import ALL_REQUESTS, GLOBAL, PER_IP, found_in, ips, limited_run, with_ages
from tests.support.histories import (
    TRIGGER_S,
    Event,
    history,
    scenario,
    seconds,
    sidecar_second,
    storm,
    strike,
)

ONE_ADDRESS = ProxyLog(requests=4_213, addresses=1, address="10.0.0.1")
SET_PER_IP = strike("set_limit", "mitigation", 20.0, 20.5, limit="per-ip", rules=[PER_IP])
TIME_OUTS = {"proxy_read_timeout_s": 10.0, "worker_shutdown_timeout_s": 30.0}
RELOADS = [line for t in range(4, 60, 7) for line in strike("nginx_reload", "mitigation", t, t + 0.2)]
KILLS = [line for t in range(4, 60, 10) for line in strike("kill_pod", "fault", t, t + 0.2, pod=0)]


def pulsing(
    period_s: int = 10, *, drops: float = 80.0, stale: float = 0.0, events: Iterable[Event] = (), **keys: Any
) -> Run:
    """A run without a trigger whose clients are disconnected again and again."""
    rows = seconds(0, 60)
    for row in rows[5::period_s]:
        row["disconnects"], row["stale"] = drops, stale
    return history(rows, trigger_s=None, events=events, scenario=scenario(**keys))


def cut(event: str, at_s: int = 25, *, drops: float = 60.0, **changes: float) -> Run:
    """A short run in which the proxy cut clients once, after one event at 5 s."""
    rows = seconds(0, 30)
    rows[at_s] |= {"disconnects": drops, **changes}
    edge = {"nginx": {"worker_shutdown_timeout_s": 20.0, "proxy_read_timeout_s": 8.0}}
    events = strike(event, "fault", 5.0, 5.2)
    return history(rows, trigger_s=None, events=events, scenario=scenario(edge=edge))


def aged(
    ages: Mapping[int, Iterable[tuple[float, int]]], *, events: Iterable[Event] = (), **keys: Any
) -> Run:
    """A run without a trigger, with the ages in ms of sessions that ended, by second."""
    return with_ages(history(seconds(0, 60), trigger_s=None, events=events, scenario=scenario(**keys)), ages)


def workers(*sockets: int, said: int | None = None, full: int = 0) -> Run:
    moment = WorkerSockets(t_s=TRIGGER_S, sockets=sockets)
    log = ProxyLog(requests=10, addresses=9, workers=(moment,), full=full)
    return limited_run(log=log, keys={"edge__nginx": {"workers": said}})


def locked(
    rule: Mapping[str, Any] = ALL_REQUESTS, *, size: float = 1.0, pods: str = "", **changes: Any
) -> Run:
    """Clients that a limit keeps out; pods: how other attempts end at the pods."""
    rows: list[Row] = []
    for row in storm(0.0):
        late: Row = {"limited": 20.0, **({pods: 20.0} if pods else {})} if row["connected"] == 0.0 else {}
        rows.append(row | late)
    return limited_run(
        rule, rows=rows, shared_ips=ips(size, **{"attempts": 20.0, "limited": 20.0, **changes})
    )


def taken_out(**counts: Any) -> Run:
    return limited_run(log=ProxyLog(requests=9, addresses=9, **counts))


def ejected(times: float) -> Run:
    rows = [
        sidecar_second(t, pod, ejections=times if t == 20 else 0.0) for t in range(30) for pod in range(2)
    ]
    return history(storm(0.0), sidecars=rows)


def at_sidecars(source: str, rule: Mapping[str, Any] = PER_IP) -> Run:
    return limited_run(
        None,
        rows=[row | {"sidecar_refused": 5.0} for row in storm(0.0)],
        keys={"mesh": {"source": source}},
        limit_rules={"sidecars": [dict(rule)]},
    )


def at_pods(*, peer: bool = False, log: ProxyLog | None = None, **changes: float) -> Run:
    """Pods with a window of their own for each address, which refuse."""
    rule = {**POD_WINDOW, "peer": peer}
    rows = [row | ({"pod_shed": 5.0} if row["connected"] == 0.0 else {}) for row in storm(0.0)]
    return limited_run(
        None, rows=rows, shared_ips=ips(1.0, **changes), log=log, limit_rules={"proxy": [], "pods": [rule]}
    )


ZONE = ZoneRefusals(directive="limit_conn", zone="addr", refused=3_307, addresses=2, last_s=59)


def own(*zones: ZoneRefusals, shared_ips: tuple[Row, ...] = (), pods: str = "", **info: Any) -> Run:
    """A run with an nginx configuration of the user's own, whose error log names these zones."""
    rows = [row | ({pods: 20.0} if pods and row["connected"] == 0.0 else {}) for row in storm(0.0)]
    return limited_run(
        None,
        rows=rows,
        shared_ips=shared_ips,
        log=ProxyLog(requests=9, addresses=9, zones=zones),
        keys={"edge__nginx_conf": "nginx.conf"},
        **info,
    )


def own_firsts(shared: float, alone: float) -> tuple[Row, ...]:
    """First attempts per second, of ten each, that were refused: in offices and alone."""
    return (
        *ips(25.0, first_attempts=10.0, first_limited=shared),
        *ips(1.0, first_attempts=10.0, first_limited=alone),
    )


OUT = ips(25.0, connected=90.0, attempts=20.0, limited=20.0)

POD_WINDOW = {"name": "pod-window", "connections": 10, "window_s": 5.0, "charge_refusals": True}

TENS = {t: [(10_000.0 + t, 10)] for t in range(20, 50, 3)}

FOUND: dict[str, tuple[str, Callable[[], Run], list[str]]] = {
    "all requests have one address": (
        "single-key",
        lambda: limited_run(log=ONE_ADDRESS),
        ["1 key, 100 clients", "4,213 requests", "from 10.0.0.1", "100 IPs", "refused 1,080"],
    ),
    "clients share an address by the scenario": (
        "single-key",
        lambda: limited_run(log=ONE_ADDRESS, keys={"fleet__source": "same"}),
        ["`fleet.source` is `same`"],
    ),
    "a limit that was set later": (
        "single-key",
        lambda: limited_run(None, log=ONE_ADDRESS, events=SET_PER_IP),
        ["1 key"],
    ),
    "one address, and a limit in a configuration of one's own": (
        "single-key",
        lambda: limited_run(None, log=ONE_ADDRESS, keys={"edge__nginx_conf": "nginx.conf"}),
        ["1 key"],
    ),
    "sidecars that count the proxy": ("single-key", lambda: at_sidecars("peer"), ["1 key at each sidecar"]),
    "pods that count the proxy": (
        "single-key",
        lambda: at_pods(peer=True),
        ["1 key at each pod, 100 clients", "the peer, which is the proxy", "100 IPs", "refused 270"],
    ),
    "pods that are told one address": (
        "single-key",
        lambda: at_pods(log=ONE_ADDRESS),
        ["1 key at each pod", "the one address that the proxy forwards"],
    ),
    "first attempts refused by pods": (
        "refused-first-attempts",
        lambda: at_pods(first_attempts=2.0, first_limited=1.0),
        ["54 of 108"],
    ),
    "a window of the pods that refusals fill": (
        "never-in",
        lambda: at_pods(attempts=20.0, limited=20.0),
        # Ten in 5 s at each of two pods.
        ["100 of the 100 clients", "216 connections"],
    ),
    "first attempts refused": (
        "refused-first-attempts",
        lambda: limited_run(shared_ips=ips(25.0, first_attempts=2.0, first_limited=1.0)),
        ["54 of 108", "50 %", "up to 25 clients"],
    ),
    "a limit that counts all requests": (
        "never-in",
        locked,
        ["100 of the 100 clients", "300 attempts began, and the limit refused 300", "162 connections"],
    ),
    "clients of an office that the limit keeps out": ("never-in", lambda: locked(size=25.0), ["25 on an IP"]),
    "a cap on open connections below the clients of an IP": (
        "never-in",
        lambda: limited_run({"name": "concurrent-per-ip", "connections": 10}, shared_ips=ips(25.0)),
        ["25 clients share an IP", "10 open connections", "15 of 25"],
    ),
    "a window that refusals fill": (
        "never-in",
        lambda: locked({"name": "sliding-window", "connections": 10, "window_s": 5, "charge_refusals": True}),
        ["100 of the 100 clients", "108 connections"],
    ),
    "clients that a zone of one's own nginx keeps out": (
        "never-in",
        lambda: own(ZONE, shared_ips=OUT),
        [
            "10 of the 100 clients with 25 on an IP",
            "last 15 s: 300 attempts began, and 300 were refused",
            "limit_conn zone “addr” refused 3,307 requests of 2 addresses",
        ],
    ),
    "clients that a zone of one's own nginx kept out of the ramp": (
        "never-in",
        lambda: own(ZONE, shared_ips=OUT, trigger_s=None, phases=(), status="failed"),
        ["10 of the 100 clients with 25 on an IP"],
    ),
    "first attempts refused by one's own nginx": (
        "refused-first-attempts",
        lambda: own(ZONE, shared_ips=own_firsts(5.0, 0.0)),
        ["270 of 540", "(50 %), and 0 of 540 by clients with an IP of their own", "zone “addr”"],
    ),
    "one worker has nearly all": (
        "uneven-workers",
        lambda: workers(349, 17, 4, said=4),
        ["4 workers of nginx, 370 WebSockets at the trigger: 349, 17, 4, 0."],
    ),
    "a worker that was full": (
        "uneven-workers",
        lambda: workers(90, 10, full=7),
        ["7 times a worker had no"],
    ),
    "workers by their log alone": ("uneven-workers", lambda: workers(90, 10), ["2 workers", "90, 10"]),
    "pulses of a read time-out": (
        "synchronised-drops",
        lambda: pulsing(edge__nginx=TIME_OUTS),
        ["6 pulses", "10 s apart", "80 clients", "100 %", "fits this period: proxy_read_timeout (10 s)."],
    ),
    "pulses of no known time-out": (
        "synchronised-drops",
        lambda: pulsing(7),
        ["No time-out of the scenario"],
    ),
    "pulses of reloads": (
        "synchronised-drops",
        lambda: pulsing(7, events=RELOADS),
        ["the time between two reloads (7 s)"],
    ),
    "pulses and ages": (
        "synchronised-drops",
        lambda: with_ages(pulsing(12, edge__nginx=TIME_OUTS), {t: [(30_000, 40)] for t in (17, 29, 41)}),
        ["fits this age of the sessions: worker_shutdown_timeout (30 s)"],
    ),
    "sessions of one age": (
        "one-session-age",
        lambda: aged(TENS, edge__nginx=TIME_OUTS),
        ["100 sessions ended 10 s", "100 %", "fits this age: proxy_read_timeout (10 s)"],
    ),
    "sessions of one age, at one moment, by a time-out": (
        "one-session-age",
        lambda: aged({31: [(30_000, 80)]}, edge__nginx=TIME_OUTS),
        ["80 sessions", "worker_shutdown_timeout (30 s)"],
    ),
    "sessions of one age, by no time-out that is known": (
        "one-session-age",
        lambda: aged(TENS),
        ["No time-out"],
    ),
    "sessions that joined during the run, after others had become quiet": (
        "one-session-age",
        lambda: aged({20: [(21_500, 80)], 31: [(10_050, 80)]}, edge__nginx=TIME_OUTS),
        [
            "80 sessions",
            "100 % of the ends of sessions that joined during the run",
            "proxy_read_timeout (10 s)",
        ],
    ),
    "sessions that ended at once": (
        "one-session-age",
        lambda: aged({t: [(66.0, 5), (71.0, 5)] for t in range(5, 20)}),
        ["150 sessions"],
    ),
    "an external gateway behind a stock proxy": (
        "one-session-age",
        lambda: aged({t: [(60_100.0, 10)] for t in range(20, 50)}, target={"url": "http://x"}),
        ["default of nginx"],
    ),
    "Envoy with its own time-outs": (
        "one-session-age",
        lambda: aged({55: [(300_100.0, 50)]}, edge={"proxy": "envoy", "defaults": "stock"}),
        ["stream_idle_timeout (300 s)"],
    ),
    "Envoy with a time-out of the scenario": (
        "one-session-age",
        lambda: aged(TENS, edge={"proxy": "envoy", "envoy": {"stream_idle_timeout_s": 10.0}}),
        ["stream_idle_timeout (10 s)"],
    ),
    "HAProxy with a time-out of the scenario": (
        "one-session-age",
        lambda: aged(TENS, edge={"proxy": "haproxy", "haproxy": {"timeout_tunnel_s": 10.0}}),
        ["timeout_tunnel (10 s)"],
    ),
    "nginx with its own time-outs": (
        "one-session-age",
        lambda: aged({58: [(60_100.0, 50)]}, edge={"proxy": "nginx", "defaults": "stock"}),
        ["proxy_read_timeout", "(60 s)"],
    ),
    "old workers that a reload cut later, once": (
        "cut-by-time-out",
        lambda: cut("nginx_reload"),
        ["60 of 100 clients", "at 25 s", "worker_shutdown_timeout (20 s) after a reload at 5 s"],
    ),
    "quiet sockets that were cut once": (
        "cut-by-time-out",
        lambda: cut("feed_stall", 13),
        ["60 of 100 clients", "at 13 s", "proxy_read_timeout (8 s) after the feed stopped at 5 s"],
    ),
    "pods out though alive": (
        "pods-taken-out",
        lambda: taken_out(taken_out=14, taken_out_alive=12, none_left=340),
        ["14 times", "12 of these while the pod was alive", "340 requests"],
    ),
    "pods that sidecars ejected": ("pods-taken-out", lambda: ejected(1.0), ["2 pods, 2 times"]),
}

SILENT: dict[str, Callable[[], Run]] = {
    "a naive storm": lambda: history(storm(0.0), events=strike("drop_all", "fault", 8.05, 8.06)),
    "a calm run": lambda: history(seconds(0, 30), trigger_s=None),
    "nothing recorded": lambda: history([], status="interrupted", phases=(), latencies={}),
    "pods that count clients": lambda: at_pods(log=ProxyLog(requests=9, addresses=100)),
    "one IP for all by the scenario": lambda: limited_run(log=ONE_ADDRESS, shared_ips=ips(100.0)),
    "one address without a refusal": lambda: limited_run(rows=storm(0.0), log=ONE_ADDRESS),
    "one address and a limit for all together": lambda: limited_run(GLOBAL, log=ONE_ADDRESS),
    "one address and a dry run": lambda: limited_run({**PER_IP, "dry_run": True}, log=ONE_ADDRESS),
    "one address and no known limit": lambda: limited_run(None, log=ONE_ADDRESS),
    "a log of another version": lambda: limited_run(log=None),
    "many addresses": lambda: limited_run(log=ProxyLog(requests=9, addresses=100)),
    "sidecars that count clients": lambda: at_sidecars("forwarded"),
    "sidecars with a limit for all together": lambda: at_sidecars("peer", GLOBAL),
    "first attempts that were let in": lambda: limited_run(shared_ips=ips(25.0, first_attempts=2.0)),
    "few first attempts refused": lambda: limited_run(
        shared_ips=ips(25.0, first_attempts=50.0, first_limited=1.0)
    ),
    "first attempts refused by a limit for all": lambda: limited_run(
        GLOBAL, shared_ips=ips(25.0, first_attempts=2.0, first_limited=1.0)
    ),
    "one's own nginx that refused nobody": lambda: own(shared_ips=OUT),
    "one's own nginx that stopped refusing": lambda: own(
        ZoneRefusals(directive="limit_req", zone="hs", refused=9, addresses=1, last_s=9), shared_ips=OUT
    ),
    "one's own nginx, and pods that keep clients out": lambda: own(ZONE, shared_ips=OUT, pods="timeout"),
    "one's own nginx that lets clients in, one by one": lambda: own(
        ZONE, shared_ips=tuple(row | {"connected": row["t_s"]} for row in OUT)
    ),
    "one's own nginx that refuses alike": lambda: own(ZONE, shared_ips=own_firsts(5.0, 5.0)),
    "pods that keep clients out": lambda: locked(pods="timeout"),
    "a limit that had no time for all": lambda: locked(size=100.0),
    "clients that mostly get past the limit": lambda: locked(limited=10.0),
    "clients that do not ask": lambda: locked(attempts=0.0, limited=0.0),
    "clients that are in": lambda: locked(connected=99.0),
    "a cap that is enough": lambda: limited_run(
        {"name": "concurrent-per-ip", "connections": 25}, shared_ips=ips(25.0)
    ),
    "a limit by token": lambda: limited_run({**PER_IP, "key": "new-per-token"}, log=ONE_ADDRESS),
    "even workers": lambda: workers(100, 97, 90, 83, said=4),
    "old workers after a reload": lambda: workers(50, 50, 50, 50, 10, 10, 10, 10, said=4),
    "few sockets": lambda: workers(12, 3, said=2),
    "one worker": lambda: workers(400, said=1),
    "pulses by the clients' own watchdog": lambda: pulsing(stale=80.0),
    "a cut that no time-out explains": lambda: cut("nginx_reload", 19),
    "a cut of a few": lambda: cut("nginx_reload", drops=4.0),
    "a cut by the clients' own watchdog": lambda: cut("feed_stall", 13, stale=60.0),
    "pulses of a few": lambda: pulsing(drops=2.0),
    "pulses that events explain": lambda: pulsing(events=KILLS),
    "pulses that probes explain": lambda: pulsing(
        events=[{"t_s": float(t), "event": "pod_killed", "pod": 0} for t in range(4, 60, 10)]
    ),
    "sessions that ended together, of no known age": lambda: aged(
        {31: [(21_500, 80)]}, edge__nginx=TIME_OUTS
    ),
    "sessions of one age that an event ended": lambda: aged(
        {9: [(9_900, 100)]}, events=strike("drop_all", "fault", 8.05, 8.06), edge__nginx=TIME_OUTS
    ),
    "few sessions of one age": lambda: aged({t: [(10_000.0, 1)] for t in range(10)}),
    "pods that were dead": lambda: taken_out(taken_out=3),
    "sidecars that ejected nobody": lambda: ejected(0.0),
}


@pytest.mark.parametrize("case", FOUND)
def test_a_mistake_is_found_with_its_figures(case: str) -> None:
    name, run, parts = FOUND[case]
    found = found_in(run())
    assert name in found
    assert [part for part in parts if part not in found[name]] == [], found[name]


@pytest.mark.parametrize("case", SILENT)
def test_nothing_is_said_where_there_is_nothing_to_say(case: str) -> None:
    assert found_in(SILENT[case]()) == {}


def test_storms_without_a_mistake_have_no_finding() -> None:
    assert [found_in(run) for run in incident()] == [{}, {}, {}, {}]


def test_every_kind_is_tested_and_says_what_to_change_at_every_proxy() -> None:
    assert {name for name, _, _ in FOUND.values()} == set(FINDINGS)
    for kind in FINDINGS.values():
        assert set(kind.change) == set(PROXIES)
        assert kind.title
        assert kind.meaning.endswith(".")


@pytest.mark.parametrize(
    ("proxy", "begins"),
    [("nginx", "nginx: `set_real_ip_from"), ("haproxy", "HAProxy: `http-"), ("envoy", "Envoy: `use_remote")],
)
def test_the_directive_is_that_of_the_proxy_of_the_run(proxy: str, begins: str) -> None:
    run = limited_run(log=ONE_ADDRESS, keys={"edge__proxy": proxy})
    (found,) = findings(Evidence(run, summarise(run)))
    assert found.change.startswith(begins)


def test_where_the_pods_refuse_the_change_is_theirs() -> None:
    for run, words in (
        (at_pods(peer=True), "X-Forwarded-For"),
        (at_pods(first_attempts=2.0, first_limited=1.0), "The gateway's own limiter"),
        (at_pods(attempts=20.0, limited=20.0), "The gateway's own limiter"),
    ):
        (found,) = findings(Evidence(run, summarise(run)))
        assert words in found.change


def test_of_an_external_target_the_directives_of_all_proxies_are_named() -> None:
    run = aged(TENS, target={"url": "http://x"})
    (found,) = findings(Evidence(run, summarise(run)))
    assert all(f"{name}: " in found.change for name in PROXIES.values())

"""A pod's parts on their own: control endpoints, metrics, handshake cost, probes, statistics."""

import asyncio
import json
import logging
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from gateway_stub.app import Pod
from gateway_stub.connections import Connections
from gateway_stub.control import control_app, prometheus_text
from gateway_stub.cost import Cost, burn
from gateway_stub.feed_schedule import FeedSchedule
from gateway_stub.health import Health
from gateway_stub.loop_monitor import LoopMonitor, ran_and_queued_ns, seconds_to_report
from gateway_stub.protocol import (
    CLOCK_PATH,
    CONTROLS_PATH,
    DRAIN_PATH,
    DROP_PATH,
    LIVENESS_PATH,
    METRICS_PATH,
    READINESS_PATH,
    SETTINGS_VARIABLE,
    TOKEN_HEADER,
    UPGRADE_SHARE,
    Admission,
    Controls,
    PodStatistics,
    Settings,
)
from gateway_stub.settings import from_environment

TOKEN = "sésame"
TOTALS = {"clients": 3, "joined_total": 1_234_567, "handshakes_total": 2.5}
LAST = PodStatistics(
    t_ns=9,
    span_ns=2_000_000_000,
    cpu_ns=500_000_000,
    occupied_ns=1_500_000_000,
    lag_ms=250.0,
    clients=3,
    handshakes=0,
    joined=0,
    gone_early=0,
    short_sessions=0,
    ticks_sent=0,
    tick_late_ms=0.0,
)

Client = TestClient[web.Request, web.Application]


def ask(app: web.Application, questions: Callable[[Client], Awaitable[None]]) -> None:
    """Serves the application on loopback while the questions are asked."""

    async def serve() -> None:
        async with TestClient(TestServer(app)) as client:
            await questions(client)

    asyncio.run(serve())


class Controlled:
    """What the control endpoints act on."""

    def __init__(self) -> None:
        self.controls: list[Controls] = []
        self.drops: list[tuple[float, list[int]]] = []
        self.drains: list[tuple[float, int | None, list[int]]] = []

    def drain(self, window_s: float, close_code: int | None, rng: random.Random) -> int:
        self.drains.append((window_s, close_code, rng.sample(range(100), 3)))
        return 19

    def drop(self, share: float, rng: random.Random) -> int:
        self.drops.append((share, rng.sample(range(100), 3)))
        return 17

    def apply(self, controls: Controls) -> Controls:
        self.controls.append(controls)
        return msgspec.structs.replace(controls, feed=FeedSchedule.of(9, 5))

    def app(self) -> web.Application:
        return control_app(
            token=TOKEN,
            drop=self.drop,
            drain=self.drain,
            apply=self.apply,
            probes=Health(lambda: 0.0, busy_lag_ms=1, epoch_ns=0).routes(),
            totals=lambda: dict(TOTALS),
            last=lambda: LAST,
        )


WRONG_TOKENS = {
    "missing": None,
    "empty": b"",
    "wrong": b"open",
    "a prefix of the right one": TOKEN.encode()[:-1],
    "not UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("token", WRONG_TOKENS.values(), ids=WRONG_TOKENS)
@pytest.mark.parametrize("path", [DROP_PATH, DRAIN_PATH, CONTROLS_PATH, "/control/nothing"])
def test_without_the_right_token_nothing_is_done(path: str, token: bytes | None) -> None:
    controlled = Controlled()

    async def questions(client: Client) -> None:
        headers = {} if token is None else {TOKEN_HEADER: token.decode(errors="surrogateescape")}
        async with client.post(path, headers=headers) as answer:
            assert answer.status == 403
            assert TOKEN not in await answer.text()

    ask(controlled.app(), questions)
    assert (controlled.drops, controlled.drains, controlled.controls) == ([], [], [])


def post(path: str, body: bytes = b"") -> tuple[Controlled, int, str]:
    """What was done, and the answer's status and text."""
    controlled = Controlled()
    said: list[tuple[int, str]] = []

    async def questions(client: Client) -> None:
        async with client.post(path, data=body, headers={TOKEN_HEADER: TOKEN}) as answer:
            said.append((answer.status, await answer.text()))

    ask(controlled.app(), questions)
    return controlled, *said[0]


DROPS = {
    "": (1.0, 0),
    "?share=0.25": (0.25, 0),
    "?share=0.5&seed=3": (0.5, 3),
    "?share=0": (0.0, 0),
    "?seed=-7": (1.0, -7),
}


@pytest.mark.parametrize(("query", "expected"), DROPS.items(), ids=DROPS)
def test_a_share_of_the_clients_is_dropped_by_its_seed_and_counted(
    query: str, expected: tuple[float, int]
) -> None:
    before_ns = time.monotonic_ns()
    controlled, status, text = post(DROP_PATH + query)
    share, seed = expected
    assert status == 200
    assert controlled.drops == [(share, random.Random(seed).sample(range(100), 3))]
    said = json.loads(text)
    assert said["dropped"] == 17
    assert before_ns <= said["at_ns"] <= time.monotonic_ns()


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("?share=1.01", "share: invalid value '1.01': expected a number from 0 to 1"),
        ("?share=-0.1", "share: invalid value '-0.1'"),
        ("?share=nan", "share: invalid value 'nan'"),
        ("?share=half", "share: invalid value 'half'"),
        ("?share=1&seed=", "seed: invalid value '': expected an integer"),
        ("?seed=0.5", "seed: invalid value '0.5'"),
    ],
)
def test_a_bad_drop_is_refused_with_what_was_found(query: str, complaint: str) -> None:
    controlled, status, text = post(DROP_PATH + query)
    assert (status, controlled.drops) == (400, [])
    assert complaint in text


DRAINS: dict[str, tuple[float, int | None, int]] = {
    "": (0.0, None, 0),
    "?window_s=2.5&seed=3": (2.5, None, 3),
    "?window_s=3600&close_code=1012": (3600.0, 1012, 0),
}


@pytest.mark.parametrize(("query", "expected"), DRAINS.items(), ids=DRAINS)
def test_a_drain_has_a_window_a_close_code_and_a_seed(
    query: str, expected: tuple[float, int | None, int]
) -> None:
    controlled, status, text = post(DRAIN_PATH + query)
    window_s, close_code, seed = expected
    assert (status, json.loads(text)["draining"]) == (200, 19)
    assert controlled.drains == [(window_s, close_code, random.Random(seed).sample(range(100), 3))]


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("?window_s=-1", "window_s: invalid value '-1': expected a number from 0 on"),
        ("?window_s=inf", "window_s: invalid value 'inf'"),
        ("?window_s=nan", "window_s: invalid value 'nan'"),
        ("?close_code=999", "close_code: invalid value '999': expected an integer from 1000 to 4999"),
        ("?close_code=", "close_code: invalid value ''"),
        ("?seed=x", "seed: invalid value 'x'"),
    ],
)
def test_a_bad_drain_is_refused_with_what_was_found(query: str, complaint: str) -> None:
    controlled, status, text = post(DRAIN_PATH + query)
    assert (status, controlled.drains) == (400, [])
    assert complaint in text


def test_controls_are_taken_as_a_whole_and_answered_with_those_in_force() -> None:
    wanted = Controls(
        handshake_cpu_ms=12.5,
        feed_stalled_until_ns=7,
        admission=Admission(shed_above_lag_ms=250, handshake_slots=8),
    )
    controlled, status, text = post(CONTROLS_PATH, msgspec.json.encode(wanted))
    assert (status, controlled.controls) == (200, [wanted])
    in_force = msgspec.json.decode(text, type=Controls)
    assert in_force == msgspec.structs.replace(wanted, feed=FeedSchedule.of(9, 5))


BAD_CONTROLS = {
    "empty": (b"", "truncated"),
    "no JSON": (b"cpu_ms=5", "malformed"),
    "not UTF-8": (b'{"handshake_cpu_ms": "\xff"}', "controls: "),
    "an unknown key": (b'{"cpu_ms": 5}', "unknown field `cpu_ms`"),
    "text for a number": (b'{"handshake_cpu_ms": "much"}', "Expected `float`, got `str`"),
    "a negative cost": (b'{"handshake_cpu_ms": -1}', ">= 0.0 - at `$.handshake_cpu_ms`"),
    "an endless cost": (b'{"handshake_cpu_ms": 1e999}', "out of range"),
    "negative slots": (b'{"admission": {"handshake_slots": -1}}', "`$.admission.handshake_slots`"),
    "a feed without ticks": (b'{"feed": {"stretches": []}}', "`$.feed.stretches`"),
}


@pytest.mark.parametrize(("body", "complaint"), BAD_CONTROLS.values(), ids=BAD_CONTROLS)
def test_bad_controls_are_refused_in_clear_text_and_change_nothing(body: bytes, complaint: str) -> None:
    controlled, status, text = post(CONTROLS_PATH, body)
    assert (status, controlled.controls) == (400, [])
    assert complaint in text


def test_probes_on_the_control_port_need_no_token() -> None:
    async def questions(client: Client) -> None:
        async with client.get(LIVENESS_PATH) as alive, client.get(READINESS_PATH) as readiness:
            assert (alive.status, readiness.status) == (200, 503)

    ask(Controlled().app(), questions)


def test_metrics_need_no_token() -> None:
    async def questions(client: Client) -> None:
        async with client.get(METRICS_PATH) as answer:
            assert (answer.status, answer.content_type) == (200, "text/plain")
            assert await answer.text() == prometheus_text(dict(TOTALS), LAST)

    ask(Controlled().app(), questions)


def parsed(text: str) -> dict[str, tuple[str, float]]:
    """Name to (type, value) from Prometheus text, which must introduce every metric once."""
    assert text.endswith("\n")
    metrics = {}
    lines = text.splitlines()
    assert len(lines) % 3 == 0
    for help_line, type_line, sample in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        match = re.fullmatch(r"([a-z_]+) (\S+)", sample)
        assert match is not None
        name = match[1]
        assert name not in metrics
        assert re.fullmatch(rf"# HELP {name} [A-Z].*\.", help_line)
        kind = type_line.removeprefix(f"# TYPE {name} ")
        assert kind == ("counter" if name.endswith("_total") else "gauge")
        metrics[name] = (kind, float(match[2]))
    return metrics


def test_prometheus_text_has_every_counter_to_the_last_digit_and_the_last_seconds_gauges() -> None:
    assert parsed(prometheus_text(dict(TOTALS), LAST)) == {
        "gateway_clients": ("gauge", 3),
        "gateway_joined_total": ("counter", 1_234_567),
        "gateway_handshakes_total": ("counter", 2.5),
        "gateway_cpu_ratio": ("gauge", 0.25),
        "gateway_loop_utilisation_ratio": ("gauge", 0.75),
        "gateway_loop_lag_seconds": ("gauge", 0.25),
    }


def test_every_counter_of_a_pod_has_its_help() -> None:
    totals = Pod(Settings(name="helped", token="t"))._prometheus_totals()
    assert set(parsed(prometheus_text(totals, LAST))) >= {f"gateway_{name}" for name in totals}
    assert {"shed_total", "handshakes_total", "gone_early_total", "join_races_total"} <= set(totals)


def test_before_the_first_second_there_are_no_gauges_of_the_last_one() -> None:
    assert set(parsed(prometheus_text(dict(TOTALS), None))) == {f"gateway_{name}" for name in TOTALS}


def test_burning_uses_at_least_the_asked_cpu_of_this_thread() -> None:
    before_ns = time.thread_time_ns()
    burn(5_000_000)
    assert time.thread_time_ns() - before_ns >= 5_000_000


def cost(mode: str, handshake_cpu_ms: float = 0.0, tick_cpu_us: float = 0.0) -> Cost:
    """What handshakes and ticks cost."""
    return Cost(mode, handshake_cpu_ms=handshake_cpu_ms, tick_cpu_us=tick_cpu_us)  # type: ignore[arg-type]


def test_the_two_stages_of_a_handshake_add_up_to_its_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    burnt: list[int] = []
    monkeypatch.setattr("gateway_stub.cost.burn", burnt.append)
    twenty = cost("burn", 20.0)
    twenty.upgrade()
    twenty.join()
    assert sum(burnt) == pytest.approx(20_000_000, abs=2)
    assert burnt[0] == pytest.approx(20_000_000 * UPGRADE_SHARE, abs=1)
    assert twenty.blocked_ns == 0


def test_a_tick_costs_its_share_for_every_client(monkeypatch: pytest.MonkeyPatch) -> None:
    burnt: list[int] = []
    monkeypatch.setattr("gateway_stub.cost.burn", burnt.append)
    ticking = cost("burn", tick_cpu_us=70.5)
    for clients in (0, 1, 300):
        ticking.deliver(clients)
    assert burnt == [70_500, 300 * 70_500]


def test_reserving_occupies_the_thread_and_adds_up() -> None:
    occupying = cost("occupy", 4.0, tick_cpu_us=100)
    started_ns = time.monotonic_ns()
    occupying.upgrade()
    assert occupying.blocked_ns >= int(4_000_000 * UPGRADE_SHARE)
    occupying.join()
    occupying.deliver(10)
    assert 5_000_000 - 2 <= occupying.blocked_ns <= time.monotonic_ns() - started_ns


@pytest.mark.parametrize("mode", ["burn", "occupy"])
def test_what_is_free_costs_nothing(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_stub.cost.burn", pytest.fail)
    monkeypatch.setattr("gateway_stub.cost.time.sleep", pytest.fail)
    free = cost(mode)
    free.upgrade()
    free.join()
    free.deliver(1_000)
    assert free.blocked_ns == 0


def test_a_pod_tells_how_long_ago_the_epoch_was_whatever_it_is_doing() -> None:
    epoch_ns = time.monotonic_ns() - 7_000_000_000
    app = web.Application()
    app.add_routes(Health(lambda: 900.0, busy_lag_ms=500, epoch_ns=epoch_ns).routes())

    async def questions(client: Client) -> None:
        before_ns = time.monotonic_ns() - epoch_ns
        async with client.get(CLOCK_PATH) as answer:
            since_epoch_ns = int(await answer.text())
        assert before_ns <= since_epoch_ns <= time.monotonic_ns() - epoch_ns

    ask(app, questions)


def test_a_pod_that_is_starting_leaving_or_busy_is_alive_but_not_ready() -> None:
    lag_ms = [0.0]
    health = Health(lambda: lag_ms[0], busy_lag_ms=500, epoch_ns=0)
    app = web.Application()
    app.add_routes(health.routes())

    async def questions(client: Client) -> None:
        for serving, lag, status, text in (
            (False, 0.0, 503, "not ready: starting or leaving\n"),
            (True, 500.0, 200, "ready\n"),
            (True, 500.6, 503, "not ready: the event loop lagged by 501 ms\n"),
            (False, 900.0, 503, "not ready: starting or leaving\n"),
        ):
            health.serving, lag_ms[0] = serving, lag
            async with client.get(LIVENESS_PATH) as alive, client.get(READINESS_PATH) as readiness:
                assert (alive.status, readiness.status) == (200, status)
                assert await readiness.text() == text

    ask(app, questions)


def test_lag_counts_a_probe_that_is_overdue_and_for_a_while_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 1_000.0
    lags_s = iter([0.0, 0.3, 0.01])
    seen: list[tuple[int, int]] = []
    monitor = LoopMonitor(dict, lambda: 0)

    def look(*after_s: float) -> None:
        nonlocal now_s
        for pause_s in after_s:
            now_s += pause_s
            seen.append((round(monitor.current_lag_ms()), round(monitor.recent_lag_ms())))

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        look(0.0, 0.04)
        lag_s = next(lags_s, None)
        if lag_s is None:
            look(0.17, 0.79, 0.001)
            raise asyncio.CancelledError
        now_s += seconds - 0.04 + lag_s

    monkeypatch.setattr("gateway_stub.loop_monitor.time.monotonic", lambda: now_s)
    monkeypatch.setattr("gateway_stub.loop_monitor.asyncio.sleep", sleep)
    assert (monitor.current_lag_ms(), monitor.recent_lag_ms()) == (0, 0)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(monitor.probe())
    assert seen == [
        (0, 0),  # the first probe is under way
        (0, 0),
        (0, 0),  # the first one came in time
        (0, 0),
        (300, 300),  # the second one was late
        (300, 300),
        (10, 300),  # the third one was nearly in time
        (10, 300),
        (160, 300),  # the fourth is overdue
        (950, 950),
        (951, 951),
    ]


@pytest.mark.parametrize(
    ("now_s", "next_s"),
    [(17.0, 18), (17.02, 18), (17.3, 18), (17.499, 18), (17.5, 19), (17.7, 19), (17.9999, 19)],
)
def test_no_second_gets_two_lines_even_after_the_process_was_stopped(now_s: float, next_s: int) -> None:
    assert now_s + seconds_to_report(now_s) == pytest.approx(next_s)
    # The collector books a line to the second that ends nearest to it.
    assert next_s == int(now_s + 0.5) + 1


def test_a_join_race_is_counted_and_any_other_error_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    pod = Pod(Settings(name="racing", token="t"))
    logger = logging.getLogger("gateway_stub.racing")
    for error in (KeyError("sid"), OSError("disk")):
        try:
            raise error
        except (KeyError, OSError):
            logger.exception("in the connect path")
    assert pod.totals["join_races"] == 1
    shown = capsys.readouterr().err
    assert "OSError: disk" in shown
    assert "KeyError" not in shown


class Transport(asyncio.Transport):
    """Remembers whether it was cut."""

    aborted = closed = False

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.aborted or self.closed


def request(method: str, sid: str, transport: Transport | None, **headers: str) -> web.Request:
    """What a client with an Engine.IO session asks."""
    asked = make_mocked_request(method, f"/socket.io/?sid={sid}", headers, transport=Transport())
    asked.protocol.transport = transport
    return asked


def test_whoever_is_dropped_loses_every_connection_and_nobody_else_any() -> None:
    connections = Connections()
    poll, post, upgraded, others, early = (Transport() for _ in range(5))
    connections.note(request("GET", "e1", poll))
    connections.note(request("POST", "e1", post))
    connections.note(request("GET", "e1", upgraded, Upgrade="websocket"))
    connections.note(request("GET", "e2", others))
    connections.note(request("GET", "early", early))
    connections.note(request("GET", "e1", None))
    connections.join("s1", "e1", None)
    assert connections.senders("e1") == [post, upgraded]
    assert connections.drop(0.9, random.Random(0)) == 1
    assert [t.aborted for t in (poll, post, upgraded, others, early)] == [True, True, True, False, False]
    connections.forget_closed()
    assert connections.senders("e1") == []
    connections.leave("s1")
    connections.leave("never joined")
    assert len(connections) == 0
    assert connections.drop(1, random.Random(0)) == 0
    assert early.aborted


@pytest.mark.parametrize(
    ("clients", "share", "dropped"),
    [(0, 1.0, 0), (7, 1.0, 7), (7, 0.0, 0), (10, 0.5, 5), (10, 0.26, 3), (3, 0.5, 2), (1, 0.4, 0)],
)
def test_exactly_the_asked_share_is_dropped_and_the_seed_says_whom(
    clients: int, share: float, dropped: int
) -> None:
    def cut(seed: int) -> list[bool]:
        connections, transports = Connections(), [Transport() for _ in range(clients)]
        for number, transport in enumerate(transports):
            connections.join(f"s{number}", f"e{number}", transport)
        assert connections.drop(share, random.Random(seed)) == dropped
        return [transport.aborted for transport in transports]

    assert sum(cut(3)) == dropped
    assert cut(3) == cut(3)
    if (clients, share) == (10, 0.5):
        assert cut(3) != cut(4)


@pytest.mark.parametrize(
    ("close_code", "frames"), [(None, []), (1001, [b"\x88\x02\x03\xe9"]), (1012, [b"\x88\x02\x03\xf4"])]
)
def test_a_session_is_closed_once_with_a_close_frame_if_that_is_asked_for(
    close_code: int | None, frames: list[bytes]
) -> None:
    connections = Connections()
    websocket, poll, post, upgraded, others = (Transport() for _ in range(5))
    connections.join("direct", "e1", websocket)
    connections.join("upgraded", "e2", None)
    connections.join("other", "e3", others)
    connections.note(request("GET", "e2", poll))
    connections.note(request("POST", "e2", post))
    connections.note(request("GET", "e2", upgraded, Upgrade="websocket"))
    for sid in ("direct", "upgraded", "direct", "gone"):
        connections.close(sid, close_code)
    assert [t.closed for t in (websocket, upgraded, others)] == [True, True, False]
    assert websocket.written == upgraded.written == frames
    assert (poll.aborted, post.aborted, poll.written) == (True, True, [])


def test_a_drain_closes_sessions_evenly_over_its_window_and_in_the_given_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections, transports = Connections(), [Transport() for _ in range(5)]
    for number, transport in enumerate(transports):
        connections.join(f"s{number}", f"e{number}", transport)
    order = connections.sample(1.0, random.Random(3))
    seen: list[tuple[float, list[bool]]] = []

    async def drain() -> None:
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        draining = asyncio.create_task(connections.drain(order, 0.2, None))
        for at_s in (0.02, 0.06, 0.14, 0.18):
            await asyncio.sleep(begun_s + at_s - clock())
            seen.append((clock() - begun_s, [transports[int(sid[1:])].closed for sid in order]))
        await draining

    asyncio.run(drain())
    for at_s, closed in seen:
        # Number k of 5 at k/5 of the window.
        assert sum(closed) <= 1 + int(at_s / 0.04)
        assert closed == sorted(closed, reverse=True)
    assert all(transport.closed for transport in transports)


def test_a_later_drain_replaces_the_one_before() -> None:
    pod = Pod(Settings(name="draining", token="t"))
    transports = [Transport() for _ in range(4)]
    for number, transport in enumerate(transports):
        pod._connections.join(f"s{number}", f"e{number}", transport)

    async def drain_twice() -> None:
        assert pod.drain(3600, None, random.Random(0)) == 4
        await asyncio.sleep(0)
        assert sum(transport.closed for transport in transports) == 1
        assert pod.drain(0, 1012, random.Random(0)) == 4
        await asyncio.sleep(0.01)

    asyncio.run(drain_twice())
    assert all(transport.closed for transport in transports)
    assert [len(transport.written) for transport in transports].count(1) == 3


def test_a_pod_without_clients_drops_nobody() -> None:
    assert Pod(Settings(name="empty", token="t")).drop(1, random.Random(0)) == 0


def test_controls_in_force_reach_every_part_of_a_pod() -> None:
    feed = FeedSchedule.of(5, 2)
    pod = Pod(Settings(token="t", controls=Controls(handshake_cpu_ms=3, feed=feed)))
    assert (pod.cost.handshake_cpu_ms, pod.broadcaster.schedule) == (3, feed)
    rules = Admission(handshake_slots=2)
    in_force = pod.apply(Controls(handshake_cpu_ms=4, feed_stalled_until_ns=9, admission=rules))
    assert in_force == Controls(handshake_cpu_ms=4, feed=feed, feed_stalled_until_ns=9, admission=rules)
    assert (pod.cost.handshake_cpu_ms, pod.admitter.rules) == (4, rules)
    assert (pod.broadcaster.schedule, pod.broadcaster.stalled_until_ns) == (feed, 9)


def test_pings_go_out_as_the_settings_say() -> None:
    pod = Pod(Settings(name="pinging", token="t", ping_interval_s=7, ping_timeout_s=3.5))

    async def questions(client: Client) -> None:
        async with client.get("/socket.io/?EIO=4&transport=polling") as answer:
            opened = json.loads((await answer.text())[1:])
        assert (opened["pingInterval"], opened["pingTimeout"]) == (7_000, 3_500)

    ask(pod.public_app(), questions)


def test_the_kernel_counts_at_least_the_cpu_that_a_thread_burns() -> None:
    thread_id = threading.get_native_id()
    before_ns = ran_and_queued_ns(thread_id)
    burn(20_000_000)
    # The kernel updates a running thread's count at its scheduling ticks only.
    assert ran_and_queued_ns(thread_id) - before_ns >= 5_000_000


def test_settings_come_from_the_environment_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTINGS_VARIABLE, raising=False)
    assert from_environment() is None
    monkeypatch.setenv(SETTINGS_VARIABLE, '{"token": "t", "port": 9, "cpu": "occupy"}')
    assert from_environment() == Settings(token="t", port=9, cpu="occupy")
    assert from_environment() is None


def test_a_pod_starts_without_loading_what_it_has_no_use_for() -> None:
    source = "import sys, gateway_stub.__main__; print(*sorted({'matplotlib', 'numpy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

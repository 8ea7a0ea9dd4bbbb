"""A pod's parts on their own: control endpoints, metrics, handshake cost, probes, statistics."""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway_stub.app import Pod
from gateway_stub.control import control_app, prometheus_text
from gateway_stub.cost import UPGRADE_SHARE, HandshakeCost, burn
from gateway_stub.health import Health
from gateway_stub.loop_monitor import ran_and_queued_ns
from gateway_stub.protocol import (
    COST_PATH,
    DROP_ALL_PATH,
    LIVENESS_PATH,
    METRICS_PATH,
    READINESS_PATH,
    SETTINGS_VARIABLE,
    TOKEN_HEADER,
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
        self.costs: list[float] = []
        self.drops = 0

    def drop_all(self) -> int:
        self.drops += 1
        return 17

    def app(self) -> web.Application:
        return control_app(
            token=TOKEN,
            drop_all=self.drop_all,
            set_handshake_cpu_ms=self.costs.append,
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
@pytest.mark.parametrize("path", [DROP_ALL_PATH, COST_PATH + "?cpu_ms=5", "/control/nothing"])
def test_without_the_right_token_nothing_is_done(path: str, token: bytes | None) -> None:
    controlled = Controlled()

    async def questions(client: Client) -> None:
        headers = {} if token is None else {TOKEN_HEADER: token.decode(errors="surrogateescape")}
        async with client.post(path, headers=headers) as answer:
            assert answer.status == 403
            assert TOKEN not in await answer.text()

    ask(controlled.app(), questions)
    assert (controlled.drops, controlled.costs) == (0, [])


def test_with_the_right_token_clients_are_dropped_and_counted() -> None:
    controlled = Controlled()

    async def questions(client: Client) -> None:
        before_ns = time.monotonic_ns()
        async with client.post(DROP_ALL_PATH, headers={TOKEN_HEADER: TOKEN}) as answer:
            said = await answer.json()
        assert said["dropped"] == 17
        assert before_ns <= said["at_ns"] <= time.monotonic_ns()

    ask(controlled.app(), questions)
    assert controlled.drops == 1


@pytest.mark.parametrize(
    ("query", "status", "costs"),
    [
        ("?cpu_ms=12.5", 200, [12.5]),
        ("?cpu_ms=0", 200, [0.0]),
        ("", 400, []),
        ("?cpu_ms=much", 400, []),
        ("?cpu_ms=-1", 400, []),
        ("?cpu_ms=nan", 400, []),
        ("?cpu_ms=inf", 400, []),
    ],
    ids=["a number", "free of charge", "missing", "text", "negative", "not a number", "endless"],
)
def test_the_handshake_cost_is_a_number_of_milliseconds(query: str, status: int, costs: list[float]) -> None:
    controlled = Controlled()

    async def questions(client: Client) -> None:
        async with client.post(COST_PATH + query, headers={TOKEN_HEADER: TOKEN}) as answer:
            assert answer.status == status

    ask(controlled.app(), questions)
    assert controlled.costs == costs


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


def test_before_the_first_second_there_are_no_gauges_of_the_last_one() -> None:
    assert set(parsed(prometheus_text(dict(TOTALS), None))) == {f"gateway_{name}" for name in TOTALS}


def test_burning_uses_at_least_the_asked_cpu_of_this_thread() -> None:
    before_ns = time.thread_time_ns()
    burn(5_000_000)
    assert time.thread_time_ns() - before_ns >= 5_000_000


def test_the_two_stages_of_a_handshake_add_up_to_its_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    burnt: list[int] = []
    monkeypatch.setattr("gateway_stub.cost.burn", burnt.append)
    cost = HandshakeCost(20.0, "burn")
    cost.upgrade()
    cost.join()
    assert sum(burnt) == pytest.approx(20_000_000, abs=2)
    assert burnt[0] == pytest.approx(20_000_000 * UPGRADE_SHARE, abs=1)
    assert cost.reserved_ns == 0


def test_reserving_occupies_the_thread_and_adds_up() -> None:
    cost = HandshakeCost(4.0, "reserve")
    started_ns = time.monotonic_ns()
    cost.upgrade()
    assert cost.reserved_ns >= int(4_000_000 * UPGRADE_SHARE)
    cost.join()
    assert 4_000_000 - 2 <= cost.reserved_ns <= time.monotonic_ns() - started_ns


@pytest.mark.parametrize("mode", ["burn", "reserve"])
def test_a_free_handshake_costs_nothing(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_stub.cost.burn", pytest.fail)
    monkeypatch.setattr("gateway_stub.cost.time.sleep", pytest.fail)
    cost = HandshakeCost(0.0, mode)  # type: ignore[arg-type]
    cost.upgrade()
    cost.join()
    assert cost.reserved_ns == 0


def test_a_pod_that_is_not_ready_is_still_alive() -> None:
    health = Health()
    app = web.Application()
    app.add_routes(health.routes())

    async def questions(client: Client) -> None:
        for ready in (False, True, False):
            health.ready = ready
            async with client.get(LIVENESS_PATH) as alive, client.get(READINESS_PATH) as readiness:
                assert (alive.status, readiness.status) == (200, 200 if ready else 503)

    ask(app, questions)


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


def test_a_pod_without_clients_drops_nobody() -> None:
    assert Pod(Settings(name="empty", token="t")).drop_all() == 0


def test_the_kernel_counts_at_least_the_cpu_that_a_thread_burns() -> None:
    thread_id = threading.get_native_id()
    before_ns = ran_and_queued_ns(thread_id)
    burn(20_000_000)
    # The kernel updates a running thread's count at its scheduling ticks only.
    assert ran_and_queued_ns(thread_id) - before_ns >= 5_000_000


def test_settings_come_from_the_environment_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTINGS_VARIABLE, raising=False)
    assert from_environment() is None
    monkeypatch.setenv(SETTINGS_VARIABLE, '{"token": "t", "port": 9, "cpu": "reserve"}')
    assert from_environment() == Settings(token="t", port=9, cpu="reserve")
    assert from_environment() is None

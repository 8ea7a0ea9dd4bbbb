"""Whole predicted runs: every event on the model, counts that add up, and the same format as a real run's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from reports.analysis.judgement import judge_run
from reports.compare.comparable import ComparisonError, variables
from reports.rundir.columns import OUTCOMES
from reports.rundir.latency import total as total_of
from reports.rundir.reader import Run
from reports.rundir.schema import GROUP_TAGS
from scenarios.cli.main import main
from scenarios.events.registry import EVENTS
from scenarios.scenario.loader import load
from scenarios.simulator.costs import Costs
from scenarios.simulator.fit import CalibrationError, calibrate
from scenarios.simulator.run import Prediction, simulate
from scenarios.simulator.stack import most_pods, most_ticks

CLIENTS = 60
SMALL = (
    f"fleet.clients={CLIENTS}",
    "fleet.clients_per_ip=1",
    "gateway.handshake_cpu_ms=5",
    "gateway.tick_cpu_us=0",
    "phases.during_s=4",
    "phases.recovery_window_s=4",
    "phases.rescue_at_s=0",
    "matrix={}",
)
TIMELINE = """[
    {at_s=0, do="probes"},
    {at_s=2, do="kill_pod", pod=1, restart_after_s=0.5},
    {at_s=6, do="pause_pod", pod=0, for_s=2},
    {at_s=9, do="scale", pods=3},
    {at_s=13, do="nginx_reload"},
    {at_s=14, do="nginx_restart", down_s=0.3},
    {at_s=17, do="set_limit", limit="per-ip+handshake-slots"},
    {at_s=18, do="push_policy", policy="incident", reach_s=1},
    {at_s=20, do="drop_share", share=0.5},
    {at_s=23, do="feed_burst", factor=4, for_s=2},
    {at_s=26, do="feed_stall", for_s=2.5},
    {at_s=29, do="rolling_restart", gap_s=0.5},
    {at_s=40, do="drop_all"},
    {at_s=43, do="scale", pods=2},
    {at_s=46, do="drain", window_s=2, pods=[0], leave_upstream=true},
    {at_s=50, do="deploy", max_surge=1, max_unavailable=0, drain_s=1},
]"""


def predicted(folder: Path, *sets: str, scenario: str = "mass-drop", **plan: Any) -> Run:
    loaded = msgspec.structs.replace(load(scenario, sets), matrix={}, arms={})
    directory = folder / "run"
    simulate(Prediction(scenario=loaded, directory=directory, arm="arm", **plan))
    run = judge_run(directory)
    under_way = total(run, "attempts") - sum(total(run, outcome) for outcome in OUTCOMES)
    away = loaded.fleet.clients - (run.rows[-1]["connected"] or 0)
    assert 0 <= under_way <= away, "every try has begun once, and has ended or is under way"
    return run


def total(run: Run, column: str, from_s: float = -9, to_s: float = 999) -> float:
    return sum(row[column] or 0 for row in run.between(from_s, to_s))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    event = "event=" + " ".join(TIMELINE.split())
    return predicted(
        tmp_path_factory.mktemp("runs"), *SMALL, event, "fleet.stale_after_s=6", "phases.duration_s=68"
    )


def lines(run: Run, name: str, phase: str = "end") -> Iterator[dict[str, Any]]:
    return (line for line in run.events if line["event"] == name and line.get("phase") == phase)


@pytest.mark.parametrize(("proxy", "let_in"), [("nginx", 1), ("envoy", 1), ("haproxy", 2)])
def test_a_reload_empties_the_buckets_of_haproxy_alone(tmp_path: Path, proxy: str, let_in: int) -> None:
    limit = 'edge.limit={name="per-ip-strict", rate_per_s=0.0167}'
    event = 'event=[{at_s=2, do="drop_all"}, {at_s=5, do="nginx_reload"}]'
    shared_ips = (f"fleet.clients_per_ip={CLIENTS}", f"edge.proxy={proxy}", "phases.duration_s=10")
    found = predicted(tmp_path, *SMALL, limit, event, *shared_ips)
    assert total(found, "joined", 2) == let_in
    assert total(found, "nginx_limited") == pytest.approx(total(found, "limited"), rel=0.02)


@pytest.mark.parametrize(
    ("proxy", "bursts", "let_in"),
    [
        pytest.param("nginx", (2, 4), [3, 2], id="nginx keeps a limit by its name"),
        pytest.param("nginx", (4, 2), [5, 0], id="nginx keeps it under a smaller burst, too"),
        pytest.param("envoy", (2, 4), [3, 5], id="another limit is new at Envoy"),
        pytest.param("envoy", (2, 2), [3, 0], id="the same limit is not"),
        pytest.param("haproxy", (2, 2), [3, 3], id="HAProxy keeps nothing"),
    ],
)
def test_another_limit_finds_in_the_buckets_what_the_proxy_keeps(
    tmp_path: Path, proxy: str, bursts: tuple[int, int], let_in: list[int]
) -> None:
    limits = [
        f'{{at_s={at_s}, do="set_limit", limit={{name="per-ip", rate_per_s=0.0167, burst={burst}}}}}'
        for at_s, burst in zip((3, 8), bursts, strict=True)
    ]
    found = predicted(
        tmp_path,
        *SMALL,
        f'event=[{", ".join(limits)}, {{at_s=5, do="drop_all"}}]',
        f"fleet.clients_per_ip={CLIENTS}",
        f"edge.proxy={proxy}",
        "fleet.stale_after_s=0",
        "phases.duration_s=14",
    )
    assert [total(found, "joined", 5, 8), total(found, "joined", 8, 14)] == let_in


@pytest.mark.parametrize("proxy", ["nginx", "envoy", "haproxy"])
def test_a_limit_whose_rate_follows_from_the_pods_follows_a_change_of_them(
    tmp_path: Path, proxy: str
) -> None:
    drop = '{at_s=8, do="drop_all"}'

    def joined(*events: str) -> float:
        found = predicted(
            tmp_path / str(len(events)),
            *SMALL,
            "fleet.clients=200",
            "fleet.policy=naive",
            "fleet.stale_after_s=0",
            "gateway.pods=1",
            "gateway.cpu=occupy",
            "gateway.handshake_cpu_ms=50",
            'edge.limit={name="global", burst=0}',
            f"edge.proxy={proxy}",
            "phases.duration_s=14",
            f"event=[{', '.join((*events, drop))}]",
        )
        return total(found, "joined", 9, 12)

    # Half of what one pod has room for is 10 handshakes a second.
    alone, with_another = joined(), joined('{at_s=3, do="scale", pods=2}')
    assert alone == pytest.approx(3 * 10, rel=0.15)
    assert with_another == pytest.approx(2 * alone, rel=0.15)


def test_every_event_begins_and_ends(run: Run) -> None:
    # The model has no TLS, and runs no commands.
    known = set(EVENTS) - {"certificate_rotate", "exec"}
    for phase in ("begin", "end"):
        found = {line["event"] for line in run.events if line.get("phase") == phase}
        assert found == known - ({"probes"} if phase == "end" else set())
    assert next(lines(run, "kill_pod"))["clients"] == CLIENTS / 2
    assert next(lines(run, "scale"))["added"] == 1
    assert next(lines(run, "drop_share"))["dropped"] == CLIENTS / 2
    assert next(lines(run, "drain"))["dropped"] == CLIENTS / 2
    deployed = next(lines(run, "deploy"))
    assert deployed["pods"] == 2
    # Of two pods one at a time: each new one starts, and the old one then drains for a second.
    assert run.info.trigger_end_s == pytest.approx(50 + 2 * (Costs().pod_start_s + 1), abs=1)


def test_tries_end_in_outcomes_and_sessions_in_disconnects(run: Run) -> None:
    ended = sum(total(run, outcome) for outcome in OUTCOMES)
    assert ended == total(run, "attempts")
    assert total(run, "joined") == total(run, "disconnects"), "everybody who left has come back"
    assert run.rows[-1]["connected"] == CLIENTS


def test_nobody_receives_what_was_not_sent(run: Run) -> None:
    assert total(run, "ticks") == pytest.approx(total(run, "ticks_sent"), rel=0.02)


def test_a_paused_pod_is_silent_and_a_stalled_feed_too(run: Run) -> None:
    assert total(run, "ticks", 7, 8) == CLIENTS / 2 * 5
    assert total(run, "ticks", 27, 28) == 0
    assert total(run, "missed", 22, 29) == 0, "what came due in a stall is sent after it"
    assert total(run, "ticks", 24, 25) == pytest.approx(4 * CLIENTS * 5, rel=0.01)


def test_a_pod_that_was_added_gets_clients_and_one_that_was_removed_loses_them(run: Run) -> None:
    clients = {int(row["t_s"] or 0): row["clients"] for row in run.pods if row["pod"] == 2}
    assert clients[25]
    assert max(clients) < 46


def test_a_predicted_run_says_so_and_can_be_judged(run: Run) -> None:
    assert run.info.predicted
    assert run.info.validity["valid"]
    assert run.info.validity["warnings"] == ["predicted by a model, not measured"]
    assert run.info.verdict["name"] == "RECOVERED"


LATER = {
    "nothing comes later": (),
    "attempts go on without clients being out": ('event=[{at_s=2, do="drop_share", share=0.02}]',),
    "handshakes for clients that have left keep the pods busy": (
        "gateway.backlog=1024",
        "gateway.handshake_cpu_ms=14",
    ),
    "another fault is to come": ('event=[{at_s=2, do="drop_all"}, {at_s=18, do="feed_stall", for_s=2}]',),
}


@pytest.mark.parametrize("sets", LATER.values(), ids=LATER)
def test_a_prediction_that_ends_early_is_judged_as_the_one_that_is_played_to_its_end(
    tmp_path: Path, sets: tuple[str, ...]
) -> None:
    whole, early = (
        predicted(tmp_path / name, *SMALL, *sets, "phases.duration_s=36", until_well=until_well)
        for name, until_well in (("whole", False), ("early", True))
    )
    assert early.rows[-1]["t_s"] <= whole.rows[-1]["t_s"]  # type: ignore[operator]
    assert early.info.verdict["name"] == whole.info.verdict["name"]
    found = [run.info.summary["recovery"]["time_to_recover_s"] for run in (whole, early)]
    assert found[0] == found[1]


def test_the_same_seed_predicts_the_same_run(tmp_path: Path) -> None:
    runs = [predicted(tmp_path / name, *SMALL, "phases.duration_s=14") for name in ("a", "b")]
    assert runs[0].rows == runs[1].rows
    assert runs[0].histograms.keys() == runs[1].histograms.keys()


@pytest.mark.parametrize(
    ("sets", "outcome"),
    [
        pytest.param(("edge.limit=per-ip", "fleet.clients_per_ip=30"), "limited", id="behind one address"),
        pytest.param(("edge.limit=lag-shed", "gateway.handshake_cpu_ms=50"), "limited", id="shed by pods"),
        pytest.param(
            ("edge.limit=per-ip-all-requests", "fleet.transport=polling-upgrade", "gateway.balance=hash"),
            "limited",
            id="polling",
        ),
        pytest.param(("gateway.handshake_cpu_ms=60",), "timeout", id="too much work"),
        pytest.param(("gateway.handshake_cpu_ms=60", "gateway.cancel_gone=true"), "timeout", id="cancelled"),
        pytest.param(("gateway.backlog=4", "gateway.handshake_cpu_ms=20"), "timeout", id="a short queue"),
        pytest.param(
            ("gateway.backlog=4", "gateway.handshake_cpu_ms=20", "fleet.connect_timeout_s=5"),
            "joined",
            id="a short queue and patience",
        ),
        pytest.param(
            ("feed.rate_hz=2", "fleet.clients=10", 'event=[{at_s=3, do="drop_all", every_s=0.42, times=2}]'),
            "joined",
            id="dropped again before the first tick",
        ),
        pytest.param(('event=[{at_s=3, do="feed_stall", for_s=4}]',), "stale", id="a stale feed"),
        pytest.param(("gateway.balance=hash",), "joined", id="hash"),
        pytest.param(("gateway.balance=round_robin", "fleet.reset_backoff=joined"), "joined", id="in turn"),
        pytest.param(("fleet.reset_backoff=stable", "fleet.stale_by=age"), "joined", id="stable sessions"),
        pytest.param(("fleet.max_attempts_per_s=20",), "joined", id="a cap on tries"),
    ],
)
def test_what_a_scenario_asks_for_shows(tmp_path: Path, sets: tuple[str, ...], outcome: str) -> None:
    event = 'event=[{at_s=3, do="drop_all"}]'
    run = predicted(tmp_path, *SMALL, event, "phases.duration_s=14", *sets)
    assert total(run, outcome, 3) > 0
    if "cap" in str(sets) or "max_attempts" in str(sets):
        assert max(row["attempts"] or 0 for row in run.rows) <= 20
        assert total(run, "held_back") > 0
        assert run.rows[-1]["connected"] == CLIENTS


def test_what_was_computed_is_kept_when_the_user_stops_it(tmp_path: Path) -> None:
    def stop(done: int, _all: int) -> None:
        if done == 12:
            raise KeyboardInterrupt

    scenario = msgspec.structs.replace(load("mass-drop", SMALL), matrix={})
    with pytest.raises(KeyboardInterrupt):
        simulate(Prediction(scenario=scenario, directory=tmp_path / "run", arm="arm"), stop)
    run = judge_run(tmp_path / "run")
    assert run.info.status == "interrupted"
    assert run.info.problem == "stopped by the user"
    assert len(run.rows) >= 10


def test_an_error_in_the_middle_is_named(tmp_path: Path) -> None:
    def fail(_done: int, _all: int) -> None:
        raise ValueError("no luck")

    scenario = msgspec.structs.replace(load("mass-drop", SMALL), matrix={})
    with pytest.raises(ValueError, match="no luck"):
        simulate(Prediction(scenario=scenario, directory=tmp_path / "run", arm="arm"), fail)
    assert "no luck" in Run.load(tmp_path / "run").info.problem


def test_work_that_is_cancelled_is_not_done(tmp_path: Path) -> None:
    sets = (*SMALL, 'event=[{at_s=3, do="drop_all"}]', "phases.duration_s=16", "gateway.handshake_cpu_ms=60")
    waste = [
        total(predicted(tmp_path / name, *sets, f"gateway.cancel_gone={name}"), "gone_early")
        for name in ("true", "false")
    ]
    assert waste[0] < 0.7 * waste[1]


@pytest.mark.parametrize("name", ["circuit-breaker", "retry-budget", "token-bucket", "axios-retry"])
def test_gates_and_policies_that_give_up_play_along(tmp_path: Path, name: str) -> None:
    event = 'event=[{at_s=3, do="drop_all"}]'
    sets = (f"fleet.policy={name}", "gateway.handshake_cpu_ms=60", "phases.duration_s=20")
    run = predicted(tmp_path, *SMALL, event, *sets)
    assert total(run, "attempts") >= CLIENTS
    if name == "axios-retry":
        assert total(run, "gave_up") > 0


@pytest.mark.parametrize("reach_s", [0, 5, 12])
@pytest.mark.parametrize("pushed", ["circuit-breaker", "retry-budget", "token-bucket", "sre-throttle"])
def test_a_gated_policy_that_is_pushed_in_a_storm_neither_doubles_tries_nor_stops_them(
    tmp_path: Path, pushed: str, reach_s: float
) -> None:
    events = (
        '{at_s=3, do="drop_all"}',
        f'{{at_s=5, do="push_policy", policy="{pushed}", reach_s={reach_s}}}',
        '{at_s=9, do="push_policy", policy={name="spread", window_s=3}, reach_s=2}',
    )
    sets = ("fleet.policy=naive", "gateway.handshake_cpu_ms=40", "phases.duration_s=26")
    found = predicted(tmp_path, *SMALL, f"event=[{', '.join(events)}]", *sets)
    assert found.rows[-1]["connected"] == CLIENTS
    assert total(found, "attempts") == sum(total(found, outcome) for outcome in OUTCOMES)
    # Those who were trying begin anew at once: no throttle takes what was given up for a failure of its own.
    assert reach_s or total(found, "attempts", 5, 6) >= total(found, "abandoned", 5, 6) > 0


def test_the_rescue_proves_a_metastable_outage(tmp_path: Path) -> None:
    run = predicted(tmp_path, "fleet.policy=naive")
    assert run.info.verdict["name"] == "METASTABLE"
    assert run.info.rescued_at_s == 44
    assert run.phase("rescue")


def test_strikes_that_fall_into_the_rescue_do_not_hide_a_metastable_outage(tmp_path: Path) -> None:
    event = 'event=[{at_s=6, do="drop_all", every_s=10, times=6}]'
    run = predicted(tmp_path, "fleet.policy=naive", event)
    assert [int(line["t_s"]) for line in lines(run, "drop_all", "begin")] == [6, 16, 26, 36]
    assert run.info.verdict["name"] == "METASTABLE"


def test_conflated_probes_kill_busy_pods(tmp_path: Path) -> None:
    short = ("phases.duration_s=28", "phases.rescue_at_s=0")
    run = predicted(tmp_path, "event.0.conflated=true", *short, scenario="conflated-probes")
    assert [line for line in run.events if line["event"] == "pod_killed"]
    assert [line for line in run.events if line["event"] == "pod_restarted"]


def test_clients_of_a_pod_that_stands_still_miss_its_pings(tmp_path: Path) -> None:
    event = 'event=[{at_s=3, do="pause_pod", pod=0, for_s=9}]'
    pings = ("gateway.ping_interval_s=2", "gateway.ping_timeout_s=2", "fleet.stale_after_s=0")
    run = predicted(tmp_path, *SMALL, event, *pings, "phases.duration_s=20")
    assert total(run, "ping_timeout") == CLIENTS / 2


def test_costs_can_be_read_off_a_run(tmp_path: Path) -> None:
    costs = Costs(upgrade_cpu_s=2e-3, join_cpu_s=1e-3, tick_cpu_s=50e-6, idle_cpu=0.03, close_cpu_s=0.0)
    sets = (
        "fleet.policy=incident",
        "gateway.pods=3",
        'event=[{at_s=6, do="drop_all"}, {at_s=12, do="scale", pods=4}]',
    )
    run = predicted(tmp_path, *sets, costs=costs)
    with pytest.raises(CalibrationError, match="predicted"):
        calibrate([run])
    run.info.predicted = False
    found = calibrate([run])
    for name in ("upgrade_cpu_s", "tick_cpu_s", "idle_cpu"):
        assert getattr(found.costs, name) == pytest.approx(getattr(costs, name), rel=0.15), name
    assert found.costs.pod_start_s == pytest.approx(costs.pod_start_s, abs=0.1)
    assert all(one.low <= one.high for one in found.fitted)


BURSTS = {
    "a shorter burst inside a longer one": ((2, 8), (4, 2), {1: 5, 3: 20, 5: 10, 7: 5, 11: 5}),
    "a burst that outlasts the older one": ((2, 4), (4, 4), {1: 5, 3: 20, 5: 10, 7: 10, 9: 5}),
}


@pytest.mark.parametrize(("older", "newer", "ticks"), BURSTS.values(), ids=BURSTS)
def test_a_burst_replaces_an_older_one_and_its_end_is_the_end_of_both(
    tmp_path: Path, older: tuple[int, int], newer: tuple[int, int], ticks: dict[int, int]
) -> None:
    bursts = [
        f'{{at_s={at_s}, do="feed_burst", factor={factor}, for_s={for_s}}}'
        for (at_s, for_s), factor in ((older, 4), (newer, 2))
    ]
    found = predicted(tmp_path, *SMALL, f"event=[{', '.join(bursts)}]", "phases.duration_s=13")
    # A rate changes with the first tick after an event, so the second of an event has ticks of both.
    assert {second: total(found, "ticks", second, second + 1) / CLIENTS for second in ticks} == ticks


def test_runs_that_say_nothing_about_costs_are_refused(run: Run, tmp_path: Path) -> None:
    other = predicted(tmp_path, *SMALL, "gateway.handshake_cpu_ms=7", "phases.duration_s=14")
    with pytest.raises(CalibrationError, match="2 different gateways"):
        calibrate([run, other])
    short = msgspec.structs.replace(other, pods=other.pods[:3])
    short.info.predicted = False
    with pytest.raises(CalibrationError, match=r"\d+ pod-seconds: expected at least 20"):
        calibrate([short])


def test_pods_and_ticks_are_counted_beforehand() -> None:
    scales = '[{at_s=1, do="scale", pods=5}, {at_s=2, do="scale", pods=1}, {at_s=3, do="scale", pods=4}]'
    assert most_pods(load("mass-drop", [f"event={scales}"])) == 8
    burst = load("mass-drop", ['event=[{at_s=1, do="feed_burst", factor=3, for_s=10}]'])
    assert most_ticks(burst, 60) == 5 * (60 + 30) + 10


KILLED_TWICE = {
    "dead, and killed again": ("restart=false", "restart=false", 1),
    "about to come back, and killed again": ("restart_after_s=5", "restart=false", 2),
    "dead, and brought back": ("restart=false", "restart_after_s=1", 2),
}


@pytest.mark.parametrize(("first", "second", "left"), KILLED_TWICE.values(), ids=KILLED_TWICE)
def test_a_deploy_has_places_for_all_new_pods_whatever_was_killed_twice(
    tmp_path: Path, first: str, second: str, left: int
) -> None:
    kill = 'do="kill_pod", pod=0'
    events = f'{{at_s=4, {kill}, {first}}}, {{at_s=6, {kill}, {second}}}, {{at_s=12, do="deploy"}}'
    drop = '{at_s=2, do="drop_all"}'
    sets = ("gateway.pods=2", f"event=[{drop}, {events}]", "phases.duration_s=24")
    found = predicted(tmp_path, *SMALL, *sets)
    assert next(lines(found, "deploy"))["pods"] == left
    assert {row["pod"] for row in found.pods if row["t_s"] == 23} == set(range(2, 2 + left))


# -- the command ------------------------------------------------------------------------------------


def test_the_command_predicts_all_arms_and_reports(tmp_path: Path) -> None:
    sets = [
        part for key in (*SMALL[:-1], "phases.duration_s=14", "phases.control_s=4") for part in ("--set", key)
    ]
    done = CliRunner().invoke(main, ["simulate", "mass-drop", *sets, "--runs", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "latest" / "report.html").exists()
    assert len(list(tmp_path.glob("mass-drop/*/*/run.json"))) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--set", "target.url=http://127.0.0.1:1"],
            "target.url: not supported by simulate and tune: external targets",
        ),
        (["mesh"], "mesh.sidecar: invalid value 'envoy': expected 'none': the model has no sidecars"),
        (
            ["--set", 'edge.limit={name="per-token", by="header:Host"}', "--set", "matrix={}"],
            "edge.limit: invalid value {'name': 'per-token', 'by': 'header:Host'}: expected a header that",
        ),
        (
            [
                *("--set", "matrix={}", "--set", 'arms.plain={"edge.limit"="none"}'),
                *("--set", 'arms.tokens={"edge.limit"={name="per-token", by="header:Host"}}'),
            ],
            "arm 'tokens': edge.limit: invalid value ",
        ),
        (
            [
                *("--set", "edge.limit=concurrent-per-ip", "--set", "matrix={}"),
                *("--set", "fleet.transport=polling-upgrade", "--set", "gateway.balance=hash"),
            ],
            "edge.limit: invalid value 'concurrent-per-ip': expected fleet.transport = 'websocket'",
        ),
        (
            ["--set", "edge.defaults=stock", "--set", "edge.proxy=haproxy"],
            "edge.defaults: invalid value 'stock': expected 'bench' with proxy 'haproxy': the model has no",
        ),
        (
            [
                *("--set", "edge.defaults=stock", "--set", "edge.proxy=envoy"),
                *("--set", "fleet.connect_timeout_s=6"),
            ],
            "edge.envoy.connect_timeout_s: invalid value 5: expected at least 6, the longest connect_",
        ),
        (
            [
                *("--set", "edge.envoy.stream_idle_timeout_s=20", "--set", "edge.proxy=envoy"),
                *("--set", "gateway.ping_interval_s=25", "--set", "matrix={}"),
            ],
            "edge.envoy.stream_idle_timeout_s: invalid value 20.0: expected more than 25, gateway.ping",
        ),
        (
            ["--set", "edge.envoy.consecutive_5xx=5", "--set", "edge.proxy=envoy"],
            "edge.envoy.consecutive_5xx: invalid value 5: expected 0: the model has no outlier detection",
        ),
        (
            ["--set", "edge.haproxy.observe=layer7", "--set", "edge.proxy=haproxy"],
            "edge.haproxy.observe: invalid value 'layer7': expected this key left out: the model has no such",
        ),
        (
            ["expired-tokens"],
            "gateway.token_lifetime_s: invalid value 5.0: expected 0: the model has no credent",
        ),
        (
            ["--set", "edge.nginx.proxy_read_timeout_s=0.5"],
            "edge.nginx.proxy_read_timeout_s: invalid value 0.5: expected at least 1, the longest connect_",
        ),
        (
            ["--set", "edge.nginx.proxy_connect_timeout_s=0.5"],
            "edge.nginx.proxy_connect_timeout_s: invalid value 0.5: expected at least 1, the longest",
        ),
        (
            ["--set", "edge.nginx.workers=2", "--set", "edge.nginx.worker_connections=2000"],
            "edge.nginx.worker_connections: invalid value 2000: expected edge.nginx.workers = 1, or",
        ),
        (
            ["--set", "edge.nginx.workers=2", "--set", "edge.nginx.max_fails=1"],
            "edge.nginx.max_fails: invalid value 1: expected edge.nginx.workers = 1, or edge.nginx.upstream",
        ),
        (["--calibrate", "."], "no run directory: expected one"),
        (["nowhere"], "no such scenario"),
    ],
)
def test_what_cannot_be_predicted_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["simulate", *arguments])
    assert done.exit_code == 2
    assert message in done.output


def test_costs_from_a_file_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text('{"upgrade": 1}')
    done = CliRunner().invoke(main, ["simulate", "--costs", str(file)])
    assert done.exit_code == 2
    assert "upgrade_cpu_s" in done.output


def test_what_was_predicted_is_not_compared_with_what_was_measured(tmp_path: Path) -> None:
    runs = [predicted(tmp_path / name, *SMALL, "phases.duration_s=14") for name in ("a", "b")]
    runs[1].info.predicted = False
    with pytest.raises(ComparisonError, match="kind of run: predicted is"):
        variables(runs)


MIXED = (
    *SMALL,
    "fleet.clients=80",
    "event=[{at_s=4, do='drop_all'}]",
    "phases.duration_s=14",
    "fleet.group=[{name='web'}, {name='old', share=0.25, protocol=3, policy={name='rounds', delay_s=0.5,"
    " pause_s=1}}, {name='mobile', share=0.25, policy={name='spread', hold_s=3, window_s=1}, stale_after_s=0,"
    " clients_per_ip=5}]",
)


def test_groups_follow_their_own_policies_and_old_clients_are_refused_for_ever(tmp_path: Path) -> None:
    loaded = msgspec.structs.replace(load("mass-drop", MIXED), matrix={}, arms={})
    simulate(Prediction(scenario=loaded, directory=tmp_path / "run", arm="arm"))
    found = judge_run(tmp_path / "run")
    web, old, mobile = found.info.summary["groups"]
    assert [each["clients"] for each in (web, old, mobile)] == [40, 20, 20]
    assert found.info.summary["clients"] == 60, "nobody can serve the others"
    assert web["back_after_s"] <= 2
    assert 3 <= mobile["back_after_s"] <= 6
    assert old["failed"] > 5 * 20
    assert old["availability"] is None
    assert total(found, "rejected") == sum(row["failed"] or 0 for row in found.groups if row["group"] == 1)
    assert found.rows[-1]["connected"] == 60
    assert {row["clients_per_ip"] for row in found.shared_ips} == {1, 5}
    assert sum(row["attempts"] or 0 for row in found.groups) == total(found, "attempts")
    assert old["effective_p99"] is None
    assert old["staleness_p99_ms"] is None
    # A mobile client is away for three seconds, one on the web is back at once.
    assert web["effective_p99"]["ms"] < 2_500 < mobile["effective_p99"]["ms"]
    assert web["staleness_p99_ms"] < 2_500 < mobile["staleness_p99_ms"]
    assert_times_of_groups_add_up(Run.load(tmp_path / "run"))


def assert_times_of_groups_add_up(run: Run) -> None:
    for tag in GROUP_TAGS:
        of_groups = [each.get(tag, {}) for each in run.group_histograms.values()]
        seconds = {second for each in of_groups for second in each}
        assert seconds == set(run.histograms[tag]), tag
        for second in seconds:
            parts = [each[second] for each in of_groups if second in each]
            assert total_of(parts).tolist() == total_of([run.histograms[tag][second]]).tolist()


def test_clients_that_give_up_are_counted_by_group(tmp_path: Path) -> None:
    stopping = (
        "fleet.group.web.policy={name='axios-retry', again_after_s=1}",
        "fleet.group.old.policy={name='token-bucket', capacity=0}",
        "fleet.group.mobile.connect_timeout_s=0.01",
        "fleet.group.mobile.policy={name='axios-retry', retries=1}",
    )
    loaded = msgspec.structs.replace(load("mass-drop", [*MIXED, *stopping]), matrix={}, arms={})
    simulate(Prediction(scenario=loaded, directory=tmp_path / "run", arm="arm"))
    found = judge_run(tmp_path / "run")
    gave_up = [sum(row["gave_up"] or 0 for row in found.groups if row["group"] == n) for n in range(3)]
    assert gave_up == [0, 20, 20]
    assert sum(gave_up) == total(found, "gave_up")
    assert [each["gave_up"] for each in found.info.summary["groups"]] == [0, 0, 20]


def test_a_fleet_of_one_group_is_predicted_like_one_without(tmp_path: Path) -> None:
    sets = (*SMALL, "event=[{at_s=4, do='drop_all'}]", "phases.duration_s=12")
    plain = predicted(tmp_path / "a", *sets)
    alone = predicted(tmp_path / "b", *sets, "fleet.group=[{name='all', policy='naive'}]")
    assert alone.rows == plain.rows
    assert not plain.groups

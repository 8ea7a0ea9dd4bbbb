"""Storms at gateways that are started by a command: events, measurements, feeds, services and secrets."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from msgspec import Struct

from reports.rundir.latency import lowest_us
from reports.rundir.reader import Run
from scenarios.exit_status import FAILED
from scenarios.scenario.redact_text import HIDDEN
from tests.e2e.command_line import carried_out, last_known
from tests.e2e.own_gateway import (
    CLIENTS,
    OWN_STORM,
    RATE_HZ,
    begin_of,
    clients_of,
    due,
    end_of,
    ended_storm,
    files_with,
    of_pod,
    pod_log,
    stormed,
    table,
    toml,
    total,
)
from tests.support.gateways import line, words
from tests.support.needs import ROOT

pytestmark = pytest.mark.e2e

EXAMPLES = ROOT / "examples"
LISTENS = re.compile(r"process (\d+) listens on 127\.0\.0\.1:(\d+)")


# -- every event ---------------------------------------------------------------------------------------------

# A pod may take seconds to start, and everybody may be seconds late: what comes next leaves them as many.
TIMELINE = """[
    {at_s=2, do="kill_pod", pod=1, restart_after_s=0.5},
    {at_s=9, do="pause_pod", pod=0, for_s=2},
    {at_s=14, do="drop_all"},
    {at_s=18, do="drop_share", share=0.5},
    {at_s=22, do="rolling_restart", gap_s=0.5},
    {at_s=35, do="scale", pods=3},
    {at_s=43, do="scale", pods=2},
]"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    sets = (f"event={' '.join(TIMELINE.split())}", "phases.duration_s=49")
    return stormed(tmp_path_factory.mktemp("runs"), line("healthy"), *sets)[1]


def test_all_clients_get_ticks_of_a_gateway_that_was_started_by_a_command(run: Run) -> None:
    assert run.between(0, 2)[0]["connected"] == CLIENTS
    assert [due(run, second) for second in (0, 1)] == [CLIENTS * RATE_HZ] * 2
    assert run.info.reference == "due"
    assert last_known(run, "connected") == CLIENTS
    assert {row["pod"] for row in run.pods if (row["t_s"] or 0) < 35} == {0, 1}


def test_every_event_begins_and_ends(run: Run) -> None:
    for phase in ("begin", "end"):
        names = [line["event"] for line in run.events if line.get("phase") == phase]
        assert sorted(set(names)) == sorted(set(re.findall(r'do="(\w+)"', TIMELINE)))


def test_a_killed_pod_loses_its_clients_and_is_started_again_on_its_port(run: Run) -> None:
    assert end_of(run, "kill_pod")["clients"] == pytest.approx(CLIENTS / 2, abs=3)
    assert total(run, "disconnects", 2, 9) >= CLIENTS / 2 - 3
    assert run.between(8, 9)[0]["connected"] == CLIENTS
    first, second, *_ = LISTENS.findall(pod_log(run, 1))
    assert first[0] != second[0]
    assert first[1] == second[1]


def test_a_paused_pod_sends_nothing_and_goes_on(run: Run) -> None:
    rates = [row["ticks"] or 0 for row in run.between(9, 14)]
    assert min(rates) < 0.8 * CLIENTS * RATE_HZ
    assert run.between(13, 14)[0]["connected"] == CLIENTS


def test_nginx_drops_all_clients_while_the_pods_go_on(run: Run) -> None:
    assert end_of(run, "drop_all")["dropped_by"] == "nginx"
    assert total(run, "disconnects", 14, 18) >= CLIENTS
    assert run.between(17, 18)[0]["connected"] == CLIENTS


def test_clients_drop_a_share_themselves(run: Run) -> None:
    assert end_of(run, "drop_share")["dropped_by"] == "clients"
    assert total(run, "disconnects", 18, 22) == pytest.approx(CLIENTS / 2, abs=2)


def test_a_pod_that_is_added_gets_a_port_of_its_own_and_one_that_is_removed_drains(run: Run) -> None:
    assert end_of(run, "scale")["added"] == 1
    ports = [LISTENS.findall(pod_log(run, pod))[0][1] for pod in range(3)]
    assert len(set(ports)) == 3
    assert of_pod(run, 2, "cpu", from_s=35)
    _, left = (line for line in run.events if line["event"] == "scale" and line.get("phase") == "end")
    assert left["removed"] == 1
    assert not of_pod(run, 2, "cpu", from_s=left["t_s"]), "nobody hears of it after it has left"
    assert pod_log(run, 2).rstrip().endswith("drains")


def test_a_rolling_restart_drains_each_pod_before_it_is_started_again(run: Run) -> None:
    assert end_of(run, "rolling_restart")["pods"] == 2
    for pod in (0, 1):
        told = [text for text in pod_log(run, pod).splitlines() if text]
        drains = told.index("drains")
        assert LISTENS.fullmatch(told[drains - 1])
        assert LISTENS.fullmatch(told[drains + 1])
    assert total(run, "disconnects", 22, 35) >= CLIENTS


def test_without_metrics_clients_and_loop_of_a_pod_come_from_the_kernel(run: Run) -> None:
    assert sum(clients_of(run, pod, before_s=2) for pod in (0, 1)) == CLIENTS
    assert all(0 <= share <= 1.1 for pod in (0, 1) for share in of_pod(run, pod, "loop"))


def test_nothing_but_a_command_is_needed(tmp_path: Path) -> None:
    """Ready is then who accepts an Engine.IO session, and a tick has the time of its first receipt."""
    short = tuple(key for key in OWN_STORM if not key.startswith(("gateway.", "feed.")))
    arguments = ("run", "--retries", "0", "--gateway", line("healthy"))
    _, (run,) = carried_out(tmp_path, *arguments, sets=short)
    assert run.info.reference == "first receipt"
    assert last_known(run, "connected") == CLIENTS


# -- probes --------------------------------------------------------------------------------------------------

# A pod that stands still for some seconds, as on a busy host, has not failed twice in a row.
PROBES = '{at_s=0, do="probes", conflated=%s, period_s=0.5, timeout_s=2, failures=2, grace_s=1}'
DEEDS = {
    "false": ["pod_ejected", "pod_readmitted"],
    "true": ["pod_ejected", "pod_killed", "pod_restarted", "pod_readmitted"],
}


@pytest.mark.parametrize(("conflated", "expected"), DEEDS.items())
def test_probes_ask_the_paths_of_the_gateway(tmp_path: Path, conflated: str, expected: list[str]) -> None:
    pause = '{at_s=2, do="pause_pod", pod=1, for_s=8}'
    sets = ("gateway.liveness_path=/healthz", f"event=[{PROBES % conflated}, {pause}]")
    _, run = stormed(tmp_path, line("healthy"), *sets, "phases.duration_s=19")
    # On a busy host other pods fail probes as well, and this one a second time.
    deeds = [
        line["event"]
        for line in run.events
        if line["event"].startswith("pod_") and line["pod"] == 1 and line["t_s"] >= 2
    ]
    assert deeds[: len(expected)] == expected
    assert conflated == "true" or "pod_killed" not in deeds


# -- what is measured ----------------------------------------------------------------------------------------

SECRETS = {"an argument": "hunter2-in-words", "a variable": "s3cret-variable", "a URL": "pw-in-url"}


class Prepared(Struct, frozen=True):
    """A storm at a gateway with metrics, a service, a set-up command and secrets; all in that folder."""

    folder: Path
    output: str
    run: Run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("prepared")
    write = f"import pathlib; pathlib.Path({str(folder / 'set-up')!r}).open('a').write('done ')"
    setup = [sys.executable, "-c", write]
    server = [sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
    service = f'[{{name="store", ready_path="/", command={toml(server)}}}]'
    url = f"postgres://me:{SECRETS['a URL']}@127.0.0.1/x"
    variables = table({"API_TOKEN": SECRETS["a variable"], "DATABASE": url})
    gauges = {"clients": "gateway_clients", "loop_utilisation": "", "loop_lag": ""}
    metrics = table({"path": "/metrics", **gauges})
    told = ("{store.port}", "{pod}", "{port}", f"--password={SECRETS['an argument']}", url)
    output, run = stormed(
        folder / "runs",
        line("leaky", *told),
        f"gateway.setup={toml(setup)}",
        f"gateway.environment={variables}",
        f"gateway.metrics={metrics}",
        f"service={service}",
    )
    return Prepared(folder, output, run)


def test_the_cpu_of_a_pod_is_that_of_all_its_processes(tmp_path: Path) -> None:
    """The children use 40 % of a core when they get it; the pod alone, a few per cent."""
    forking = line("forking", 2, tmp_path / "pids")
    _, run = stormed(tmp_path / "runs", forking, "gateway.pods=1", "event=[]", "phases.duration_s=6")
    used = of_pod(run, 0, "cpu")
    got = [float(path.read_text(encoding="ascii")) for path in tmp_path.glob("share-*-?")]
    assert len(got) == 2
    assert sum(used) / len(used) > sum(got) / 2


def test_gauges_of_the_gateway_are_in_the_rows_of_its_pods(prepared: Prepared) -> None:
    assert sum(clients_of(prepared.run, pod, before_s=3) for pod in (0, 1)) == CLIENTS
    assert "gauges_missing" not in {line["event"] for line in prepared.run.events}


# -- the feed ------------------------------------------------------------------------------------------------


def test_a_publisher_feeds_all_pods_and_can_be_stalled_and_sped_up(tmp_path: Path) -> None:
    publisher = words("publisher", "{gateway.ports}", "{rate_hz}", tmp_path / "count")
    # A publisher that is started again for another rate may take seconds.
    stall, burst = (
        '{at_s=3, do="feed_stall", for_s=2.5}',
        '{at_s=8, do="feed_burst", factor=4, for_s=6}',
    )
    _, run = stormed(
        tmp_path / "runs",
        line("silent"),
        f"feed.command={toml(publisher)}",
        f"event=[{stall}, {burst}]",
        "phases.duration_s=20",
    )
    calm = CLIENTS * RATE_HZ
    assert [due(run, second) for second in range(8)] == [calm] * 8, "after a stall, all that was due is sent"
    began_s, ended_s = (of_stall(run, "feed_stall")["t_s"] for of_stall in (begin_of, end_of))
    stalled = [second for second in range(8) if began_s < second and second + 1 < ended_s]
    assert stalled
    for second in stalled:
        # None of them came before the end of the stall, however late the others were.
        earliest_s = lowest_us(run.histograms["effective"][second].places).min() / 1e6
        assert earliest_s > ended_s - (second + 1) - 0.1
    assert max(due(run, second) for second in range(9, 15)) > 2 * calm
    assert due(run, 18) == calm


def test_a_gateway_without_ticks_ends_the_run_and_the_event_is_named(tmp_path: Path) -> None:
    done = ended_storm(tmp_path, line("silent"))
    assert done.status == FAILED
    assert done.line("no tick arrived", "'tick'", "feed.event")


# -- services and set-up -------------------------------------------------------------------------------------


def test_a_service_runs_before_the_pods_and_they_are_told_its_port(prepared: Prepared) -> None:
    for pod in (0, 1):
        log = pod_log(prepared.run, pod)
        found = re.search(r"starts with \['(\d+)', '(\d+)', '(\d+)',", log)
        assert found
        assert int(found[2]) == pod
        assert int(found[1]) != int(found[3]) == int(LISTENS.findall(log)[0][1])


def test_the_set_up_command_is_run_once_before_all_pods(prepared: Prepared) -> None:
    assert (prepared.folder / "set-up").read_text() == "done "


# -- secrets -------------------------------------------------------------------------------------------------


def test_secrets_of_a_command_are_in_no_file_and_in_no_output(prepared: Prepared) -> None:
    assert "starts with" in pod_log(prepared.run, 0)
    for what, secret in SECRETS.items():
        assert secret not in prepared.output, what
        assert files_with(prepared.folder, secret) == [], what
    assert prepared.run.info.scenario["gateway"]["environment"]["API_TOKEN"] == HIDDEN


# -- the examples --------------------------------------------------------------------------------------------

SHORT = (
    "fleet.clients=20",
    "fleet.clients_per_ip=1",
    "fleet.policy=incident",
    "fleet.connect_timeout_s=15",
    "fleet.stale_after_s=15",
    'event=[{at_s=3, do="drop_all"}]',
    "phases.duration_s=10",
    "phases.during_s=4",
    "phases.recovery_window_s=4",
    "phases.rescue_at_s=0",
)


def example(tmp_path: Path, scenario: Path, *sets: str) -> Run:
    _, (run,) = carried_out(tmp_path, "run", "--retries", "0", str(scenario), sets=(*SHORT, *sets))
    return run


def assert_stormed(run: Run) -> None:
    assert run.info.reference == "due"
    assert run.between(1, 2)[0]["connected"] == CLIENTS
    assert total(run, "disconnects", 3, 10) >= CLIENTS
    assert last_known(run, "connected") == CLIENTS
    assert sum(clients_of(run, pod, before_s=3) for pod in (0, 1)) == CLIENTS
    assert run.info.scenario["gateway"]["environment"]["TOKEN_SECRET"] == HIDDEN


@pytest.mark.needs_node
def test_the_example_for_node_can_be_stormed(tmp_path: Path, node_modules: Path) -> None:
    folder = tmp_path / "node"
    shutil.copytree(EXAMPLES / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(node_modules / "node_modules")
    assert_stormed(example(tmp_path / "runs", folder / "storm.toml", "gateway.setup="))


def test_the_example_for_python_can_be_stormed(tmp_path: Path) -> None:
    interpreter = f"gateway.command={toml([sys.executable, 'server.py'])}"
    assert_stormed(example(tmp_path, EXAMPLES / "python" / "storm.toml", interpreter, "gateway.setup="))


# -- clients that stop for good ------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "stay_away"), [("socketio-js", True), ("incident", False)])
def test_clients_like_socketio_js_stay_away_after_packet_41_and_others_do_not(
    tmp_path: Path, policy: str, stay_away: bool
) -> None:
    sets = ("gateway.pods=1", f"fleet.policy={policy}")
    _, run = stormed(tmp_path, line("unwelcoming", CLIENTS), *sets)
    storm = run.info.summary["storm"]
    assert storm is not None
    assert storm["gave_up_by_reason"] == ({"namespace_disconnect": CLIENTS} if stay_away else {})
    joins = total(run, "joined", 3, 10)
    assert joins == CLIENTS if stay_away else joins > 2 * CLIENTS

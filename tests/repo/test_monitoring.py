"""What Prometheus scrapes and Grafana shows is what pods and generator export."""

import itertools
import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway_stub.control import _HELP, prometheus_text
from reports.alerts.rules import ALERT_RULES, EVALUATION_INTERVAL_S, SCRAPE_INTERVAL_S
from scenarios.agent.proxy_metrics import proxy_text
from scenarios.generator.metrics import Exposition
from scenarios.host.cpu_account import CpuUse
from tests.gateway_stub.test_app import LAST
from tests.scenarios.generator.test_metrics import STORMY
from tests.support.intervals import interval
from tests.support.prometheus import programs

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "monitoring"
BOARD: dict[str, Any] = json.loads(
    (FOLDER / "grafana" / "boards" / "reconnect-storm.json").read_text(encoding="utf-8")
)
PANELS: list[dict[str, Any]] = BOARD["panels"]


METRIC = re.compile(r"\b(?:gateway|generator|proxy)_\w+")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def exported() -> dict[str, str]:
    """Every metric there is, and its type."""
    exposition = Exposition()
    text = prometheus_text(dict.fromkeys(_HELP, 0), LAST)
    for second in (STORMY, interval(4, stale_clients=1)):
        exposition.take(second)
        text += exposition.text(workers=1, storm=True)
    text += proxy_text(CpuUse(0), Counter())
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def shown() -> set[str]:
    return {name for text in expressions() for name in METRIC.findall(text)}


def test_the_board_shows_what_is_exported_and_all_of_it() -> None:
    assert shown() == set(exported())


def test_counters_are_shown_as_rates_and_gauges_as_they_are() -> None:
    for text in expressions():
        for name in METRIC.findall(text):
            assert (f"rate({name}[" in text) == (exported()[name] == "counter"), text


def test_brackets_of_an_expression_match() -> None:
    for text in expressions():
        for opening, closing in ("()", "[]", "{}"):
            assert text.count(opening) == text.count(closing), text


def test_panels_have_numbers_titles_and_places_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    cells = [
        cell
        for place in (panel["gridPos"] for panel in PANELS)
        for cell in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    assert len(set(cells)) == len(cells), "panels overlap"
    assert max(x for x, _ in cells) < 24, "Grafana's grid has 24 columns"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_is_one_that_grafana_can_draw(panel: dict[str, Any]) -> None:
    assert panel["type"] == "timeseries"
    assert panel["description"].endswith(".")
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    for part in (panel, *panel["targets"]):
        assert part["datasource"] == BOARD["panels"][0]["datasource"]


def test_the_board_asks_the_source_that_is_provisioned() -> None:
    (source,) = read(FOLDER / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert PANELS[0]["datasource"] == {"type": source["type"], "uid": source["uid"]}


def test_the_board_is_where_grafana_looks_for_it() -> None:
    grafana = read(ROOT / "docker-compose.yml")["services"]["grafana"]
    (provider,) = read(FOLDER / "grafana" / "provisioning" / "dashboards" / "boards.yml")["providers"]
    folder = provider["options"]["path"]
    assert f"./deploy/monitoring/grafana/boards:{folder}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/reconnect-storm.json"


def test_what_the_report_knows_of_prometheus_is_how_it_is_configured() -> None:
    configuration = read(FOLDER / "prometheus.yml")
    assert configuration["global"]["scrape_interval"] == f"{SCRAPE_INTERVAL_S}s"
    assert configuration["global"]["evaluation_interval"] == f"{EVALUATION_INTERVAL_S}s"


def test_the_alerts_are_where_prometheus_looks_for_them() -> None:
    (rules,) = read(FOLDER / "prometheus.yml")["rule_files"]
    volumes = read(ROOT / "docker-compose.yml")["services"]["prometheus"]["volumes"]
    assert f"./deploy/monitoring/{rules}:/etc/prometheus/{rules}:ro" in volumes
    assert (FOLDER / rules).exists()


def test_alerts_are_about_what_is_exported() -> None:
    used = {name for rule in ALERT_RULES.values() for name in METRIC.findall(rule.expression)}
    assert used <= set(exported())


def test_the_page_has_every_alert_with_its_numbers() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    for rule in ALERT_RULES.values():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{rule.name}` |"))
        assert rule.filled_in(rule.condition) in row
        assert row.endswith(f"| {rule.for_s} s |")


@pytest.mark.needs_prometheus
@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ],
    ids=" ".join,
)
def test_prometheus_accepts_the_configuration_and_its_alerts_fire_when_they_should(
    command: tuple[str, ...],
) -> None:
    for program in programs():
        promtool = [str(program.with_name("promtool")), *command]
        done = subprocess.run(promtool, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_pods_generator_and_proxy_where_they_are() -> None:
    services = read(ROOT / "docker-compose.yml")["services"]
    jobs = {job["job_name"]: job for job in read(FOLDER / "prometheus.yml")["scrape_configs"]}
    (pods,) = jobs["gateway"]["dns_sd_configs"]
    assert (pods["names"], pods["type"], pods["port"]) == (["gateway"], "A", 8001)
    ((generator,),) = [config["targets"] for config in jobs["generator"]["static_configs"]]
    assert generator == "locust-master:8089"
    ((proxy,),) = [config["targets"] for config in jobs["proxy"]["static_configs"]]
    assert proxy == "nginx:8100"
    assert {"gateway", "locust-master", "nginx"} <= set(services)

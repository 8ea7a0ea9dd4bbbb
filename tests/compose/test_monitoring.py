"""The monitoring profile: Prometheus finds every service by its name, and every panel has something to show.

The image is a stand-in with this machine's Prometheus: the real one may be out of reach.
"""

import math
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.compose.stack import GATEWAYS, GOOD_OR_INVALID, ROOT, Stack, wait_for
from tests.repo.test_monitoring import PANELS
from tests.support.prometheus import Prometheus, programs

pytestmark = [pytest.mark.compose, pytest.mark.needs_docker, pytest.mark.needs_prometheus]

IMAGE = "reconnect-storm-test-prometheus"
DOCKERFILE = """\
FROM debian:bookworm-slim
COPY prometheus /bin/prometheus
# Debian's writes its data there.
RUN mkdir -p -m 1777 /var/lib/prometheus
USER 65534
ENTRYPOINT ["/bin/prometheus"]
"""


def test_prometheus_finds_all_services_and_sees_a_storm(stack: Stack, tmp_path: Path) -> None:
    stack.up()
    build_image(tmp_path)
    profile = ("--profile", "monitoring")
    done = stack.compose(*profile, "up", "--detach", "--no-deps", "prometheus", PROMETHEUS=IMAGE)
    assert done.returncode == 0, done.stderr
    asked = Prometheus("http://127.0.0.1:9090")
    wait_for("Prometheus", asked.ready)
    wait_for("all targets", lambda: asked.healthy_targets() == GATEWAYS + 2)
    from_s = time.time()
    status, output = stack.storm("run", "--retries", "0")
    assert status in GOOD_OR_INVALID, output
    to_s = time.time()
    expressions = {target["expr"] for panel in PANELS for target in panel["targets"]}
    assert asked.highest("sum(rate(generator_disconnects_total[10s]))", from_s, to_s) > 0
    # A small storm need not be one that fires an alert.
    always = {text for text in expressions if "ALERTS{" not in text}
    assert not {text for text in always if math.isnan(asked.highest(text, from_s, to_s))}
    (rules,) = asked.api("rules")["groups"]
    assert [rule["health"] for rule in rules["rules"]] == ["ok"] * len(rules["rules"])


def build_image(folder: Path) -> None:
    shutil.copy(programs()[0], folder / "prometheus")
    (folder / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    done = subprocess.run(
        ["docker", "build", "--quiet", "--tag", IMAGE, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr

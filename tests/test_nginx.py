"""nginx accepts every configuration that we can render, and we read its access log right."""

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest

from scenarios.scenario_file import build
from scenarios.stack.nginx import check_syntax, read_access_log, refusals_per_second, render

LIMITS: list[Any] = ["none", "per-ip", {"name": "per-ip", "rate_per_s": 0.5, "burst": 0}]
BALANCES = ["least_conn", "round_robin", "hash"]


def rendered(tmp_path: Path, limit: Any, balance: str) -> Path:
    scenario = build({"edge": {"limit": limit}, "gateway": {"balance": balance}}, source="test")
    path = tmp_path / "gateway.conf"
    pods = ["127.0.0.1:9001", "127.0.0.1:9002"]
    path.write_text(
        render(scenario, listen="127.0.0.1:18999", pods=pods, directory=tmp_path), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize(("limit", "balance"), [*itertools.product(LIMITS, BALANCES)], ids=str)
def test_nginx_accepts_what_we_render(tmp_path: Path, limit: Any, balance: str) -> None:
    assert check_syntax(rendered(tmp_path, limit, balance)) == ""


def test_a_configuration_that_nginx_refuses_is_explained(tmp_path: Path) -> None:
    path = rendered(tmp_path, "none", "least_conn")
    path.write_text(path.read_text(encoding="utf-8").replace("least_conn", "most_conn"), encoding="utf-8")
    assert "most_conn" in check_syntax(path)


def test_without_a_limit_no_zone_is_rendered(tmp_path: Path) -> None:
    assert "zone=" not in rendered(tmp_path, "none", "least_conn").read_text(encoding="utf-8")


def test_a_folder_with_an_odd_name_does_not_break_out_of_the_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "with blank;}"
    folder.mkdir()
    try:
        assert check_syntax(rendered(folder, "none", "least_conn")) == ""
    finally:
        shutil.rmtree(folder)


def test_the_access_log_gives_refusals_by_second(tmp_path: Path) -> None:
    def line(at: float, status: int, limit: str) -> str:
        return "\t".join(
            [f"{at:.3f}", "0.1", "127.1.2.3", "GET", str(status), limit, "-", "-", "websocket", "-"]
        )

    log = tmp_path / "access.log"
    log.write_text(
        "\n".join(
            [
                line(100.2, 429, "REJECTED"),
                line(100.9, 429, "REJECTED"),
                line(101.5, 101, "PASSED"),
                line(102.0, 429, "REJECTED"),
                line(103.0, 503, "-"),
                "half a li",
            ]
        ),
        encoding="utf-8",
    )
    assert refusals_per_second(read_access_log(log), wall_epoch_s=100.0) == {0: 2, 2: 1}


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert read_access_log(tmp_path / "access.log") == []

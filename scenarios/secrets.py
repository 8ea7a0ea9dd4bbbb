"""What a run directory may show: everything but what opens the target's doors."""

from collections.abc import Sequence
from typing import Any

import msgspec

from scenarios.model import Scenario

HIDDEN = "(hidden)"
_SECRET_KEYS = ("target.auth", "target.headers", "target.cookies")


def without_secrets(scenario: Scenario) -> dict[str, Any]:
    """The scenario as a report may show it: what opens the target's doors is left out."""
    shown: dict[str, Any] = msgspec.to_builtins(scenario)
    target = shown["target"]
    if target["auth"] is not None:
        target["auth"] = dict.fromkeys(target["auth"], HIDDEN)
    for key in ("headers", "cookies"):
        target[key] = dict.fromkeys(target[key], HIDDEN)
    target["url"] = _without_query(target["url"])
    return shown


def command_without_secrets(arguments: Sequence[str]) -> list[str]:
    """The command line that led to a run, as a report may show it."""
    return ["reconnect-storm", *map(_without_secret, arguments)]


def _without_secret(argument: str) -> str:
    option = "--set=" if argument.startswith("--set=") else ""
    key, separator, _ = argument.removeprefix(option).partition("=")
    if separator and key.startswith(_SECRET_KEYS):
        return f"{option}{key}={HIDDEN}"
    return _without_query(argument) if "://" in argument else argument


def _without_query(url: str) -> str:
    before, separator, _ = url.partition("?")
    return f"{before}?{HIDDEN}" if separator else url

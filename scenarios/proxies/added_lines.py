"""The lines that a scenario's limit adds to nginx's configuration."""

import difflib
from pathlib import Path

from msgspec.structs import replace

from scenarios.proxies.nginx import render
from scenarios.scenario.model import Scenario


def added_lines(scenario: Scenario) -> str:
    """The lines that a scenario's limit adds to nginx's configuration, an ellipsis between distant ones."""
    without = configuration(replace(scenario, edge=replace(scenario.edge, limit="none")))
    added = configuration(scenario)
    blocks = [
        "\n".join(added[first:last]).strip("\n")
        for tag, _, _, first, last in difflib.SequenceMatcher(
            None, without, added, autojunk=False
        ).get_opcodes()
        if tag in {"insert", "replace"}
    ]
    return "\n…\n".join(blocks)


def configuration(scenario: Scenario) -> list[str]:
    """nginx's configuration for a scenario, with one pod, as lines."""
    text = render(scenario, listen="127.0.0.1:8080", pods=["127.0.0.1:9000"], directory=Path("run"))
    return text.splitlines()

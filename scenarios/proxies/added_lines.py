"""The lines that a scenario's limit adds to the configuration of its proxy, to paste into another one.

They come from the template that a run uses: the configuration with the limit, without the lines that it has
without one; and likewise for a setting.
"""

import difflib
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from scenarios.proxies import envoy, haproxy, nginx
from scenarios.scenario.model import Scenario
from scenarios.scenario.stability import edge_rules

_LISTEN = "127.0.0.1:8080"
_PODS = ("127.0.0.1:9000",)
_FOLDER = Path("run")


def added_lines(scenario: Scenario) -> str:
    """The lines that a scenario's limit adds, an ellipsis between distant ones.

    HAProxy's sections, and the key that Envoy's lines are below, come first in each block. Lines that a limit
    only changes, such as the format of a run's log, are left out.
    """
    return lines_more(replace(scenario, edge=replace(scenario.edge, limit="none")), scenario)


def lines_more(before: Scenario, scenario: Scenario) -> str:
    """The lines that a scenario has more than another one at the same proxy, in the same form."""
    lines_of = _LINES[scenario.edge.proxy]
    without, added = lines_of(before), lines_of(scenario)
    opcodes = difflib.SequenceMatcher(None, without, added, autojunk=False).get_opcodes()
    blocks = (_whole(added, *opcode[3:]) for opcode in opcodes if opcode[0] == "insert")
    shown = _as_it_is if scenario.edge.proxy == "nginx" else _below_its_heading
    return "\n…\n".join(shown(added, first, last) for first, last in blocks)


def _whole(lines: Sequence[str], first: int, last: int) -> tuple[int, int]:
    """The same insertion, begun behind what ends the block before it: either could be what is new."""
    while last < len(lines) and lines[first] == lines[last] and lines[first].strip() in {"", "}"}:
        first, last = first + 1, last + 1
    return first, last


def _as_it_is(lines: Sequence[str], first: int, last: int) -> str:
    return "\n".join(lines[first:last]).strip("\n")


def _below_its_heading(lines: Sequence[str], first: int, last: int) -> str:
    block = list(lines[first:last])
    while block and not block[0]:
        first, block = first + 1, block[1:]
    heading = next(_headings(lines, first), None)
    return textwrap.dedent("\n".join([*([] if heading is None else [heading]), *block])).strip("\n")


def _headings(lines: Sequence[str], place: int) -> Iterator[str]:
    """The lines above that this one is below, the nearest first; those of a list stand no further left."""
    indent, is_item = _indent(lines[place]), lines[place].lstrip().startswith("- ")
    for line in reversed(lines[:place]):
        begins = line.lstrip()
        if not begins or begins.startswith("#"):
            continue
        level = _indent(line)
        if level < indent or (is_item and level == indent and not begins.startswith("- ")):
            yield line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _nginx(scenario: Scenario) -> list[str]:
    return nginx.render(scenario, listen=_LISTEN, pods=[*_PODS], directory=_FOLDER).splitlines()


def _haproxy(scenario: Scenario) -> list[str]:
    return haproxy.render(scenario, listen=_LISTEN, pods=_PODS).splitlines()


def _envoy(scenario: Scenario) -> list[str]:
    # A run has a place in the chain for every rule that there may be; one for each is enough.
    places = len(edge_rules(scenario))
    files = envoy.render(scenario, listen=_LISTEN, pods=_PODS, directory=_FOLDER, places=places)
    return files[envoy.WHOLE].splitlines()


_LINES: Mapping[str, Callable[[Scenario], list[str]]] = {
    "nginx": _nginx,
    "haproxy": _haproxy,
    "envoy": _envoy,
}

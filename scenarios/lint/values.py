"""YAML or JSON as values that know their line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from scenarios.lint.finding import LintError, Place
from scenarios.lint.quantities import envoy_seconds, whole
from scenarios.lint.reading import first_readable

_MOST_NESTED = 150
_MOST_VALUES = 200_000


class Node(Struct, frozen=True):
    """A mapping, a list, or a plain value, with its place."""

    value: Any
    place: Place

    def get(self, *keys: str) -> "Node":
        """The value under a path of keys, in snake case as in the documentation, or an empty one."""
        node = self
        for key in keys:
            inner = node.value.get(key) if isinstance(node.value, dict) else None
            if inner is None:
                return Node(None, node.place)
            node = inner
        return node

    @property
    def there(self) -> bool:
        """Whether there is such a value."""
        return self.value is not None

    @property
    def items(self) -> list["Node"]:
        """The elements of a list."""
        return self.value if isinstance(self.value, list) else []

    @property
    def text(self) -> str:
        """A plain value as text; empty for others."""
        return "" if self.value is None or isinstance(self.value, dict | list) else str(self.value)

    @property
    def seconds(self) -> float | None:
        """A duration: `15s`, or the parts that protocol buffers have."""
        if isinstance(self.value, dict):
            parts = whole(self.get("seconds").text or "0"), whole(self.get("nanos").text or "0")
            return None if None in parts else float(parts[0] or 0) + (parts[1] or 0) / 1e9
        return envoy_seconds(self.text)

    @property
    def number(self) -> int | None:
        """A number without a sign."""
        return whole(self.text)

    @property
    def true(self) -> bool:
        """Whether it is the value true."""
        return self.text.lower() == "true"

    def inner(self) -> Iterator["Node"]:
        """Itself and every value in it."""
        yield self
        children = self.value.values() if isinstance(self.value, dict) else self.items
        for child in children:
            yield from child.inner()


def read(text: str, file: Path) -> list[Node]:
    """The documents of a text, which may be a template. Raises LintError."""
    return first_readable(text, "", lambda reading: parse(reading, str(file)))


def parse(text: str, file: str) -> list[Node]:
    """The documents of a text. Raises LintError."""
    # Tabs between values are fine in JSON, and not in YAML; within strings JSON has none.
    plain = text.replace("\t", " ") if text.lstrip()[:1] in {"{", "["} else text
    try:
        documents = [*yaml.compose_all(plain, Loader=yaml.SafeLoader)]
        count = [0]
        found = [_node(one, file, 0, count) for one in documents if one is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise LintError(f"{file}:{line}: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise LintError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    if not any(isinstance(one.value, dict) for document in found for one in document.inner()):
        raise LintError(f"{file}:1: invalid value: expected a mapping of YAML or JSON")
    return found


def _node(node: yaml.Node, file: str, depth: int, count: list[int]) -> Node:
    place = Place(file, node.start_mark.line + 1)
    count[0] += 1
    # An alias can stand for a large part any number of times.
    if depth > _MOST_NESTED or count[0] > _MOST_VALUES:
        raise LintError(f"{file}:{place.line}: too deeply nested")
    if isinstance(node, yaml.MappingNode):
        merged: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            made = _node(value, file, depth + 1, count)
            if key.value == "<<":
                for part in made.items or [made]:
                    merged = {**(part.value if isinstance(part.value, dict) else {}), **merged}
            else:
                merged[_snake(key.value)] = Node(made.value, Place(file, key.start_mark.line + 1))
        return Node(merged, place)
    if isinstance(node, yaml.SequenceNode):
        return Node([_node(one, file, depth + 1, count) for one in node.value], place)
    empty = node.tag == "tag:yaml.org,2002:null"
    return Node(None if empty else str(node.value), place)


def _snake(key: str) -> str:
    """A key as the documentation has it: Envoy also reads `maxConnections`."""
    return key if key.startswith("@") else re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()

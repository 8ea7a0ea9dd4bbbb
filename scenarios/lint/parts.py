"""Which proxy a file is of, and the configurations that stand in other files, such as a ConfigMap."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from msgspec import Struct

from scenarios.lint.finding import LintError
from scenarios.lint.haproxy.parse import SECTIONS
from scenarios.lint.placeholders import filled

_ENVOY = re.compile(
    r"(?:static|dynamic)(?:_r|R)esources|type\.googleapis\.com/envoy|virtual_?[hH]osts:?|load_?[aA]ssignment"
    r"|envoy\.(?:filters|http_connection_manager)|^kind: EnvoyFilter\b",
    re.MULTILINE,
)
_SERVER = r"(?:server|http|events|stream)\s*\{|(?:location|upstream|map|geo)\s[^#\n]*\{"
_BLOCK = re.compile(rf"^\s*(?:{_SERVER}|[^#\n]*\{{\s*(?:#.*)?$)", re.MULTILINE)
_STARTS = rf"^\s*(?:{'|'.join(sorted(SECTIONS))})"
_SECTION = re.compile(rf"{_STARTS}(?:\s+[\w.:*…-]+){{0,2}}(?:\s+from\s+\S+)?\s*(?:#.*)?$", re.MULTILINE)
_DIRECTIVE = re.compile(r"^\s*[a-z_]+\b[^#\n]*;\s*(?:#.*)?$", re.MULTILINE)
_SURELY_NGINX = re.compile(
    rf"^\s*(?:{_SERVER}|(?:proxy_\w+|limit_\w+|worker_\w+|real_ip_header)\s[^\n]*;\s*$)", re.MULTILINE
)
_SURELY_ENVOY = re.compile(
    r"""^\s*["']?(?:static_?[rR]esources|dynamic_?[rR]esources|resources|virtual_?[hH]osts|typed_config)["']?:""",
    re.MULTILINE,
)
_SURELY_HAPROXY = re.compile(r"^\s*(?:bind|server|timeout|use_backend|default_backend)\s", re.MULTILINE)
_KUBERNETES = re.compile(
    r"""^\s*["']?kind["']?:\s*["']?(?:Ingress|ConfigMap|EnvoyProxy|DestinationRule|(?:Backend|Client)TrafficPolicy|List)["']?,?\s*$|^[^#\n]*--drain-time-s""",
    re.MULTILINE,
)
_DATA = {".yaml", ".yml", ".json"}
_OTHER_MANIFEST = re.compile(
    r"^kind:\s*(?:Ingress|EnvoyProxy|DestinationRule|\w+TrafficPolicy)\s*$", re.MULTILINE
)


class Part(Struct, frozen=True, kw_only=True):
    """A configuration in a file."""

    kind: str
    text: str
    """With as many lines before it as there are in the file."""
    line: int = 0
    """Where it begins within a file of another kind; 0: it is the file."""


def parts(text: str, file: Path, kind: str | None) -> list[Part]:
    """The configurations in a file; kind: which proxy, None: what it looks like. Raises LintError."""
    inside = [*_inside(text)] if _is_data(text, file) else []
    if kind is not None:
        return [one for one in inside if one.kind == kind] or [Part(kind=kind, text=text)]
    outside = _without(text, inside)
    found = [*inside]
    if not inside or _ENVOY.search(outside):
        name = _kind_of(outside, file)
        found += [Part(kind=name, text=text)] if name else []
    elif _OTHER_MANIFEST.search(outside):
        found.append(Part(kind="kubernetes", text=text))
    if not found:
        expected = "a configuration of nginx, HAProxy or Envoy; name the proxy with --as"
        raise LintError(f"{file}: invalid value: expected {expected}")
    return found


def kind_of(text: str, file: Path) -> str:
    """Which proxy a configuration is of. Raises LintError."""
    return parts(text, file, None)[0].kind


def _is_data(text: str, file: Path) -> bool:
    """Whether a file may be YAML with other texts in it."""
    return file.suffix in _DATA or bool(re.search(r"^[\w.-]+:(?:\s*\||\s*$)", text, re.MULTILINE))


def _kind_of(text: str, file: Path) -> str | None:
    plain = filled(text, "")
    if _ENVOY.search(plain):
        return "envoy"
    if file.suffix in _DATA or _KUBERNETES.search(plain):
        return "kubernetes" if _KUBERNETES.search(plain) else None
    # No section of HAProxy's has such a block.
    if not _BLOCK.search(plain) and _SECTION.search(plain):
        return "haproxy"
    return "nginx" if _BLOCK.search(plain) or _DIRECTIVE.search(plain) else None


def _inside(text: str) -> Iterator[Part]:
    """The texts within YAML that are the configuration of a proxy."""
    try:
        documents = [*yaml.compose_all(filled(text, "", "first"), Loader=yaml.SafeLoader)]
        for document in documents:
            for node in _scalars(document, ""):
                kind = _surely(node.value)
                if kind:
                    line = node.start_mark.line + 2
                    yield Part(kind=kind, text="\n" * (line - 1) + node.value, line=line)
    except (yaml.YAMLError, RecursionError, ValueError):
        return


def _scalars(root: yaml.Node | None, name: str) -> Iterator[yaml.ScalarNode]:
    """The block scalars that keep their lines; an alias is not followed again.

    Snippets are left out: a controller puts them between lines of its own.
    """
    todo: list[tuple[yaml.Node | None, str]] = [(root, name)]
    seen: set[int] = set()
    while todo:
        node, key = todo.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode) and node.style == "|" and "snippet" not in key:
            yield node
        elif isinstance(node, yaml.MappingNode):
            todo += [(value, str(one.value)) for one, value in reversed(node.value)]
        elif isinstance(node, yaml.SequenceNode):
            todo += [(value, key) for value in reversed(node.value)]


def _surely(text: str) -> str | None:
    if _ENVOY.search(text) and _SURELY_ENVOY.search(text):
        return "envoy"
    if not _BLOCK.search(text) and _SECTION.search(text) and _SURELY_HAPROXY.search(text):
        return "haproxy"
    return "nginx" if _SURELY_NGINX.search(text) and "#!/" not in text[:20] else None


def _without(text: str, inside: list[Part]) -> str:
    """A text without the lines of its parts."""
    lines = text.split("\n")
    for part in inside:
        number = part.text.count("\n", part.line - 1) + 1
        lines[part.line - 1 : part.line - 1 + number] = [""] * number
    return "\n".join(lines)

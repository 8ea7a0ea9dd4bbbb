"""A figure's SVG in a quarter of the bytes: fewer decimals, fewer points on straight lines, each style once.

matplotlib writes six decimals of a point. A tenth of a point is not visible at the size at which figures
are read.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

PER_POINT = 10
"""Grid steps per point, for paths of straight lines."""

CURVE_DECIMALS = 2
"""Decimals that curves keep: markers are a few points wide, and a tenth would show as a dent."""

_Point = tuple[int, int]

_PATH = re.compile(r'\bd="([^"]*)"')
_GROUP_ID = re.compile(r'<g id="[^"]*"')
_ALONE = re.compile(r"<g>\n(<path [^>]*/>\n|<text [^\n]*</text>\n)</g>\n")
_NO_ROTATION = re.compile(r' transform="rotate\(-?0 [^)]*\)"')
_COPIES = re.compile(r'<g( clip-path="[^"]*")?>\n((?:<use [^>]*/>\n){2,})</g>')
_FAMILY = re.compile(r"(?<=[\" ])font-family: ([^;\"]*); ")
_STYLE = re.compile(r' style="([^"]*)"')
_PLACE = re.compile(r'\b(x|y)="(-?[\d.]+)"')
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_STRAIGHT = re.compile(r"(?:[ML] \S+ \S+ ?|z ?)*")
_STEP = re.compile(r"([MLz])(?: (\S+) (\S+))?")


def compact(svg: str) -> str:
    """The same figure in fewer bytes; no line moves by more than two tenths of a point.

    Ids of groups go, since nothing refers to them; ids of markers and clip paths stay.
    """
    families = set(_FAMILY.findall(svg))
    if len(families) == 1:
        family = f' style="font-family: {families.pop()}">'
        svg = re.sub(r"(<svg[^>]*)>", lambda match: match[1] + family, _FAMILY.sub("", svg), count=1)
    svg = re.sub(r"\n +", "\n", _GROUP_ID.sub("<g", _NO_ROTATION.sub("", svg)))
    svg = _ALONE.sub(r"\1", _COPIES.sub(_styled_once, svg))
    svg = _PLACE.sub(lambda match: f'{match[1]}="{_decimal(float(match[2]))}"', svg)
    return _PATH.sub(lambda match: f'd="{_shorter(" ".join(match[1].split()))}"', svg)


def _styled_once(group: re.Match[str]) -> str:
    """Copies of a marker that have one style inherit it from their group; opacity alone is not inherited."""
    clip, copies = group[1] or "", group[2]
    styles = set(_STYLE.findall(copies))
    if len(styles) > 1 or any(style.startswith("opacity") or "; opacity" in style for style in styles):
        return group[0]
    return f'<g{clip} style="{styles.pop()}">\n{_STYLE.sub("", copies)}</g>'


def _shorter(path: str) -> str:
    if not _STRAIGHT.fullmatch(path):
        return _NUMBER.sub(lambda match: _decimal(float(match[0])), path)
    return "".join(_written(points, closed=closed) for points, closed in _lines(path))


def _lines(path: str) -> Iterator[tuple[list[_Point], bool]]:
    """The lines of a path on the grid: their points, and whether each is closed."""
    points: list[_Point] = []
    for command, x, y in _STEP.findall(path):
        if command != "L" and points:
            yield points, command == "z"
            points = []
        if command != "z":
            points.append((round(float(x) * PER_POINT), round(float(y) * PER_POINT)))
    if points:
        yield points, False


def _written(points: Sequence[_Point], *, closed: bool) -> str:
    """A line: where it begins, then each step relative to the last point."""
    kept = _thinned(points)
    steps = "".join(_step(end[0] - start[0], end[1] - start[1]) for start, end in pairwise(kept))
    return f"M{_grid(kept[0][0])} {_grid(kept[0][1])}{steps}{'z' if closed else ''}"


def _step(right: int, down: int) -> str:
    if down == 0:
        return f"h{_grid(right)}"
    if right == 0:
        return f"v{_grid(down)}"
    return f"l{_grid(right)}{'' if down < 0 else ' '}{_grid(down)}"


def _thinned(points: Sequence[_Point]) -> list[_Point]:
    """The points that keep a line within one grid step of all of them, by Ramer, Douglas and Peucker."""
    needed = {0, len(points) - 1}
    stretches = [(0, len(points) - 1)]
    while stretches:
        first, last = stretches.pop()
        if last - first < 2:
            continue
        off, index = max(
            (_off_line(points[index], points[first], points[last]), index) for index in range(first + 1, last)
        )
        if off > 1:
            needed.add(index)
            stretches += [(first, index), (index, last)]
    return [points[index] for index in sorted(needed)]


def _off_line(point: _Point, start: _Point, end: _Point) -> float:
    """How far a point is from the stretch between two others."""
    right, down = end[0] - start[0], end[1] - start[1]
    x, y = point[0] - start[0], point[1] - start[1]
    length = right * right + down * down
    along = min(1.0, max(0.0, (x * right + y * down) / length)) if length else 0.0
    return float(((x - along * right) ** 2 + (y - along * down) ** 2) ** 0.5)


def _grid(value: int) -> str:
    return _decimal(value / PER_POINT)


def _decimal(value: float) -> str:
    return f"{round(value, CURVE_DECIMALS) + 0.0:g}"

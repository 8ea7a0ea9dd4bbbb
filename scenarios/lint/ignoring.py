"""Comments that switch rules off: `# storm-lint: ignore RULE`."""

import re
from pathlib import Path

from scenarios.lint.finding import Finding

_COMMENT = re.compile(r"#\s*storm-lint:\s*ignore\s+([\w-]+(?:[\s,]+[\w-]+)*)")


class Ignored:
    """The comments of a file, and of those that it includes.

    A comment covers its own line; alone on a line, it also covers the next line that is not a comment. Before
    everything else in a file, it covers the whole file.
    """

    def __init__(self, file: Path, text: str) -> None:
        self._files = {str(file): _by_line(text)}

    def covers(self, finding: Finding) -> bool:
        """Whether a comment switches the finding's rule off."""
        name = finding.place.file
        if name not in self._files:
            self._files[name] = _by_line(Path(name).read_text(encoding="utf-8", errors="replace"))
        lines = self._files[name]
        return finding.rule.name in lines.get(finding.place.line, set()) | lines[0]


def _by_line(text: str) -> dict[int, set[str]]:
    """The rules that are switched off on each line; on line 0, those of the whole file."""
    found: dict[int, set[str]] = {0: set()}
    above: set[str] = set()
    begun = False
    for number, line in enumerate(text.split("\n"), start=1):
        comment = _COMMENT.search(line)
        rules = set(re.split(r"[\s,]+", comment[1])) if comment else set()
        alone = line.lstrip().startswith("#")
        if alone or not line.strip():
            above |= rules
            if not begun:
                found[0] |= rules
            continue
        begun = True
        found[number] = rules | above
        above = set()
    return found

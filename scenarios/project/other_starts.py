"""Start commands outside of a package file: a Procfile, and the last stage of a Dockerfile."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from scenarios.project.folder import read
from scenarios.project.start import Start, plain_command, with_port

_WEB = re.compile(r"(?m)^web:\s*(.+)$")
_INSTRUCTION = re.compile(r"(?i)^\s*(FROM|CMD|ENTRYPOINT)\s+(.+)$")


def procfile_start(folder: Path) -> Start | None:
    """The process `web` of a Procfile; None where there is none, or only a shell understands it."""
    found = _WEB.search(read(folder / "Procfile"))
    plain = plain_command(found[1]) if found else None
    if plain is None:
        return None
    return Start(words=plain.words, origin="Procfile: web", language="", environment=plain.environment)


def dockerfile_words(text: str) -> tuple[str, ...]:
    """What the last stage of a Dockerfile starts; nothing where only a shell understands it."""
    parts: dict[str, Sequence[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        match = _INSTRUCTION.match(line)
        if match is None:
            continue
        name = match[1].upper()
        if name == "FROM":
            parts = {}
        else:
            parts[name] = _words(match[2])
    return tuple(with_port([*parts.get("ENTRYPOINT", ()), *parts.get("CMD", ())]))


def dockerfile_start(folder: Path) -> Start | None:
    """The command of a Dockerfile, where its program is on this machine, too."""
    words = dockerfile_words(read(folder / "Dockerfile"))
    if not words or not (shutil.which(words[0]) or ("/" in words[0] and (folder / words[0]).is_file())):
        return None
    return Start(words=words, origin="Dockerfile: CMD", language="")


def _words(arguments: str) -> Sequence[str]:
    if arguments.lstrip().startswith("["):
        try:
            found = json.loads(arguments)
        except ValueError:
            return ()
        return found if all(isinstance(word, str) for word in found) else ()
    plain = plain_command(arguments)
    return plain.words if plain and not plain.environment else ()

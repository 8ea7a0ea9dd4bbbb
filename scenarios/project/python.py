"""A gateway in a Python project: its server module, the way it is served, and its virtual environment."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from scenarios.project.folder import Source, read, read_toml, table
from scenarios.project.start import PORT, Start

_SOCKETIO = re.compile(r"(?im)^\s*[\"']?(python[-_.]socketio|flask[-_.]socketio)\b")
_IMPORT = re.compile(r"(?m)^\s*(?:import socketio|from (?:socketio|flask_socketio) import)\b")
_ASGI = re.compile(r"(?m)^(\w+)\s*(?::[^=\n]+)?=\s*socketio\.ASGIApp\(")
_FRAMEWORK = re.compile(r"(?m)^(\w+)\s*(?::[^=\n]+)?=\s*(?:FastAPI|Starlette|Quart|Litestar)\(")
_RUNS_ITSELF = re.compile(r"\b(?:run_app|uvicorn\.run|hypercorn\.run|wsgi\.server)\(|\b\w+\.run\(")
_READS_PORT = re.compile(r"(?:environ|getenv)[^\n]{0,40}[\"']PORT[\"']")
_PORT_OPTION = re.compile(r"add_argument\([^)]*[\"']--port[\"']")
_ENTRIES = ("server.py", "app.py", "main.py", "gateway.py", "asgi.py", "wsgi.py", "run.py")
IN_ENVIRONMENT = {"python", "python3", "uvicorn", "gunicorn", "hypercorn", "daphne", "flask"}
"""Programs that are looked for in the project's virtual environment."""


class Environment(Struct, frozen=True, kw_only=True):
    """The virtual environment of a project, and the command that makes it."""

    programs: str
    """Folder of its programs; empty for those on the PATH."""
    setup: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    @property
    def leaves(self) -> tuple[str, ...]:
        """Its folder, as a line of .gitignore."""
        return (self.programs.removesuffix("bin/"),) if self.programs else ()


def is_python_gateway(folder: Path, sources: Sequence[Source]) -> bool:
    """Whether the project names a Socket.IO server among its requirements, or imports one."""
    named = any(_SOCKETIO.search(text) for text in _requirement_texts(folder))
    return named or any(source.name.endswith(".py") and _IMPORT.search(source.text) for source in sources)


def python_start(folder: Path, sources: Sequence[Source]) -> Start | None:
    """How the gateway of this folder is started; None where no module has a server."""
    entry = _entry(sources)
    if entry is None:
        return None
    environment = environment_of(folder)
    interpreter = f"{environment.programs}python" if environment.programs else "python3"
    words = (interpreter, *_served(folder, entry))
    return Start(
        words=words,
        origin=entry.name,
        language="Python",
        setup=environment.setup,
        tools=environment.tools,
        leaves=environment.leaves,
    )


def environment_of(folder: Path) -> Environment:
    """The environment of the lock file or the requirements; what is on the PATH where there are none."""
    if (folder / "uv.lock").is_file():
        return Environment(programs=".venv/bin/", setup=("uv", "sync", "--frozen"), tools=("uv",))
    if (folder / "poetry.lock").is_file():
        install = "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-root --no-interaction"
        return Environment(programs=".venv/bin/", setup=("sh", "-c", install), tools=("poetry",))
    wanted = _wanted(folder)
    if not wanted:
        return Environment(programs="")
    name = "venv" if (folder / "venv" / "bin").is_dir() and not (folder / ".venv").exists() else ".venv"
    make = f"test -x {name}/bin/python || python3 -m venv {name}"
    pip = f"{name}/bin/python -m pip install --quiet --disable-pip-version-check"
    return Environment(programs=f"{name}/bin/", setup=("sh", "-c", f"{make}; {pip} {wanted}"))


def _wanted(folder: Path) -> str:
    """What pip installs; empty where the project does not say."""
    for name in ("requirements.txt", "requirements/base.txt", "requirements.lock"):
        if (folder / name).is_file():
            return f"-r {name}"
    project = read_toml(folder / "pyproject.toml")
    if "build-system" in project:
        return "."
    return " ".join(shlex.quote(str(one)) for one in table(project, "project").get("dependencies", []))


def _requirement_texts(folder: Path) -> Iterator[str]:
    for pattern in ("requirements*.txt", "requirements/*.txt", "Pipfile", "setup.cfg"):
        yield from (read(path) for path in sorted(folder.glob(pattern)))
    project = read_toml(folder / "pyproject.toml")
    yield "\n".join(str(one) for one in table(project, "project").get("dependencies", []))
    yield "\n".join(table(project, "tool", "poetry", "dependencies"))


def _entry(sources: Sequence[Source]) -> Source | None:
    """The module with the server: one with a usual name before others."""
    servers = [one for one in sources if one.name.endswith(".py") and _IMPORT.search(one.text)]

    def order(source: Source) -> tuple[bool, bool, int, int]:
        name = source.name.rpartition("/")[2]
        starts = bool(_RUNS_ITSELF.search(source.text) or _ASGI.search(source.text))
        place = _ENTRIES.index(name) if name in _ENTRIES else len(_ENTRIES)
        return not starts, "Client(" in source.text, source.name.count("/"), place

    return min(servers, key=order, default=None)


def _served(folder: Path, entry: Source) -> tuple[str, ...]:
    """The arguments of the interpreter."""
    text = entry.text
    if _RUNS_ITSELF.search(text):
        if _PORT_OPTION.search(text):
            return (*_module(folder, entry), "--port", PORT)
        if _READS_PORT.search(text):
            return _module(folder, entry)
    app = _ASGI.search(text) or (_FRAMEWORK.search(text) if "ASGIApp(" in text else None)
    if app is None:
        return _module(folder, entry)
    place, dotted = _dotted(folder, entry)
    return (
        *("-m", "uvicorn", *place, f"{dotted}:{app[1]}"),
        *("--host", "{host}", "--port", PORT),
    )


def _module(folder: Path, entry: Source) -> tuple[str, ...]:
    """A file, or a module of a package: the latter finds its neighbours only by its dotted name."""
    place, dotted = _dotted(folder, entry)
    return ("-m", dotted.removesuffix(".__main__")) if "." in dotted and not place else (entry.name,)


def _dotted(folder: Path, entry: Source) -> tuple[tuple[str, ...], str]:
    """The folder that has to be searched, as uvicorn's option, and the module's dotted name."""
    parts = entry.name.removesuffix(".py").split("/")
    for top in range(len(parts)):
        packages = (folder.joinpath(*parts[:end]) for end in range(top + 1, len(parts)))
        if all((package / "__init__.py").is_file() for package in packages):
            return (("--app-dir", "/".join(parts[:top])) if top else ()), ".".join(parts[top:])
    return (), parts[-1]

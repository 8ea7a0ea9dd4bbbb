"""A gateway in a Node project: its start script, or else its main file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenarios.project.folder import Source, read_json, table
from scenarios.project.start import Start, plain_command

PACKAGES = ("socket.io", "@nestjs/platform-socket.io", "fastify-socket.io", "engine.io")
"""A project that depends on one of these has a gateway."""

_ENTRIES = ("server.js", "server.mjs", "index.js", "index.mjs", "app.js", "main.js", "gateway.js")
_BUILT = ("dist/", "build/", "lib/", "out/", "./dist/", "./build/", "./lib/", "./out/")


def is_node_gateway(folder: Path) -> bool:
    """Whether package.json names a Socket.IO server."""
    package = read_json(folder / "package.json")
    wanted = {*table(package, "dependencies"), *table(package, "devDependencies")}
    return any(name in wanted for name in PACKAGES)


def node_start(folder: Path, sources: Sequence[Source]) -> Start | None:
    """How the gateway of this folder is started; None where package.json does not tell."""
    package = read_json(folder / "package.json")
    manager, install = _install(folder, package)
    scripts = table(package, "scripts")
    script = scripts.get("start")
    environment: dict[str, str] = {}
    if isinstance(script, str) and script.strip():
        plain = plain_command(script)
        origin = "package.json: scripts.start"
        # Other programs than node are found in node_modules/.bin by the package manager alone.
        if plain is not None and plain.words[0] in {"node", "nodemon"}:
            # Nobody changes a file during a storm, so there is nothing to watch.
            words, environment = ("node", *plain.words[1:]), plain.environment
        else:
            words = (manager, "start")
    else:
        entry = _entry(folder, package, sources)
        if entry is None:
            return None
        words, script = ("node", entry), entry
        origin = "package.json: main" if entry == package.get("main") else entry
    built = any(word.startswith(_BUILT) for word in script.split())
    if built and isinstance(scripts.get("build"), str):
        # A build needs what is only for development, also where NODE_ENV says production.
        dev = " --include=dev" if manager == "npm" and "NODE_ENV" in environment else ""
        install = ("sh", "-c", f"{' '.join(install)}{dev} && {manager} run build")
    tools = (manager,) if manager in {"pnpm", "yarn", "bun"} else ()
    return Start(
        words=words,
        origin=origin,
        language="Node",
        setup=install,
        environment=environment,
        tools=tools,
        leaves=("node_modules/",),
    )


def _install(folder: Path, package: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The package manager, and its command that installs what the lock file names."""
    if (folder / "pnpm-lock.yaml").is_file():
        return "pnpm", ("pnpm", "install", "--frozen-lockfile")
    if (folder / "yarn.lock").is_file():
        modern = (folder / ".yarnrc.yml").is_file() or str(package.get("packageManager", "")) >= "yarn@2"
        return "yarn", ("yarn", "install", "--immutable" if modern else "--frozen-lockfile")
    if (folder / "bun.lock").is_file() or (folder / "bun.lockb").is_file():
        return "bun", ("bun", "install", "--frozen-lockfile")
    locked = any((folder / name).is_file() for name in ("package-lock.json", "npm-shrinkwrap.json"))
    return "npm", ("npm", "ci" if locked else "install")


def _entry(folder: Path, package: dict[str, Any], sources: Sequence[Source]) -> str | None:
    main = package.get("main")
    if isinstance(main, str) and (folder / main).is_file():
        return main
    for name in _ENTRIES:
        if (folder / name).is_file():
            return name
    servers = (source.name for source in sources if source.name.endswith("js") and "socket.io" in source.text)
    return next(servers, None)

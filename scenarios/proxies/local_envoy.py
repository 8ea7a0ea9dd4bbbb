"""Envoy as a child of this process: how it is started, and how it is told of other files."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from scenarios.host.process import LocalChild, StackError
from scenarios.proxies.base import POLL_S, POLLS, LocalProxy
from scenarios.proxies.certificates import CERTIFICATE
from scenarios.proxies.envoy import BOOTSTRAP, PAIR, PODS, ROUTES, WHOLE, check_syntax, executable

_ASK = aiohttp.ClientTimeout(total=2)
# Envoy counts what it makes of each file that it is given.
_COUNTERS = {ROUTES: "http.gateway.rds.gateway", PODS: "cluster.gateway"}
_COUNTER = re.compile(r"^(\S+)\.update_(success|rejected|failure): (\d+)$", re.MULTILINE)
# Of its listener, of which there is one, and of the secret.
_CERTIFICATES = re.compile(r"\.(ssl_context_update_by_sds|key_rotation_failed): (\d+)$", re.MULTILINE)


class LocalEnvoy(LocalProxy):
    """Envoy in front of the pods; it takes up another limit, or other pods, while it runs."""

    name = "envoy"

    def __init__(
        self,
        *,
        port: int,
        directory: Path,
        cores: tuple[int, ...] = (),
        binary: Path | None = None,
        concurrency: int = 1,
    ) -> None:
        super().__init__(port=port, directory=directory, cores=cores, binary=binary or executable())
        self._admin = self.directory / "admin.address"
        self._files: Mapping[str, str] = {}
        self._concurrency = concurrency
        self._certificate = b""
        self._taken_up: dict[str, int] = {}

    def arguments(self) -> list[str]:
        """Several Envoys on a machine know nothing of each other."""
        return [
            *("-c", str(self.directory / BOOTSTRAP)),
            *("--concurrency", str(self._concurrency), "--disable-hot-restart", "-l", "warning"),
            *("--file-flush-interval-msec", "1000", "--admin-address-path", str(self._admin)),
        ]

    async def configure(self, files: Mapping[str, str]) -> None:
        """Before it is started: writes and checks the files. Afterwards it is `reload` that does."""
        self._files = files
        if self.child is None or self.child.ended():
            for name, text in files.items():
                self.write(name, text)
            self.accept(WHOLE, check_syntax(self.directory / WHOLE, self.binary))

    async def is_there(self) -> bool:
        """Whether it takes connections: its port is open before it does."""
        return (await self._ask("/ready")).startswith("LIVE")

    async def start(self, *, descriptors: int) -> LocalChild:
        """Starts it; returns once it takes connections. Raises StackError."""
        child = await super().start(descriptors=descriptors)
        self._certificate, self._taken_up = self._certificate_now(), await self._certificate_counts()
        return child

    async def reload(self) -> None:
        """Replaces the files that have changed, or all where none has; returns once Envoy has read them.

        Another certificate it takes up by itself; this returns once it has.
        """
        await self._reload_files()
        if self._certificate_now() != self._certificate:
            await self._take_up_certificate()

    async def _take_up_certificate(self) -> None:
        for _ in range(POLLS):
            now = await self._certificate_counts()
            more = {name for name, count in now.items() if count > self._taken_up.get(name, 0)}
            if "key_rotation_failed" in more:
                raise StackError(f"envoy rejects the certificate; see {self.log}")
            if more:
                self._certificate, self._taken_up = self._certificate_now(), now
                return
            await self._wait()
        raise StackError(
            f"timed out: envoy did not load the certificate within {POLLS * POLL_S:g} s; see {self.log}"
        )

    def _certificate_now(self) -> bytes:
        if PAIR not in self._files or self.private is None:
            return b""
        return (self.private / CERTIFICATE).read_bytes()

    async def _certificate_counts(self) -> dict[str, int]:
        """How often it has taken up a certificate, or not."""
        text = await self._ask("/stats?filter=(ssl_context_update_by_sds|key_rotation_failed)$")
        return {name: int(count) for name, count in _CERTIFICATES.findall(text)}

    async def _wait(self) -> None:
        if self.child is not None and (error := self.child.ended()):
            raise error
        await asyncio.sleep(POLL_S)

    async def _reload_files(self) -> None:
        self.write(WHOLE, self._files[WHOLE])
        changed = [name for name in _COUNTERS if self._read(name) != self._files[name]] or list(_COUNTERS)
        before = await self._counts()
        for name in changed:
            self.write(name, self._files[name])
        for _ in range(POLLS):
            now = await self._counts()
            for name in changed:
                wrong = [key for key in now if key[0] == name and key[1] != "success"]
                if any(now[key] > before.get(key, 0) for key in wrong):
                    raise StackError(f"envoy rejects {self.directory / name}; see {self.log}")
            if all(now.get((name, "success"), 0) > before.get((name, "success"), 0) for name in changed):
                return
            await self._wait()
        raise StackError(
            f"timed out: envoy did not load {changed[0]} within {POLLS * POLL_S:g} s; see {self.log}"
        )

    def _read(self, name: str) -> str:
        return (self.directory / name).read_text(encoding="utf-8")

    async def _counts(self) -> dict[tuple[str, str], int]:
        """How often it has accepted, or not, which file."""
        text = await self._ask("/stats?filter=update_(success|rejected|failure)$")
        found = {(name, what): int(count) for name, what, count in _COUNTER.findall(text)}
        return {
            (file, what): count
            for file, counter in _COUNTERS.items()
            for (name, what), count in found.items()
            if name == counter
        }

    async def _ask(self, path: str) -> str:
        """What its admin listener answers; nothing where that is not there."""
        try:
            address = self._admin.read_text(encoding="utf-8").strip()
            async with (
                aiohttp.ClientSession(timeout=_ASK) as http,
                http.get(f"http://{address}{path}") as response,
            ):
                return await response.text()
        except (OSError, aiohttp.ClientError, TimeoutError, ValueError):
            return ""

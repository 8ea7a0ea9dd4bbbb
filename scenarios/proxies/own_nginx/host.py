"""nginx with the user's own configuration, as a proxy of a run."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec import Struct

from scenarios.host.hosts import ProxyHost
from scenarios.host.machine import MachineError, free_ports
from scenarios.host.process import StackError
from scenarios.proxies.access_log import AccessLine
from scenarios.proxies.base import complaint
from scenarios.proxies.certificates import CERTIFICATE, Authority
from scenarios.proxies.nginx import LocalNginx, executable
from scenarios.proxies.own_nginx.checks import DEFAULT_FORMAT, complaints, kept_format
from scenarios.proxies.own_nginx.configuration import COPIES, MAIN, Folders, OwnConfiguration, Rendered
from scenarios.proxies.own_nginx.log import LogFormat, read_log
from scenarios.proxies.own_nginx.placeholders import OwnNginxError, Values
from scenarios.scenario.model import Scenario

ABOUT = "configuration.json"
"""What is kept of the user's configuration, which may have secrets in it."""
_CONF = "conf"
# Without the time and the process: `2026/01/31 12:00:00 [emerg] 71#71: unknown directive "x" in …:4`.
_EMERGENCY = re.compile(r"\[emerg\] (?:\d+#\d+: )?(.+)")


class About(Struct, frozen=True, kw_only=True):
    """Which configuration a run had."""

    file: str
    """As the scenario names it."""
    sha256: str
    log_format: LogFormat | None
    """Of `access.log`; None where there is no log that tells what a limit refused."""


def own_configuration(scenario: Scenario) -> OwnConfiguration:
    """The configuration that a scenario names. Raises OwnNginxError."""
    name = scenario.edge.nginx_log_format or DEFAULT_FORMAT
    return OwnConfiguration(Path(scenario.folder) / scenario.edge.nginx_conf, log_format=name)


def files_of(scenario: Scenario, own: OwnConfiguration, host: ProxyHost, pods: list[str]) -> dict[str, str]:
    """The files of a run by name: `ABOUT`, and what nginx runs with. Raises OwnNginxError."""
    assert host.private is not None  # noqa: S101 - checked before the run: remote hosts have none
    certificate = str(host.private / CERTIFICATE) if scenario.edge.tls else ""
    values = Values(listen=host.listen, pods=pods, certificate=certificate)
    rendered = own.rendered(values, Folders(host.logs, host.private))
    for first in complaints(rendered, values, scenario, str(own.file)):
        raise OwnNginxError(first)
    about = About(
        file=scenario.edge.nginx_conf, sha256=own.sha256, log_format=_readable(rendered, own.log_format)
    )
    return {ABOUT: msgspec.json.format(msgspec.json.encode(about)).decode() + "\n", **rendered.files}


def _readable(rendered: Rendered, name: str) -> LogFormat | None:
    found = kept_format(rendered, name)
    return found if found and not found.complaint else None


def read_own_log(path: Path) -> list[AccessLine]:
    """All whole lines of a run's access log; none where it is in no format that can be read."""
    written_by = _format_in(path.parent)
    return [] if written_by is None else read_log(path, written_by)


def tells_refusals(path: Path) -> bool:
    """Whether a run's access log tells what a limit refused."""
    return _format_in(path.parent) is not None


def _format_in(folder: Path) -> LogFormat | None:
    try:
        return msgspec.json.decode((folder / ABOUT).read_bytes(), type=About).log_format
    except (OSError, msgspec.MsgspecError):
        return None


class LocalOwnNginx(LocalNginx):
    """nginx as a child of this process. file: the user's configuration."""

    def __init__(
        self, *, port: int, directory: Path, cores: tuple[int, ...], binary: Path | None, file: Path
    ) -> None:
        super().__init__(port=port, directory=directory, cores=cores, binary=binary)
        self._file = file

    def arguments(self) -> list[str]:
        """It stays a child of ours; what it writes goes into the run's folder."""
        globally = f'daemon off; pid "{self.directory}/nginx.pid"; error_log "{self.log}" warn;'
        return ["-p", str(self.directory), "-c", str(self._copies / MAIN), "-g", globally]

    async def configure(self, files: Mapping[str, str]) -> None:
        """Writes the configuration and lets nginx check it."""
        self.put(files)

    def put(self, files: Mapping[str, str]) -> None:
        """The same. Raises StackError with what nginx says, at the lines of the user's files."""
        self.write(ABOUT, files[ABOUT])
        for name, text in files.items():
            if name != ABOUT:
                copy = self._copies / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(text, encoding="utf-8")
        # Certificates, password files and others that a configuration names beside it.
        for beside in self._file.parent.absolute().iterdir():
            link = self._copies / beside.name
            if beside.name not in {MAIN, COPIES} and not link.is_symlink():
                link.symlink_to(beside)
        said = complaint([self.binary, "-t", "-q", *self.arguments()])
        if said:
            said = said.replace(f"{self._copies}/{COPIES}/", "/")
            said = said.replace(str(self._copies / MAIN), str(self._file))
            told = _EMERGENCY.findall(said) or [said]
            raise StackError(f"nginx rejects {self._file}: {'; '.join(told)}")

    @property
    def _copies(self) -> Path:
        assert self.private is not None  # noqa: S101 - it has been given one
        return self.private / _CONF


@cache
def _spare_port() -> int:
    return free_ports(1)[0]


def check(scenario: Scenario, binary: Path | None) -> None:
    """Tries a configuration as a run will use it, and starts nothing. Raises MachineError."""
    with TemporaryDirectory(prefix="reconnect-storm-") as scratch:
        kept, private = Path(scratch) / "kept", Path(scratch) / "private"
        kept.mkdir()
        private.mkdir()
        try:
            own = own_configuration(scenario)
            host = LocalOwnNginx(
                port=_spare_port(), directory=kept, cores=(), binary=binary or executable(), file=own.file
            )
            host.private = private
            if scenario.edge.tls:
                Authority(private, key=scenario.edge.tls.key, host="127.0.0.1").issue()
            host.put(files_of(scenario, own, host, ["127.0.0.1:9"]))
        except (OwnNginxError, StackError) as error:
            about_another_key = str(error).startswith("edge.")
            raise MachineError(str(error) if about_another_key else f"edge.nginx_conf: {error}") from None

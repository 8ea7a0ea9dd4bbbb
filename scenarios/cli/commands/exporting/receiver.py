"""Sends OTLP requests to a receiver: protobuf over HTTP.

Source: OpenTelemetry Protocol specification 1.5, “OTLP/HTTP”. Nothing that it raises has a header in it.
"""

import http.client
import ipaddress
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from scenarios.fields import invalid
from scenarios.scenario.redact_text import HIDDEN, shown_url

HEADERS_VARIABLE = "OTEL_EXPORTER_OTLP_HEADERS"
"""Environment variable of OpenTelemetry: `name=value` pairs with commas between, values URL-encoded."""
TIMEOUT_S = 10.0
ATTEMPTS = 4
_AGAIN_S = 1.0
"""Before the second attempt; twice as long before each further one, or what the receiver asks for."""
_LONGEST_S = 30.0
_AGAIN = {429, 502, 503, 504}
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PORTS = {"http": 80, "https": 443}
_EXPECTED = "http://host:port or https://host:port, without user name, query and fragment"


class ReceiverError(Exception):
    """The receiver has not taken everything; the message says what it answered."""


class AddressError(ValueError):
    """An address, or headers, that cannot be used; the message names the option or the variable."""


class Receiver:
    """A connection to a receiver; a context manager.

    url: without `/v1/metrics`. allow_remote: whether it may be outside this host's loopback.
    Raises AddressError.
    """

    def __init__(
        self,
        url: str,
        *,
        allow_remote: bool = False,
        headers: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise AddressError(invalid("--otlp", shown_url(url), _EXPECTED)) from None
        unwanted = parts.username is not None or parts.query or parts.fragment
        if parts.scheme not in _PORTS or not parts.hostname or unwanted or not url.isascii():
            raise AddressError(invalid("--otlp", shown_url(url), _EXPECTED))
        port = port or _PORTS[parts.scheme]
        elsewhere = _outside(parts.hostname, port)
        if elsewhere and not allow_remote:
            raise AddressError(
                f"--otlp: {parts.hostname} ({elsewhere}) is outside this host's loopback:"
                " expected --allow-remote"
            )
        self._path = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/x-protobuf", **(headers or {})}
        self._sleep = sleep
        # No proxy of the environment, and no redirect: what is sent goes to this address.
        self._connection = (
            http.client.HTTPSConnection(
                parts.hostname, port, timeout=TIMEOUT_S, context=ssl.create_default_context()
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, port, timeout=TIMEOUT_S)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def send(self, signal: str, body: bytes) -> bytes:
        """Sends one request, and again if the receiver is busy; returns its answer.

        signal: `metrics` or `logs`. Raises ReceiverError.
        """
        path = f"{self._path}/v1/{signal}"
        pause_s = _AGAIN_S
        for last in (*[False] * (ATTEMPTS - 1), True):
            status, answer, wanted_s = self._post(path, body)
            if status == 200:
                return answer
            if status not in _AGAIN or last:
                break
            self._sleep(min(_LONGEST_S, pause_s if wanted_s is None else wanted_s))
            pause_s *= 2
        raise ReceiverError(f"{path}: the receiver answered with status {status}: expected 200")

    def _post(self, path: str, body: bytes) -> tuple[int, bytes, float | None]:
        try:
            self._connection.request("POST", path, body, self._headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            told = str(error) or type(error).__name__
            raise ReceiverError(f"{path}: no answer from the receiver: {told}") from None
        return response.status, answer, _seconds(response.getheader("Retry-After", ""))


def headers_of_environment() -> dict[str, str]:
    """The headers that the environment asks for. Raises AddressError, without their values."""
    found = {}
    for pair in filter(None, map(str.strip, os.environ.get(HEADERS_VARIABLE, "").split(","))):
        name, equals, value = pair.partition("=")
        name, value = name.strip(), unquote(value.strip())
        if not equals or not _NAME.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise AddressError(f"{HEADERS_VARIABLE}: invalid value {HIDDEN}: expected name=value,name=value")
        found[name] = value
    return found


def _outside(host: str, port: int) -> str:
    """An address of the host that is not on this machine's loopback; empty if there is none."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"--otlp: host {host} cannot be resolved: {error}") from None
    addresses = (str(name).partition("%")[0] for _, _, _, _, (name, *_) in answers)
    return next((name for name in addresses if not ipaddress.ip_address(name).is_loopback), "")


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None

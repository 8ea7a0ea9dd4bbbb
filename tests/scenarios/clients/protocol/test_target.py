"""A target's URL becomes an address, a request and a TLS context, or an error that says what is allowed."""

import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from scenarios.clients.protocol.target import Endpoint, TargetError, addresses_for, resolve, source_of
from scenarios.scenario.fleet.groups import Group
from scenarios.scenario.model import Fleet, Target
from scenarios.scenario.redact_text import shown_url

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBcDCCARWgAwIBAgIUXCoCfkeW6trdgmZnEz1H3ee9rVEwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBdDAgFw0yNjExMjIyMzM1NDZaGA8yMTI2MTAyOTIzMzU0Nlow
DDEKMAgGA1UEAwwBdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOXnxRkBjlf2
6RATkQ5VbUwkiEJWHIVXUQFKwgYrENpc1Q305DC8ccDenMQFWUMqGoNDNTnue2OX
Vzef+Xc5yrujUzBRMB0GA1UdDgQWBBTPBnuMOVU7SBx9SsbPFCxZPie4MjAfBgNV
HSMEGDAWgBTPBnuMOVU7SBx9SsbPFCxZPie4MjAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0kAMEYCIQDams8W0By/QxsS0JJqjRMoEE7vK8UFlWJr/O3kGwkq
2QIhAIyHMS6l5UNNFVlU69czSURp0sibHDHaD2drVFfaWTxL
-----END CERTIFICATE-----
"""
LOOPBACK = "http://127.0.0.1:3000"


def endpoint(url: str = LOOPBACK, **keys: Any) -> Endpoint:
    return resolve(Target(url=url, **keys), allow_remote=True)


@pytest.mark.parametrize(
    ("url", "address", "host", "path"),
    [
        pytest.param(LOOPBACK, ("127.0.0.1", 3000), "127.0.0.1:3000", "/socket.io/?EIO=4", id="no path"),
        pytest.param(
            f"{LOOPBACK}/", ("127.0.0.1", 3000), "127.0.0.1:3000", "/socket.io/?EIO=4", id="a slash"
        ),
        pytest.param(
            "http://127.0.0.1", ("127.0.0.1", 80), "127.0.0.1", "/socket.io/?EIO=4", id="HTTP's own port"
        ),
        pytest.param("wss://127.0.0.1/x", ("127.0.0.1", 443), "127.0.0.1", "/x?EIO=4", id="HTTPS's own port"),
        pytest.param("WS://[::1]:3000/a", ("::1", 3000), "[::1]:3000", "/a?EIO=4", id="IPv6"),
        pytest.param(
            f"{LOOPBACK}/feed/ws/?token=a%20b&x=1",
            ("127.0.0.1", 3000),
            "127.0.0.1:3000",
            "/feed/ws/?token=a%20b&x=1&EIO=4",
            id="a path and a query",
        ),
        pytest.param(
            f"{LOOPBACK}?x=1",
            ("127.0.0.1", 3000),
            "127.0.0.1:3000",
            "/socket.io/?x=1&EIO=4",
            id="a query alone",
        ),
    ],
)
def test_a_url_tells_where_to_connect_and_what_to_ask_for(
    url: str, address: tuple[str, int], host: str, path: str
) -> None:
    found = endpoint(url)
    assert found.address == address
    assert found.family == (socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    assert (found.upgrade.host, found.upgrade.path) == (host, path)
    assert f"GET {path}&transport=websocket HTTP/1.1\r\nHost: {host}\r\n".encode() in found.upgrade.request
    assert (found.tls is not None) == url.startswith("wss")


def test_headers_and_cookies_are_sent_along_and_what_is_the_namespaces_is_not() -> None:
    keys: dict[str, Any] = {"headers": {"X-Team": "a b"}, "cookies": {"sid": "1", "lb": "pod=2"}}
    found = endpoint(namespace="/feed", auth={"token": "secret"}, **keys)
    assert found.upgrade.headers == {"X-Team": "a b", "Cookie": "sid=1; lb=pod=2"}
    assert b"\r\nX-Team: a b\r\nCookie: sid=1; lb=pod=2\r\n" in found.upgrade.request
    assert found.upgrade.request == endpoint(**keys).upgrade.request


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("", "expected http://host:port", id="nothing"),
        pytest.param("127.0.0.1:3000", "expected http://host:port", id="no scheme"),
        pytest.param("ftp://127.0.0.1", "expected http://host:port", id="another scheme"),
        pytest.param("http:///socket.io/", "expected http://host:port", id="no host"),
        pytest.param("http://127.0.0.1:0", "expected http://host:port", id="port zero"),
        pytest.param("http://127.0.0.1:65536", "expected http://host:port", id="no such port"),
        pytest.param("http://127.0.0.1:http", "expected http://host:port", id="a port by name"),
        pytest.param("http://[::1", "expected http://host:port", id="half a pair of brackets"),
        pytest.param("http://127.0.0.1/a b", "expected ", id="a space in the path"),
        pytest.param("http://me@127.0.0.1", "expected a URL without user name", id="a user"),
        pytest.param("http://:pw@127.0.0.1", "expected a URL without user name", id="a password"),
        pytest.param(
            "http://127.0.0.1/#top", "expected a URL without user name and fragment", id="a fragment"
        ),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_what_is_allowed(url: str, message: str) -> None:
    with pytest.raises(TargetError) as refused:
        endpoint(url)
    assert f"target.url: invalid value {shown_url(url)!r}" in str(refused.value)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "error",
    [socket.gaierror(-2, "Name or service not known"), UnicodeError("label empty or too long")],
    ids=["nobody knows", "no host can have"],
)
def test_a_name_that_cannot_be_resolved_is_refused_with_the_reason(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(TargetError, match=rf"target\.url.*a\.\.b.*{error.args[-1]}"):
        endpoint("http://a..b:3000")


def test_of_several_addresses_the_first_of_the_older_family_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    new = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 80, 0, 0))
    old = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", 80)) for last in (1, 2)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [new, *old])
    assert endpoint("http://localhost").address == ("127.0.0.1", 80)


@pytest.mark.parametrize("url", ["http://192.0.2.1", "https://[2001:db8::1]:3000"], ids=["IPv4", "IPv6"])
def test_a_target_elsewhere_has_to_be_allowed(url: str) -> None:
    with pytest.raises(TargetError, match=r"target\.url: .*loopback: expected --allow-remote"):
        resolve(Target(url=url))
    assert not resolve(Target(url=url), allow_remote=True).loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.200.3.4", "[::1]"])
def test_a_target_on_loopback_needs_no_leave(host: str) -> None:
    assert resolve(Target(url=f"http://{host}:3000")).loopback


def context(**keys: Any) -> ssl.SSLContext:
    made = endpoint("https://127.0.0.1", **keys).tls
    assert made is not None
    return made


def test_certificates_are_checked_unless_the_target_says_otherwise() -> None:
    strict, loose = context(), context(insecure=True)
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (loose.verify_mode, loose.check_hostname) == (ssl.CERT_NONE, False)


def test_the_certificates_of_a_file_are_trusted_in_place_of_the_systems(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(CERTIFICATE)
    trusted = context(ca_file=str(file))
    assert [one["subject"] for one in trusted.get_ca_certs()] == [((("commonName", "t"),),)]
    assert trusted.verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["no file", "no certificate in it"])
def test_a_file_without_certificates_is_refused(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(TargetError, match=r"target\.ca_file.*ca\.pem"):
        context(ca_file=str(file))


@pytest.mark.parametrize(
    ("server_name", "expected"),
    [("", "127.0.0.1"), ("gateway.test", "gateway.test")],
    ids=["left out", "given"],
)
def test_the_name_to_ask_for_is_the_urls_unless_given(server_name: str, expected: str) -> None:
    found = endpoint("https://127.0.0.1:8443", server_name=server_name)
    assert found.server_name == expected
    assert found.upgrade.host == "127.0.0.1:8443"


SOURCES = [
    pytest.param("auto", LOOPBACK, "linux", "bind", id="auto on loopback"),
    pytest.param("auto", "http://[::1]", "linux", "same", id="auto on IPv6"),
    pytest.param("auto", "http://192.0.2.1", "linux", "same", id="auto elsewhere"),
    pytest.param("auto", LOOPBACK, "darwin", "same", id="auto on another system"),
    pytest.param("bind", LOOPBACK, "linux", "bind", id="bind on loopback"),
    pytest.param("bind", "http://[::1]", "linux", None, id="bind on IPv6"),
    pytest.param("bind", "http://192.0.2.1", "linux", None, id="bind elsewhere"),
    pytest.param("bind", LOOPBACK, "darwin", None, id="bind on another system"),
    pytest.param("same", LOOPBACK, "linux", "same", id="same"),
    pytest.param("proxy-protocol", "http://192.0.2.1", "linux", "proxy-protocol", id="proxy-protocol"),
    pytest.param("proxy-protocol", "http://[::1]", "linux", None, id="proxy-protocol on IPv6"),
    pytest.param("x-forwarded-for", "http://[::1]", "darwin", "x-forwarded-for", id="x-forwarded-for"),
]


@pytest.mark.parametrize(("source", "url", "system", "expected"), SOURCES)
def test_source_addresses_are_bound_where_that_works(
    source: Any, url: str, system: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = endpoint(url)
    monkeypatch.setattr(sys, "platform", system)
    if expected is None:
        with pytest.raises(TargetError, match=rf"fleet\.source: invalid value '{source}': expected .*target"):
            source_of(Fleet(source=source), found)
    else:
        assert source_of(Fleet(source=source), found) == expected


SECRET = "open-sesame"


@pytest.mark.parametrize(
    ("url", "keys"),
    [
        pytest.param(f"http://me:{SECRET}@127.0.0.1/", {}, id="a password"),
        pytest.param(f"http://{SECRET}@127.0.0.1/", {}, id="a token for a user name"),
        pytest.param(f"http://me:a/{SECRET}@127.0.0.1/", {}, id="a slash in a password"),
        pytest.param(f"http://me:{SECRET}?@127.0.0.1/", {}, id="a question mark in a password"),
        pytest.param(f"http://127.0.0.1/?token={SECRET}#top", {}, id="a query"),
        pytest.param(f"http://127.0.0.1/#{SECRET}", {}, id="a fragment"),
        pytest.param(f"127.0.0.1:3000/?token={SECRET}", {}, id="no scheme"),
        pytest.param(f"http://127.0.0.1/a b?token={SECRET}", {}, id="a space"),
        pytest.param(f"http://192.0.2.1/?token={SECRET}", {}, id="elsewhere"),
        pytest.param(LOOPBACK, {"headers": {"Authorization": f"{SECRET}\x00"}}, id="a header's value"),
        pytest.param(LOOPBACK, {"headers": {f"Authorization: {SECRET}": ""}}, id="a header's name"),
        pytest.param(LOOPBACK, {"headers": {"X": f"{SECRET}é→"}}, id="a header outside Latin-1"),
        pytest.param(LOOPBACK, {"cookies": {"sid": f"{SECRET}\x00"}}, id="a cookie"),
    ],
)
def test_an_error_tells_nobody_how_to_get_in(url: str, keys: dict[str, Any]) -> None:
    with pytest.raises(TargetError) as refused:
        resolve(Target(url=url, **keys))
    assert SECRET not in str(refused.value)
    assert "target." in str(refused.value)


MIXED = ["10.0.0.2", "2001:db8::1", "10.0.0.1", "10.0.0.1", "2001:db8::2"]


def answers(*hosts: str) -> list[Any]:
    return [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (host, 443, 0, 0))
        if ":" in host
        else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 443))
        for host in hosts
    ]


@pytest.mark.parametrize("turned", range(5))
def test_a_host_is_all_the_addresses_of_its_name_in_whatever_order_they_come(
    turned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = answers(*MIXED[turned:], *MIXED[:turned])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    gateway = resolve(Target(url="https://gateway"), allow_remote=True)
    assert [each.address for each in gateway.addresses] == [
        ("10.0.0.1", 443),
        ("10.0.0.2", 443),
        ("2001:db8::1", 443),
        ("2001:db8::2", 443),
    ]
    assert [each.family for each in gateway.addresses] == [socket.AF_INET] * 2 + [socket.AF_INET6] * 2
    assert len(addresses_for(gateway, "same")) == 4
    assert len(addresses_for(gateway, "proxy-protocol")) == 2


def test_a_host_of_which_one_address_is_elsewhere_has_to_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers("127.0.0.1", "192.0.2.7"))
    with pytest.raises(TargetError, match=r"target\.url: gateway \(192\.0\.2\.7\) is outside"):
        resolve(Target(url="http://gateway"))
    assert not resolve(Target(url="http://gateway"), allow_remote=True).loopback


@pytest.mark.parametrize(
    ("url", "group", "path"),
    [
        pytest.param(LOOPBACK, {}, "/socket.io/?EIO=4", id="like all others"),
        pytest.param(LOOPBACK, {"protocol": 3}, "/socket.io/?EIO=3", id="an old protocol"),
        pytest.param(f"{LOOPBACK}/v4/?x=1", {"path": "/v3/"}, "/v3/?x=1&EIO=4", id="another path"),
        pytest.param(
            LOOPBACK, {"query": {"v": "1 2", "w": "&"}}, "/socket.io/?v=1+2&w=%26&EIO=4", id="a query"
        ),
        pytest.param(
            f"{LOOPBACK}?x=1", {"query": {"v": "1"}}, "/socket.io/?x=1&v=1&EIO=4", id="both queries"
        ),
    ],
)
def test_a_group_asks_the_same_gateway_in_its_own_way(url: str, group: dict[str, Any], path: str) -> None:
    whole = endpoint(url, headers={"X-Team": "a"})
    own = whole.for_group(Group(name="old", **group))
    assert own.addresses == whole.addresses
    assert own.upgrade.path == path
    assert own.upgrade.request.startswith(
        f"GET {path}&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n".encode()
    )
    assert b"X-Team: a" in own.upgrade.request

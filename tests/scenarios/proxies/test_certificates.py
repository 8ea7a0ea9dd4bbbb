"""Certificates of a run: trusted through its authority, each new, with a key that nobody else may read."""

import ssl
import stat
from pathlib import Path

import pytest

from scenarios.proxies.certificates import Authority, KeyType


def handshake(authority: Authority, certificate: Path, host: str) -> str:
    """A handshake between two ends in memory; returns its cipher. Raises ssl.SSLError."""
    server, client = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.create_default_context(cafile=authority.file),
    )
    server.load_cert_chain(certificate)
    # TLS 1.2 names the kind of key in its cipher.
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    cipher = ends[0].cipher()
    assert cipher is not None
    return cipher[0]


CIPHERS: dict[KeyType, str] = {"ecdsa-p256": "ECDSA", "rsa-2048": "ECDHE-RSA"}


@pytest.mark.parametrize("key", CIPHERS)
@pytest.mark.parametrize("host", ["127.0.0.1", "chat.example.com"])
def test_whoever_trusts_the_authority_trusts_every_certificate(
    tmp_path: Path, key: KeyType, host: str
) -> None:
    authority = Authority(tmp_path, key=key, host=host)
    first = authority.issue().read_bytes()
    assert CIPHERS[key] in handshake(authority, authority.issue(), host)
    assert authority.issue().read_bytes() != first


def test_a_certificate_is_for_one_host(tmp_path: Path) -> None:
    authority = Authority(tmp_path, key="ecdsa-p256", host="127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority, authority.issue(), "127.0.0.2")


def test_the_authority_of_another_run_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", key="ecdsa-p256", host="127.0.0.1")
    authority = Authority(tmp_path, key="ecdsa-p256", host="127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(other, authority.issue(), "127.0.0.1")


def test_nobody_else_may_read_the_key_and_the_authoritys_is_in_no_file(tmp_path: Path) -> None:
    certificate = Authority(tmp_path, key="ecdsa-p256", host="127.0.0.1").issue()
    assert stat.S_IMODE(certificate.stat().st_mode) == 0o600
    with_keys = [path.name for path in tmp_path.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert with_keys == [certificate.name]

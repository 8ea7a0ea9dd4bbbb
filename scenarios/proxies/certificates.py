"""Certificates of a run: one authority, whose key is in memory alone, and what it issues for the proxy."""

import ipaddress
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY = "authority.pem"
CERTIFICATE = "certificate.pem"
"""The certificate, and its key behind it: the form that every proxy here reads."""

_VALID = timedelta(days=7)
_SKEW = timedelta(hours=1)

KeyType = Literal["ecdsa-p256", "rsa-2048"]
_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority:
    """Issues the proxy's certificates of one run; clients trust it, and so every one of them.

    folder: private to the run, and gone with it. host: what clients ask for, a name or an address.
    """

    def __init__(self, folder: Path, *, key: KeyType, host: str) -> None:
        self.file = folder / AUTHORITY
        self._certificate_file = folder / CERTIFICATE
        self._kind = key
        self._host = host
        self._key = _new_key(key)
        self._name = _name("reconnect-storm authority")
        usage = _usage(signs_certificates=True)
        self._certificate = _sign(
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True),
            self._key,
        )
        self.file.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(self) -> Path:
        """Puts a new certificate with a new key into the place of the one before; returns the file."""
        key = _new_key(self._kind)
        certificate = _sign(
            _builder(_name("reconnect-storm proxy"), self._name, key)
            .add_extension(x509.SubjectAlternativeName([_alternative(self._host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False),
            self._key,
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        draft = self._certificate_file.with_suffix(".part")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(certificate.public_bytes(Encoding.PEM) + private)
        return draft.replace(self._certificate_file)


def _new_key(kind: KeyType) -> _Key:
    if kind == "rsa-2048":
        return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return ec.generate_private_key(ec.SECP256R1())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: _Key) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(secrets.randbits(159))
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALID)
    )


def _sign(builder: x509.CertificateBuilder, key: _Key) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256())

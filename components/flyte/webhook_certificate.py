"""The certificate of the secrets webhook."""

import datetime
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# No well-defined expiration date: https://datatracker.ietf.org/doc/html/rfc5280#section-4.1.2.5
_VALID = (datetime.datetime(2026, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59))


def webhook_certificate(seed: str, host: str) -> tuple[str, str]:
    """A self-signed certificate for ``host``, and its key, in PEM; always the same for one ``seed``.

    Ed25519 (https://datatracker.ietf.org/doc/html/rfc8032): any 32 bytes are a key, and a signature has no randomness.
    """
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "flyte-home")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_VALID[0])
        .not_valid_after(_VALID[1])
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, None)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), private.decode()

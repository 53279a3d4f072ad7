"""Certificates that a server of the stack shows to clients that have them as the only authority."""

import datetime
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# No well-defined expiration date: https://datatracker.ietf.org/doc/html/rfc5280#section-4.1.2.5
_VALID = (datetime.datetime(2026, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59))


def self_signed(signer: Ed25519PrivateKey | EllipticCurvePrivateKey, hosts: Sequence[str]) -> tuple[str, str]:
    """A certificate for ``hosts`` and its key, in PEM.

    It is always the same for the same arguments, because neither kind of signature has any randomness here.
    """
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "flyte-home")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signer.public_key())
        .serial_number(1)
        .not_valid_before(_VALID[0])
        .not_valid_after(_VALID[1])
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    if isinstance(signer, Ed25519PrivateKey):  # https://datatracker.ietf.org/doc/html/rfc8032
        certificate = builder.sign(signer, None)
    else:  # https://datatracker.ietf.org/doc/html/rfc6979
        certificate = builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=True)
    private = signer.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), private.decode()

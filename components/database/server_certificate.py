"""The certificate with which a PostgreSQL server of the operator proves its identity to Flyte."""

import hashlib
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec

from components.pods import self_signed

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of the curve P-256


def server_certificate(seed: str, hosts: Sequence[str]) -> tuple[str, str]:
    """A self-signed certificate for ``hosts``, and its key, in PEM; always the same for one ``seed``.

    ECDSA, because clients bind a password to the digest in the signature of the certificate, and Ed25519 has none
    (https://www.postgresql.org/docs/17/sasl-authentication.html).
    """
    number = int.from_bytes(hashlib.sha512(seed.encode()).digest()) % (_ORDER - 1) + 1
    return self_signed(ec.derive_private_key(number, ec.SECP256R1()), hosts)

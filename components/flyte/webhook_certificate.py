"""The certificate of the secrets webhook."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from components.pods import self_signed


def webhook_certificate(seed: str, host: str) -> tuple[str, str]:
    """A self-signed certificate for ``host``, and its key, in PEM; always the same for one ``seed``.

    Ed25519 (https://datatracker.ietf.org/doc/html/rfc8032): any 32 bytes are a key.
    """
    return self_signed(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest()), [host])

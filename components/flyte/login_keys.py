"""Flyte's keys for tokens and cookies, derived from one generated password."""

import base64
import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# Names of the keys and their lengths in bytes (https://github.com/flyteorg/flyte/blob/v1.16.8/flyteadmin/auth/init_secrets.go).
_SYMMETRIC = {"claim_symmetric_key": 32, "cookie_hash_key": 64, "cookie_block_key": 32}


def login_keys(seed: str) -> dict[str, str]:
    """Flyte's keys for tokens and cookies, by file name; always the same for one ``seed``."""
    keys = {
        name: base64.b64encode(_derived(seed, name, length)).decode().rstrip("=") for name, length in _SYMMETRIC.items()
    }
    # Imported here, because only a stack with a login needs it, and the import takes long.
    from Crypto.PublicKey import RSA

    # A stream that cannot be guessed without the seed replaces the system's randomness.
    stream = Cipher(AES256(_derived(seed, "token_rsa_key", 32)), CTR(bytes(16))).encryptor()
    key = RSA.generate(2048, randfunc=lambda count: stream.update(bytes(count)))
    return {**keys, "token_rsa_key.pem": key.export_key("PEM", pkcs=1).decode() + "\n"}


def _derived(seed: str, purpose: str, length: int) -> bytes:
    # The seed already has enough entropy: https://datatracker.ietf.org/doc/html/rfc5869#section-3.1
    return HKDF(SHA256(), length, hashlib.sha256(b"flyte-home").digest(), purpose.encode()).derive(seed.encode())

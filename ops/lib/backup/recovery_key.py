"""The recovery key: with it, a machine that knows nothing else opens the sets of a stack.

Its private half decrypts Pulumi's state, and the password that follows from it opens the repository. Only its owner has
it; the stack file has the public half. It also carries what opens the target, so that nothing else has to be kept.
"""

import base64
import json
import zlib
from dataclasses import asdict, dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from settings import Settings
from settings.errors import SettingsError

_PREFIX = "flyte-home-recovery-1-"
_INFO = b"flyte-home state 1"
# https://www.rfc-editor.org/rfc/rfc9180
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


@dataclass(frozen=True, repr=False)
class RecoveryKey:
    """A recovery key and the way to its target."""

    private: str
    """Private key, in hexadecimal digits."""
    stack: str
    target: str
    access_key_id: str
    region: str
    certificate_authority: str
    known_hosts: list[str]
    credentials: str

    @classmethod
    def new(cls, stack: str, settings: Settings, credentials: str) -> "RecoveryKey":
        """Return a new key for the target of a stack."""
        backup = settings.backup
        return cls(
            X25519PrivateKey.generate().private_bytes_raw().hex(),
            stack,
            backup.target,
            backup.access_key_id,
            backup.region,
            backup.certificate_authority,
            backup.known_hosts,
            credentials,
        )

    @classmethod
    def read(cls, text: str) -> "RecoveryKey":
        """Return the key in ``text``, in which line breaks and spaces do not matter.

        Raises:
            SettingsError: it is not a recovery key; the message does not quote it.
        """
        packed = "".join(text.split())
        try:
            if not packed.startswith(_PREFIX):
                raise ValueError
            content = packed.removeprefix(_PREFIX)
            decoded = base64.urlsafe_b64decode(content + "=" * (-len(content) % 4))
            key = cls(**json.loads(zlib.decompress(decoded)))
            X25519PrivateKey.from_private_bytes(bytes.fromhex(key.private))
        except (ValueError, TypeError, zlib.error):
            raise SettingsError(
                f"the recovery key is not complete; it begins with {_PREFIX} and ends where make backup-key ended it"
            ) from None
        return key

    @property
    def text(self) -> str:
        """The key as its owner keeps it."""
        packed = zlib.compress(json.dumps(asdict(self), separators=(",", ":")).encode(), 9)
        return _PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @property
    def public(self) -> str:
        """Public half, in hexadecimal digits."""
        return self._key.public_key().public_bytes_raw().hex()

    @property
    def password(self) -> str:
        """Password of the repository that follows from the private half."""
        derived = HKDF(hashes.SHA256(), 32, None, b"flyte-home restic 1").derive(bytes.fromhex(self.private))
        return base64.urlsafe_b64encode(derived).decode().rstrip("=")

    @property
    def _key(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(bytes.fromhex(self.private))

    def opened(self, sealed: bytes) -> bytes:
        """Return the content that was encrypted with the public half.

        Raises:
            SettingsError: it was encrypted with another one, or is damaged.
        """
        try:
            return _SUITE.decrypt(sealed, self._key, _INFO)
        except (InvalidTag, ValueError):
            raise SettingsError(
                "the state in this set was encrypted with another recovery key, or it is damaged; use the key that was "
                "current then, or another set"
            ) from None


def sealed(content: bytes, public: str) -> bytes:
    """Return ``content`` encrypted with the public half of a recovery key."""
    return bytes(_SUITE.encrypt(content, X25519PublicKey.from_public_bytes(bytes.fromhex(public)), _INFO))

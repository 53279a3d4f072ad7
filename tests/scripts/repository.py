"""An empty repository of restic whose password takes no time to check, and files in it that restic has not written.

Restic chooses the cost of checking a password so that it takes half a second, and a backup opens the repository ten
times (https://restic.readthedocs.io/en/stable/100_references.html#keys-encryption-and-mac).
"""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305


def create_repository(folder: Path, password: str) -> None:
    """Write the files that `restic init` would write."""
    for name in ("data", "index", "keys", "locks", "snapshots"):
        (folder / name).mkdir(parents=True)
    encrypt, mac = os.urandom(32), os.urandom(32)
    master = {"mac": {"k": _text(mac[:16]), "r": _text(mac[16:])}, "encrypt": _text(encrypt)}
    salt = os.urandom(64)
    user = hashlib.scrypt(password.encode(), salt=salt, n=2, r=1, p=1, dklen=64)
    key = {
        "created": "2026-01-01T00:00:00Z",
        "username": "test",
        "hostname": "test",
        "kdf": "scrypt",
        "N": 2,
        "r": 1,
        "p": 1,
        "salt": _text(salt),
        "data": _text(_sealed(json.dumps(master), user[:32], user[32:])),
    }
    content = json.dumps(key).encode()
    (folder / "keys" / hashlib.sha256(content).hexdigest()).write_bytes(content)
    config = {"version": 2, "id": os.urandom(32).hex(), "chunker_polynomial": "3DA3358B4DC173"}
    (folder / "config").write_bytes(_sealed(json.dumps(config), encrypt, mac))


def add_file(folder: Path, password: str, kind: str, content: dict[str, Any]) -> str:
    """Write a lock or a snapshot as restic does, for a host or a time that is not this one. Returns its id.

    Args:
        folder: a repository that `create_repository` has made.
        password: its password.
        kind: folder of the file: ``locks`` or ``snapshots``.
        content: see https://restic.readthedocs.io/en/stable/100_references.html#repository-format
    """
    (file,) = (file for file in (folder / "keys").iterdir() if json.loads(file.read_text())["username"] == "test")
    key = json.loads(file.read_text())
    salt = base64.b64decode(key["salt"])
    user = hashlib.scrypt(password.encode(), salt=salt, n=key["N"], r=key["r"], p=key["p"], dklen=64)
    sealed = base64.b64decode(key["data"])
    # Between the nonce and the tag.
    opened = Cipher(algorithms.AES(user[:32]), modes.CTR(sealed[:16])).decryptor().update(sealed[16:-16])
    master = json.loads(opened)
    mac = base64.b64decode(master["mac"]["k"]) + base64.b64decode(master["mac"]["r"])
    written = _sealed(json.dumps(content), base64.b64decode(master["encrypt"]), mac)
    name = hashlib.sha256(written).hexdigest()
    (folder / kind / name).write_bytes(written)
    return name


def _sealed(text: str, encrypt: bytes, mac: bytes) -> bytes:
    nonce = os.urandom(16)
    sealed = Cipher(algorithms.AES(encrypt), modes.CTR(nonce)).encryptor().update(text.encode())
    # Poly1305-AES: the second half of the one-time key is the encrypted nonce.
    one_time = Cipher(algorithms.AES(mac[:16]), modes.ECB()).encryptor().update(nonce)  # noqa: S305 (one block)
    return nonce + sealed + Poly1305.generate_tag(mac[16:] + one_time, sealed)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()

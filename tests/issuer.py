"""A stand-in for GitHub as an issuer of tokens: an API server reads its key here, and a job gets its token."""

import base64
import http.server
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.processes import serving

JOB = "token-of-the-job"


@dataclass(frozen=True)
class Issuer:
    """An issuer on loopback, and the certificate of its authority."""

    address: str
    authority: str
    key: rsa.RSAPrivateKey

    def token(self, **claims: Any) -> str:
        """A token signed by this issuer."""
        content = {"iss": self.address, "iat": int(time.time()), "exp": int(time.time()) + 300, **claims}
        signed = f"{_encoded({'alg': 'RS256', 'kid': 'one', 'typ': 'JWT'})}.{_encoded(content)}"
        return f"{signed}.{_base64(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@contextmanager
def issuer() -> Iterator[Issuer]:
    """An issuer for an API server to use; over HTTPS, because the server requires it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = key.public_key().public_numbers()
    public = {
        "kty": "RSA",
        "alg": "RS256",
        "use": "sig",
        "kid": "one",
        "n": _number(numbers.n),
        "e": _number(numbers.e),
    }
    authority = trustme.CA()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers: dict[str, Any] = {
                "/.well-known/openid-configuration": {"issuer": address, "jwks_uri": f"{address}/keys"},
                "/keys": {"keys": [public]},
            }
            self.send_response(200 if self.path in answers else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answers.get(self.path)).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Handler, authority) as address:
        yield Issuer(address, authority.cert_pem.bytes().decode(), key)


def _number(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8))


def _encoded(value: Any) -> str:
    return _base64(json.dumps(value).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")

"""The token with which Prometheus reads the metrics of the object store."""

import base64
import hashlib
import hmac
import json

# The end of the year 9999: another generation of the key ends the token, a date does not.
_EXPIRES = 253402300799


def metrics_token(user: str, key: str) -> str:
    """A bearer token of ``user``, signed with its secret ``key``; always the same for both.

    A JSON Web Token as MinIO reads it
    (https://min.io/docs/minio/linux/operations/monitoring/collect-minio-metrics-using-prometheus.html). What it allows
    is in the policy of the user.
    """
    parts = [{"alg": "HS512", "typ": "JWT"}, {"exp": _EXPIRES, "iss": "prometheus", "sub": user}]
    signed = ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{signed}.{_encoded(hmac.digest(key.encode(), signed.encode(), hashlib.sha512))}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

"""Why an image cannot be pulled, from the message of the kubelet."""

from typing import Literal

PullProblem = Literal["", "login", "certificate"]

_LOGIN = ("401", "403", "unauthorized", "forbidden", "authorization", "authentication required", "access denied")
_CERTIFICATE = ("x509", "server gave http response to https client")


def pull_problem(message: str) -> PullProblem:
    """Whether a registry requires another ``login``, or the node does not trust its ``certificate``; else empty.

    Registries also answer that a login is missing if they do not have the image.
    """
    lowered = message.lower()
    if any(words in lowered for words in _CERTIFICATE):
        return "certificate"
    return "login" if any(words in lowered for words in _LOGIN) else ""

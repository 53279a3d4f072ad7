"""How this machine speaks to a stack: its addresses, and every request to them."""

import http.client
import os
import socket
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import grpc  # type: ignore[import-untyped]

from components.access import client_config, split_address
from settings import Settings

# It writes to the terminal what its errors say, too.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# The object store has no regions, but a signature names one; Flyte uses the same (charts/flyte-binary/values.yaml).
_REGION = "us-east-1"


class NoAnswerError(Exception):
    """Nobody answers at an address; the message says why, in words that fit behind the address."""


@dataclass(frozen=True)
class Answer:
    """What a server has answered, whatever its status."""

    status: int
    # Repeating it is for bodies that hold no secret.
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Client:
    """The addresses of a stack, and what it takes to speak to them."""

    # Console and REST API, such as http://127.0.0.1:8088.
    http: str
    # Such as dns:///127.0.0.1:8089.
    grpc: str
    # Where uploads are signed for.
    object_store: str
    # Whether gRPC goes without TLS.
    insecure: bool
    # Of the authority behind the servers' certificates, in PEM; empty: the authorities that this machine trusts.
    ca_certificate: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The client of the stack that has these settings."""
        endpoints = settings.client_endpoints
        return cls(endpoints.http, endpoints.grpc, endpoints.object_store, endpoints.insecure)

    @property
    def console(self) -> str:
        """Where a person looks."""
        return f"{self.http}/console"

    @property
    def flyte_config(self) -> str:
        """Flyte's client configuration, as YAML."""
        return client_config(self.http, self.grpc, self.insecure)

    def request(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 10,
    ) -> Answer:
        """What the server at ``url`` answers. A redirection is an answer too, and is not followed.

        No proxy is asked: these are servers at home.

        Raises:
            NoAnswerError: it does not answer within ``seconds``.
        """
        request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310 (settings.py)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls()), _NoRedirection()
        )
        try:
            with opener.open(request, timeout=seconds) as answer:
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(_why(error, seconds)) from None

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A gRPC channel to Flyte."""
        options = [("grpc.enable_http_proxy", 0)]
        if self.insecure:
            channel = grpc.insecure_channel(self.grpc, options)
        else:
            roots = self.ca_certificate.encode() or None
            channel = grpc.secure_channel(self.grpc, grpc.ssl_channel_credentials(roots), options)
        with channel:
            yield channel

    def flyte_answers(self, seconds: float = 5) -> None:
        """Ask Flyte's gRPC API for its version, which takes no more than that it is there.

        Raises:
            grpc.RpcError: it answers otherwise, or not at all.
        """
        with self.channel() as channel:
            # Raw bytes: the request has no fields, and of the answer it is enough that there is one.
            ask = channel.unary_unary("/flyteidl.service.AdminService/GetVersion", _raw, _raw)
            ask(b"", timeout=seconds)

    @contextmanager
    def store(self, access_key: str, secret_key: str) -> Iterator[Any]:
        """The object store, opened with a key: a client of boto3."""
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]

        config = Config(
            connect_timeout=5,
            read_timeout=10,
            retries={"total_max_attempts": 1},
            proxies={},
            s3={"addressing_style": "path"},
        )
        with ExitStack() as opened:
            authority: str | None = None
            if self.ca_certificate:
                file = opened.enter_context(tempfile.NamedTemporaryFile("w", suffix=".pem"))
                file.write(self.ca_certificate)
                file.flush()
                authority = file.name
            client = boto3.client(
                "s3",
                endpoint_url=self.object_store,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                region_name=_REGION,
                config=config,
                verify=authority,
            )
            opened.callback(client.close)
            yield client

    def reach(self, address: str, seconds: float = 5) -> None:
        """See that something listens at an address of this client.

        Raises:
            NoAnswerError: nothing does.
        """
        parts = split_address(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), seconds).close()
        except OSError as error:
            raise NoAnswerError(_why(error, seconds)) from None

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.ca_certificate or None)


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


def _raw(message: bytes) -> bytes:
    return message


def _why(error: Exception, seconds: float) -> str:
    """What is wrong, without the URL: that of a signed upload opens the store."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            return f"TLS: its certificate is not accepted ({cause.verify_message})"
        case ssl.SSLError():
            return f"TLS: {cause.reason or 'it does not speak TLS'}"
        case socket.gaierror():
            return "its name is not known here (DNS)"
        case ConnectionRefusedError():
            return "nothing listens there"
        case TimeoutError():
            return f"no answer within {seconds:.0f} s"
        case ConnectionError():
            return "it closes the connection without an answer"
        case http.client.HTTPException():
            return f"what it answers is not HTTP ({type(cause).__name__})"
        case OSError():
            return cause.strerror or type(cause).__name__
    return str(cause)

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
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import grpc  # type: ignore[import-untyped]

from components.flyte.auth import CLIENT_ID
from components.network.outputs import client_config
from settings import PROJECT, Settings
from settings.endpoints import Endpoints
from settings.values import split_address

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
class Client(Endpoints):
    """The addresses of a stack, and what it takes to speak to them."""

    # Whether they are those of an ingress.
    ingress: bool = False
    # For Flyte's API, where it wants a login.
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The client of the stack that has these settings."""
        return cls(**asdict(settings.endpoints), ingress=settings.ingress.controller != "none")

    def with_token(self, token: str) -> Self:
        """The same, logged in."""
        return replace(self, token=token)

    @property
    def console(self) -> str:
        """Where a person looks."""
        return f"{self.http}/console"

    def setting(self, name: str) -> str:
        """The setting with an address: of ``http``, ``grpc`` or ``objectStore``."""
        if not self.ingress:
            return f"{PROJECT}:clientEndpoints.{name}"
        return f"{PROJECT}:ingress.hosts.{'console' if name == 'http' else name}"

    def write_config(self, file: Path, secret: str = "") -> None:
        """Write Flyte's client configuration, and beside it what it refers to; all for its owner alone.

        Args:
            file: where to; its folder is made.
            secret: what to log in with as Flyte's own client; empty: as the person at the browser.
        """
        authority = file.with_suffix(".ca.pem")
        if self.ca_certificate:
            private_file(authority, self.ca_certificate)
        own = file.with_suffix(".secret")
        if secret:
            private_file(own, secret)
        private_file(
            file,
            client_config(
                self,
                ca_file=str(authority) if self.ca_certificate else "",
                client=(CLIENT_ID, str(own)) if secret else None,
            ),
        )

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
        # For Flyte alone: a signed address of the object store takes no second authorization.
        own = {"Authorization": f"Bearer {self.token}"} if self.token and url.startswith(f"{self.http}/api/") else {}
        request = urllib.request.Request(url, body, {**own, **(headers or {})}, method=method)  # noqa: S310 (the settings reject other schemes)
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
            # The name by which Flyte knows it, because proxies have plans of their own with the usual one.
            ask(
                b"", timeout=seconds, metadata=[("flyte-authorization", f"Bearer {self.token}")] if self.token else None
            )

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


def private_file(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in a folder that only its owner can enter, whole or not at all."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    # Made with 0600.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).replace(path)


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

"""Requests from this machine to a stack: HTTP, gRPC and the object store, at the stack's endpoints."""

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
from ops.lib.private_file import write_private
from settings import PROJECT, Settings
from settings.endpoints import Endpoints
from settings.values import split_address

# gRPC would also log its errors to the terminal.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


class NoAnswerError(Exception):
    """No server answers at an address; the message gives the reason, to be shown after the address."""


@dataclass(frozen=True)
class Answer:
    """Answer of a server, with any status."""

    status: int
    """HTTP status code."""
    body: bytes = field(repr=False)
    """Content; kept out of logs, because it may hold a secret."""

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Client(Endpoints):
    """A client of a stack: its endpoints, and a token if Flyte requires a login."""

    ingress: bool = False
    """Whether the endpoints belong to an ingress."""
    token: str = field(default="", repr=False)
    """Token for Flyte's API; empty before a login, or if Flyte requires none."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the client of the stack with these settings."""
        return cls(**asdict(settings.endpoints), ingress=settings.ingress.controller != "none")

    def with_token(self, token: str) -> Self:
        """Return a copy of this client that sends the token."""
        return replace(self, token=token)

    @property
    def console(self) -> str:
        """URL of Flyte's console."""
        return f"{self.http}/console"

    def setting(self, name: str) -> str:
        """Return the key that sets an endpoint: ``http``, ``grpc`` or ``objectStore``."""
        if name == "objectStore" and not self.bundled_store:
            return f"{PROJECT}:minio.external"
        if not self.ingress:
            return f"{PROJECT}:clientEndpoints.{name}"
        return f"{PROJECT}:ingress.hosts.{'console' if name == 'http' else name}"

    def write_config(self, file: Path, secret: str = "") -> None:
        """Write Flyte's client configuration and the files it refers to, readable by their owner only.

        Args:
            file: path of the configuration; its folder is created.
            secret: secret to log in with as Flyte's own client; empty to log in as a person with a browser.
        """
        authority, certificates = file.with_suffix(".ca.pem"), self._trusted()
        if certificates:
            write_private(authority, certificates)
        own = file.with_suffix(".secret")
        if secret:
            write_private(own, secret)
        write_private(
            file,
            client_config(
                self,
                ca_file=str(authority) if certificates else "",
                client=(CLIENT_ID, str(own)) if secret else None,
            ),
        )

    def _trusted(self) -> str:
        """Return what Flyte's client trusts, for Flyte and for signed addresses; empty if any public authority will do.

        It has one file for both, and trusts nothing else then.
        """
        private = [found.strip() for found in (self.ca_certificate, self.store_ca_certificate) if found]
        if not private:
            return ""
        over_tls = (not self.insecure, not self.bundled_store and self.object_store.startswith("https://"))
        lacks = (not self.ca_certificate, not self.store_ca_certificate)
        if any(speaks and none for speaks, none in zip(over_tls, lacks, strict=True)):
            # One of them has a certificate of a public authority.
            import certifi

            private.append(certifi.contents())
        return "\n".join(private) + "\n"

    def request(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 10,
    ) -> Answer:
        """Send a request and return the answer. A redirection is an answer, too, and is not followed.

        Proxies of the environment are ignored: the servers are in the local network.

        Raises:
            NoAnswerError: there is no answer within ``seconds``.
        """
        # For Flyte only: the object store rejects a signed address with a second authorization.
        own = {"Authorization": f"Bearer {self.token}"} if self.token and url.startswith(f"{self.http}/api/") else {}
        request = urllib.request.Request(url, body, {**own, **(headers or {})}, method=method)  # noqa: S310 (the settings reject other schemes)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls(url)), _NoRedirection()
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
        """Open a gRPC channel to Flyte."""
        options = [("grpc.enable_http_proxy", 0)]
        if self.insecure:
            channel = grpc.insecure_channel(self.grpc, options)
        else:
            roots = self.ca_certificate.encode() or None
            channel = grpc.secure_channel(self.grpc, grpc.ssl_channel_credentials(roots), options)
        with channel:
            yield channel

    def flyte_answers(self, seconds: float = 5) -> None:
        """Ask Flyte's gRPC API for its version, the simplest request there is.

        Raises:
            grpc.RpcError: there is another answer, or none within ``seconds``.
        """
        with self.channel() as channel:
            # Raw bytes: the request has no fields, and the content of the answer does not matter.
            ask = channel.unary_unary("/flyteidl.service.AdminService/GetVersion", _raw, _raw)
            # Flyte's own name for the header: a proxy may use the usual one itself.
            ask(
                b"", timeout=seconds, metadata=[("flyte-authorization", f"Bearer {self.token}")] if self.token else None
            )

    @contextmanager
    def store(self, access_key: str, secret_key: str) -> Iterator[Any]:
        """Open the object store with a key; return a client of boto3."""
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
            if certificate := self._authority_of(self.object_store):
                file = opened.enter_context(tempfile.NamedTemporaryFile("w", suffix=".pem"))
                file.write(certificate)
                file.flush()
                authority = file.name
            client = boto3.client(
                "s3",
                endpoint_url=self.object_store,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                region_name=self.store_region,
                config=config,
                verify=authority,
            )
            opened.callback(client.close)
            yield client

    def reach(self, address: str, seconds: float = 5) -> None:
        """Connect to an address of this client by TCP, and close the connection.

        Raises:
            NoAnswerError: nothing listens there.
        """
        parts = split_address(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), seconds).close()
        except OSError as error:
            raise NoAnswerError(_why(error, seconds)) from None

    def _authority_of(self, url: str) -> str:
        """Return the certificate of the private authority for an address; empty if there is none."""
        host, store = split_address(url).netloc, split_address(self.object_store).netloc
        # AWS has a host for each bucket.
        external = not self.bundled_store and (host == store or host.endswith(f".{store}"))
        return self.store_ca_certificate if external else self.ca_certificate

    def _tls(self, url: str) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self._authority_of(url) or None)


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


def _raw(message: bytes) -> bytes:
    return message


def _why(error: Exception, seconds: float) -> str:
    """Return the reason without the URL, because a signed URL gives access to the object store."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            return f"TLS: its certificate is not accepted ({cause.verify_message})"
        case ssl.SSLError():
            return f"TLS: {cause.reason or 'the server does not speak TLS'}"
        case socket.gaierror():
            return "its name cannot be resolved here (DNS)"
        case ConnectionRefusedError():
            return "nothing listens there"
        case TimeoutError():
            return f"no answer within {seconds:.0f} s"
        case ConnectionError():
            return "the server closes the connection without an answer"
        case http.client.HTTPException():
            return f"the answer is not HTTP ({type(cause).__name__})"
        case OSError():
            return cause.strerror or type(cause).__name__
    return str(cause)

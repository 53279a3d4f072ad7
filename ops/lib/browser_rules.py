"""What a browser may send to an endpoint on this machine.

Any web page can make a browser send requests to 127.0.0.1. Flyte's HTTP API checks neither the ``Host`` nor the
``Origin`` of a request and accepts ``text/plain`` as JSON, so without these rules a page of any site could register and
start workflows while `make connect` is open: with a simple POST, or with a host name of its own that resolves to
127.0.0.1 (DNS rebinding).

Programs such as pyflyte and flytectl send neither ``Origin`` nor ``Sec-Fetch-Site``. Pages cannot forge these headers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from components.network.outputs import LOOPBACK_HOSTS
from settings.values import split_address

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_READS = {"GET", "HEAD"}
# A page can send POST, but none of the others, to another origin without asking first.
_WITH_CONTENT = {"POST", "PUT", "PATCH"}
# The console sends protobuf: https://github.com/flyteorg/flyteconsole (models/AdminEntity/AdminEntity.ts). A page of
# another origin can send neither type without asking first (https://fetch.spec.whatwg.org/#cors-safelisted-request-header).
_API_TYPES = frozenset({"application/json", "application/octet-stream"})
_FORM = "application/x-www-form-urlencoded"
# Links from other sites, and what a login passes through on its way back from the provider. Reading only.
_ENTRANCES = ("/console", "/login", "/callback", "/oauth2/authorize", "/oauth2/authorize_callback")


class Headers(Protocol):
    """The headers of a request, which may occur more than once."""

    def getall(self, key: str, default: list[str], /) -> list[str]:
        """Return all values of a header."""
        ...


@dataclass(frozen=True)
class BrowserRules:
    """What a browser may send to one endpoint."""

    hosts: frozenset[str]
    """Values of ``Host`` under which clients reach the endpoint."""
    origins: frozenset[str] = frozenset()
    """Other origins whose pages use the endpoint."""
    content_types: frozenset[str] = frozenset()
    """Content types that are accepted; empty: all."""
    form_paths: frozenset[str] = frozenset()
    """Paths that accept a form, too."""
    entrances: Sequence[str] = ()
    """Paths to which links of other sites may lead, with everything below them."""

    @classmethod
    def of_api(cls, http: str) -> "BrowserRules":
        """Return the rules for console and REST API, at the address ``http``."""
        # OAuth requires a form here. Without a secret that no page has, the answer is an error.
        return cls(_hosts(http), frozenset(), _API_TYPES, frozenset({"/oauth2/token"}), _ENTRANCES)

    @classmethod
    def of_store(cls, object_store: str, http: str) -> "BrowserRules":
        """Return the rules for the object store, which the console at ``http`` reads with signed URLs.

        Any content type: files have all of them, and the store accepts no request without a signature.
        """
        return cls(_hosts(object_store), _origins(http))

    def violation(self, method: str, target: str, headers: Headers) -> str:
        """Return why a request is rejected; empty if it is accepted.

        Args:
            method: method of the request.
            target: its target, as it was sent.
            headers: its headers.
        """
        if method not in _METHODS or not target.startswith("/") or headers.getall("Upgrade", []):
            return "this kind of request is not used here"
        host = headers.getall("Host", [])
        if len(host) != 1 or host[0] not in self.hosts:
            return f"Host must be one of {', '.join(sorted(self.hosts))}"
        path = target.partition("?")[0]
        return self._foreign(method, path, host[0], headers) or self._content(method, path, headers)

    def _foreign(self, method: str, path: str, host: str, headers: Headers) -> str:
        """Return why a request that a page of another origin has caused is rejected."""
        if self._is_link(method, path, headers):
            return ""
        origin = headers.getall("Origin", [])
        if len(origin) == 1 and origin[0] in self.origins:
            return ""
        if origin and origin != [f"http://{host}"]:
            return "Origin is another site"
        if set(headers.getall("Sec-Fetch-Site", [])) <= {"none", "same-origin"}:
            return ""
        # A frame or an image has no Origin. The console shows decks, which are files of the store, in a frame.
        pages = tuple(f"{known}/" for known in self.origins)
        if method in _READS and any(url.startswith(pages) for url in headers.getall("Referer", [])):
            return ""
        return "Sec-Fetch-Site is another site"

    def _is_link(self, method: str, path: str, headers: Headers) -> bool:
        """Return whether a person has followed a link to a document that other sites may link to."""
        return (
            method in _READS
            and headers.getall("Sec-Fetch-Mode", []) == ["navigate"]
            and headers.getall("Sec-Fetch-Dest", []) == ["document"]
            # Some browsers send the Origin "null" after the form of a login.
            and headers.getall("Origin", ["null"]) == ["null"]
            and any(path == entrance or path.startswith(f"{entrance}/") for entrance in self.entrances)
        )

    def _content(self, method: str, path: str, headers: Headers) -> str:
        """Return why the content of a request is rejected.

        This also stops requests of old browsers, which send neither ``Origin`` nor ``Sec-Fetch-Site`` with a form.
        """
        has_content = headers.getall("Transfer-Encoding", []) or set(headers.getall("Content-Length", [])) - {"0"}
        if not self.content_types or not (has_content or method in _WITH_CONTENT):
            return ""
        accepted = self.content_types | ({_FORM} if path in self.form_paths else set())
        types = [value.partition(";")[0].strip().lower() for value in headers.getall("Content-Type", [])]
        if len(types) != 1 or types[0] not in accepted:
            return f"Content-Type must be one of {', '.join(sorted(accepted))}"
        return ""


def _hosts(address: str) -> frozenset[str]:
    """Return the values of ``Host`` for an address of this machine."""
    port = split_address(address).port or 80
    names = [f"[{name}]" if ":" in name else name for name in LOOPBACK_HOSTS]
    # Browsers leave out the default port.
    return frozenset([f"{name}:{port}" for name in names] + (names if port == 80 else []))


def _origins(http: str) -> frozenset[str]:
    """Return the origins of the console."""
    parts = split_address(http)
    if parts.hostname in LOOPBACK_HOSTS and parts.scheme == "http":
        return frozenset(f"http://{host}" for host in _hosts(http))
    # As browsers write an origin.
    return frozenset({http.lower().removesuffix(":443" if parts.scheme == "https" else ":80")})

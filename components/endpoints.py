"""How a client outside of the cluster reaches the stack."""

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import yaml


@dataclass(frozen=True)
class Endpoints:
    """The addresses that a client uses, and what it needs to trust and to show there."""

    # Of console and REST API, such as https://flyte.home.example.
    http: str
    # Of the gRPC API, such as dns:///flyte.home.example:443.
    grpc: str
    # Of the object store, for which uploads are signed.
    object_store: str
    # Whether gRPC goes without TLS.
    insecure: bool
    # Certificate of the private authority that signed theirs, in PEM; empty: one that every system knows.
    ca_certificate: str = ""
    # Whether Flyte wants to know who asks.
    login: bool = False


def client_config(endpoints: Endpoints, ca_file: str = "", client: tuple[str, str] | None = None) -> str:
    """Flyte's client configuration, as YAML, for `flytectl` and `pyflyte`.

    https://docs-legacy.flyte.org/en/latest/flytectl/overview.html#configuration

    Args:
        endpoints: where it leads.
        ca_file: where this machine keeps the ``ca_certificate``, if there is one.
        client: as whom to log in, id and file of the secret; None: as the person at the browser.
    """
    admin: dict[str, object] = {"endpoint": endpoints.grpc, "insecure": endpoints.insecure}
    if ca_file:
        admin["caCertFilePath"] = ca_file
    if endpoints.login and client:
        admin |= {"authType": "ClientSecret", "clientId": client[0], "clientSecretLocation": client[1]}
    elif endpoints.login:
        admin["authType"] = "Pkce"
    # Without an address of its own, the console would be looked for at that of the gRPC API.
    return yaml.safe_dump({"admin": admin, "console": {"endpoint": endpoints.http}}, sort_keys=False)


# Where a port-forward listens.
OWN_HOSTS = {"127.0.0.1", "localhost", "::1"}


def split_address(address: str) -> SplitResult:
    """The parts of an HTTP address, or of a gRPC one such as ``dns:///127.0.0.1:8089``."""
    return urlsplit(address.replace("dns:///", "dns://"))

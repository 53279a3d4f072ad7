"""How a client outside of the cluster reaches the stack."""

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import yaml


@dataclass(frozen=True)
class Client:
    """The addresses that a laptop uses, and what it needs to trust and to show there."""

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


def client_config(client: Client, ca_file: str = "") -> str:
    """Flyte's client configuration, as YAML, for `flytectl` and `pyflyte`.

    https://docs-legacy.flyte.org/en/latest/flytectl/overview.html#configuration

    Args:
        client: where it leads.
        ca_file: where this machine keeps the client's ``ca_certificate``, if it has one.
    """
    admin: dict[str, object] = {"endpoint": client.grpc, "insecure": client.insecure}
    if ca_file:
        admin["caCertFilePath"] = ca_file
    if client.login:
        admin["authType"] = "Pkce"  # opens the browser
    # Without an address of its own, the console would be looked for at that of the gRPC API.
    return yaml.safe_dump({"admin": admin, "console": {"endpoint": client.http}}, sort_keys=False)


def split_address(address: str) -> SplitResult:
    """The parts of an HTTP address, or of a gRPC one such as ``dns:///127.0.0.1:8089``."""
    return urlsplit(address.replace("dns:///", "dns://"))

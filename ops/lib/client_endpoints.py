"""The endpoints of a stack, as seen from this machine: where a client expects a service, and what is behind it."""

import socket
from dataclasses import dataclass

from components.network.outputs import LOOPBACK_HOSTS, service_endpoints
from ops.lib.client import Client
from settings.values import split_address


@dataclass(frozen=True)
class ClientEndpoint:
    """An address at which a client reaches a service of the cluster."""

    setting: str
    """Name of the endpoint in the settings: ``http``, ``grpc`` or ``objectStore``."""
    address: str
    service: str
    """Name of the Service behind the address; empty: the server is not in the stack."""
    port: int
    """Port of the Service."""

    @property
    def forwarded(self) -> bool:
        """Whether the address leads to a port-forward; otherwise it leads to an ingress or something similar.

        The services themselves speak no TLS. An address of this machine with TLS therefore belongs to another program.
        """
        parts = split_address(self.address)
        return bool(self.service) and parts.hostname in LOOPBACK_HOSTS and parts.scheme != "https"

    @property
    def host(self) -> str:
        """Address at which the port-forward listens: on this machine only."""
        return "::1" if split_address(self.address).hostname == "::1" else "127.0.0.1"

    @property
    def local_port(self) -> int:
        """Port of the address."""
        return split_address(self.address).port or 80

    @property
    def listening(self) -> bool:
        """Whether any process listens at the address of the port-forward."""
        with socket.socket(socket.AF_INET6 if self.host == "::1" else socket.AF_INET) as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.host, self.local_port)) == 0


def client_endpoints(client: Client) -> list[ClientEndpoint]:
    """Return the endpoints of a stack, with the addresses of its client."""
    services = service_endpoints(client)
    return [
        ClientEndpoint(setting, address, service, port)
        for setting, (service, port, address) in zip(("http", "grpc", "objectStore"), services, strict=True)
    ]

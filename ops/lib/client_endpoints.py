"""The endpoints of a stack, as this machine reaches them."""

import socket
from dataclasses import dataclass

from components.network.outputs import LOOPBACK_HOSTS, service_endpoints
from ops.lib.client import Client
from settings.values import split_address


class ForwardError(Exception):
    """A way is not open; ``says`` why, and ``mend`` is a command, or empty."""

    def __init__(self, says: str, mend: str = "") -> None:
        self.says, self.mend = says, mend
        super().__init__(f"{says}\n{mend}".rstrip())


@dataclass(frozen=True)
class ClientEndpoint:
    """A service in the cluster, and where on this machine a client expects it."""

    # The setting with the address: http, grpc or objectStore.
    setting: str
    address: str
    service: str
    port: int

    @property
    def forwarded(self) -> bool:
        """Whether the address leads to a port-forward, and not to an ingress or the like.

        The services speak no TLS, so a server with TLS on this machine is something else in front of them.
        """
        parts = split_address(self.address)
        return parts.hostname in LOOPBACK_HOSTS and parts.scheme != "https"

    @property
    def host(self) -> str:
        """Where the port-forward listens: on this machine only."""
        return "::1" if split_address(self.address).hostname == "::1" else "127.0.0.1"

    @property
    def local_port(self) -> int:
        """The port of the address."""
        return split_address(self.address).port or 80

    @property
    def listening(self) -> bool:
        """Whether somebody listens there, whoever it is."""
        with socket.socket(socket.AF_INET6 if self.host == "::1" else socket.AF_INET) as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.host, self.local_port)) == 0


def client_endpoints(client: Client) -> list[ClientEndpoint]:
    """The service_endpoints to the services of a stack, as its client has their addresses."""
    services = service_endpoints(client)
    return [
        ClientEndpoint(setting, address, service, port)
        for setting, (service, port, address) in zip(("http", "grpc", "objectStore"), services, strict=True)
    ]

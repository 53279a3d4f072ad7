"""What pods may reach outside of the stack."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field

from components.sizes import Label, Model

# https://www.iana.org/assignments/iana-ipv4-special-registry/ and multicast
NOT_PUBLIC = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
]


def _network(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("is not a network; write it like 192.168.1.20/32 or 192.168.1.0/24") from None
    if network.prefixlen == 0:
        raise ValueError("is every address there is; write the networks that are meant, such as 192.168.1.0/24")
    return str(network)


class Reach(Model):
    """Whom pods may talk to."""

    internet: bool = Field(
        default=True,
        # A home network's own IPv6 addresses are public ones and cannot be told from the others.
        description="All public IPv4 addresses; the home network is none of them.",
    )
    networks: list[Annotated[str, AfterValidator(_network)]] = Field(
        default=[], description="Further networks, such as 192.168.1.20/32 for a NAS."
    )
    namespaces: list[Label] = Field(default=[], description="Namespaces of the cluster, such as vault.")


class Egress(Reach):
    """What task pods may reach besides DNS and the object store."""

    flyte: bool = Field(default=True, description="Flyte's gRPC API, where a task may do what every user may.")

"""What pods may reach outside the stack."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator

from settings.values import Label, Model

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
"""IPv4 networks that are not public: https://www.iana.org/assignments/iana-ipv4-special-registry/ and multicast."""


def _network(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("is not a network; write it like 192.168.1.20/32 or 192.168.1.0/24") from None
    if network.prefixlen == 0:
        raise ValueError("covers every address; write the networks you mean, such as 192.168.1.0/24")
    return str(network)


Network = Annotated[str, AfterValidator(_network)]
"""IP network in CIDR notation."""


class Reach(Model):
    """What pods may connect to."""

    # IPv6 stays closed: the IPv6 addresses of a home network are public and cannot be told from others.
    internet: bool = True
    """All public IPv4 addresses, which excludes the home network."""
    networks: list[Network] = []
    """Further networks, such as 192.168.1.20/32 for a NAS."""
    namespaces: list[Label] = []
    """Namespaces of the cluster, such as vault."""


class Egress(Reach):
    """What task pods may connect to besides DNS and the object store."""

    flyte: bool = False
    """Flyte's gRPC API, where a task may start everything in every project, and so read all secrets and data."""

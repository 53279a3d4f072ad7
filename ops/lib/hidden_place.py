"""A place on this machine that programs can reach, and browsers cannot.

The browser guard reaches a service through a ``kubectl port-forward``, which has to listen somewhere. It must not be
reachable by a browser, or a web page could try all ports and get round the browser guard. kubectl listens neither at a
Unix socket nor with a password. It therefore listens at a port that every browser refuses to connect to, under any host
name: https://fetch.spec.whatwg.org/#port-blocking. On Linux, where all of 127.0.0.0/8 is this machine, the address is a
random one as well.

What remains: other programs of this machine reach the place, as they reach the endpoints. So does a browser whose owner
has permitted the port, with Chrome's policy ExplicitlyAllowedNetworkPorts or Firefox's setting
network.security.ports.banned.override; on Linux, its pages would still have to find the address.
"""

import platform
import secrets
import socket

# Blocked ports above 1023, without those of X11, NFS and telephony; the least likely to be in use come first.
BLOCKED_PORTS = (6665, 6666, 6668, 6669, 6679, 6566, 6697, 6667, 4190, 10080)
"""Ports that browsers refuse to connect to."""


def hidden_place() -> tuple[str, int]:
    """Return host and port of a place at which nothing listens.

    Raises:
        OSError: something listens at each of them.
    """
    host = "127.0.0.1"
    if platform.system() == "Linux":
        host = ".".join(["127", *(str(1 + secrets.randbelow(254)) for _ in range(3))])
    for port in BLOCKED_PORTS:
        if _is_free(host, port):
            return host, port
    raise OSError(f"the ports {', '.join(map(str, sorted(BLOCKED_PORTS)))} of {host} are all in use; end one program")


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        # Like kubectl: a connection that was just closed does not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True

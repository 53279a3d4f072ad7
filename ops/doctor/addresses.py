"""The check of the endpoints: whether each address leads to its service."""

import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack

from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.stack import Stack
from ops.lib.client import NoAnswerError
from ops.lib.client_endpoints import ClientEndpoint
from ops.lib.forwards import Forwards
from ops.lib.port_holder import ForwardError, holder_of, taken_port
from settings.values import split_address


class Ports:
    """The port-forwards of the doctor, taken when the first endpoint needs one."""

    def __init__(self, stack: Stack, command: str, opened: ExitStack) -> None:
        self._stack, self._command, self._opened = stack, command, opened
        self._asked = False
        self._forwards: Forwards | None = None

    def check(self, endpoint: ClientEndpoint) -> Iterator[Result]:
        """Check an endpoint (see `check_address`)."""
        if endpoint.forwarded and not self._asked:
            self._asked = True
            self._take()
            if self._forwards and self._forwards.ended:
                yield remark(
                    f"ended port-forwards that a killed command had left open: {', '.join(self._forwards.ended)}"
                )
        yield from check_address(self._stack, endpoint, self._forwards)

    def _take(self) -> None:
        stack = self._stack
        if holder_of(stack.name):
            return
        forwards = Forwards(
            self._command, stack.name, stack.settings.cluster_uid, stack.cluster, stack.namespace, stack.client
        )
        try:
            self._forwards = self._opened.enter_context(forwards)
        except ForwardError:  # another command was faster, and holds them now
            return
        self._forwards.settle()


def check_address(stack: Stack, endpoint: ClientEndpoint, forwards: Forwards | None) -> Iterator[Result]:
    """Check that an address leads to its service, directly or through a port-forward, which is opened if necessary.

    Args:
        stack: the stack.
        endpoint: the service and its address.
        forwards: the doctor's own port-forwards; None if another command of this stack holds them.
    """
    if not endpoint.forwarded:
        yield _elsewhere(stack, endpoint)
        return
    if not forwards:
        yield _of_another_command(stack, endpoint)
        return
    if endpoint.listening:
        taken = taken_port(stack.name, endpoint)
        yield wrong(taken.says, taken.remedy)
        return
    forward = next(found for found in forwards.forwards if found.endpoint.service == endpoint.service)
    try:
        forwards.open(forward)
    except ForwardError as error:
        yield wrong(error.says, stack.shown("describe", "service", endpoint.service))
        return
    yield ok(f"{endpoint.address}, by a port-forward for as long as this runs")


def _elsewhere(stack: Stack, endpoint: ClientEndpoint) -> Result:
    """Check an address outside this machine, such as the address of an ingress."""
    try:
        stack.client.reach(endpoint.address)
        if endpoint.setting != "grpc":  # gRPC has its own check
            stack.client.request(f"{endpoint.address}/", seconds=5)
    except NoAnswerError as error:
        host = split_address(endpoint.address).hostname
        tls = f"openssl s_client -connect {host_of(endpoint.address)} -servername {host} </dev/null"
        return wrong(
            f"{stack.client.setting(endpoint.setting)}: {endpoint.address} cannot be reached: {error}",
            tls if str(error).startswith("TLS") else f"ping -c 1 {host}",
        )
    return ok(f"{endpoint.address} can be reached")


def _of_another_command(stack: Stack, endpoint: ClientEndpoint) -> Result:
    """Check an address whose port-forward another command keeps open."""
    holder = holder_of(stack.name)
    who = f"{holder.command} (process {holder.pid})" if holder else "the command that had them open"
    if not holder or holder.cluster != stack.settings.cluster_uid or endpoint.local_port not in holder.ports:
        return wrong(
            f"{who} does not forward {endpoint.address} to this cluster; end it", f"make connect STACK={stack.name}"
        )
    return ok(f"{endpoint.address}, which {who} keeps open")


def host_of(url: str) -> str:
    """Return host and port of a URL, without user and password."""
    return urllib.parse.urlsplit(url).netloc.rpartition("@")[2]

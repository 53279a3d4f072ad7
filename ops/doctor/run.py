"""All checks of the doctor, in the order in which a person would look."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from components.flyte.log_links import links
from ops.doctor import laptop, servers, services, tasks
from ops.doctor.check import Check, Finding, Said, examine, remark
from ops.doctor.stack import Stack
from ops.lib.client import Client
from ops.lib.client_endpoints import ClientEndpoint, ForwardError, client_endpoints
from ops.lib.forwards import Forwards
from ops.lib.port_holder import holder_of
from settings import Settings

_ENDPOINTS = {"http": "console", "grpc": "gRPC address", "objectStore": "store address"}


@contextmanager
def doctor(name: str, settings: Settings, command: str) -> Iterator[Iterator[Finding]]:
    """What is found out about a stack, one finding after the other.

    Port-forwards that nobody has open already are open until the end of the context, so that a caller can go on with
    them.

    Args:
        name: of the stack.
        settings: of the stack.
        command: how a person has called this, for the messages of other commands.
    """
    stack = Stack(name, settings, Client.of(settings))
    with ExitStack() as opened:
        yield examine(_checks(stack, command, opened))


def lines(finding: Finding) -> str:
    """A finding for a terminal: what is found, and below it the commands that mend it."""
    text = f"{finding.state:<8} {finding.check:<14} {finding.says}"
    return "\n".join([text, *(f"{'':<9}{command}" for command in finding.mend.splitlines())])


def _checks(stack: Stack, command: str, opened: ExitStack) -> Iterator[Check]:
    yield Check("tools", laptop.tools)
    yield Check("cluster", partial(laptop.context, stack))
    yield Check("rights", partial(laptop.rights, stack), ["cluster"])
    for name in servers.SERVERS:
        yield Check(name, partial(servers.server, stack, name), ["cluster"])
    yield Check("jobs", partial(servers.jobs, stack), ["cluster"])
    yield Check("namespaces", partial(servers.namespaces, stack), ["cluster"])
    yield Check("volumes", partial(servers.volumes, stack), ["cluster"])
    yield Check("database", partial(services.database, stack), ["cluster", "postgres"])
    if stack.client.ingress:
        yield Check("ingress", partial(servers.ingress, stack), ["cluster"])
    forwards = _Ports(stack, command, opened)
    behind = {"http": "flyte", "grpc": "flyte", "objectStore": "minio"}
    for endpoint in client_endpoints(stack.client):
        yield Check(
            _ENDPOINTS[endpoint.setting], partial(forwards.endpoint, endpoint), ["cluster", behind[endpoint.setting]]
        )
    login = []
    if stack.client.login:
        login = ["login"]
        yield Check("login", partial(services.login, stack), [_ENDPOINTS["http"]])
    yield Check("API", partial(services.api, stack), [_ENDPOINTS["http"], *login])
    yield Check("buckets", partial(services.buckets, stack), [_ENDPOINTS["objectStore"], "namespaces"], seconds=60)
    yield Check(
        "signed address", partial(services.signed_address, stack), ["API", _ENDPOINTS["objectStore"]], seconds=60
    )
    yield Check("gRPC", partial(services.grpc_api, stack), [_ENDPOINTS["grpc"], *login])
    yield Check("webhook", partial(tasks.webhook, stack), ["cluster", "namespaces", "flyte"])
    yield Check("admission", partial(tasks.admission, stack), ["cluster", "namespaces", "webhook"])
    yield Check("certificate", partial(tasks.certificate, stack), ["cluster"])
    viewers = [(link.name, link.uri) for link in links(stack.settings.log_links)]
    yield Check("log links", partial(tasks.log_links, stack, viewers))
    yield Check("secrets", partial(tasks.secrets, stack), ["cluster", "namespaces"])


class _Ports:
    """The port-forwards of the doctor, taken at the first way that needs one."""

    def __init__(self, stack: Stack, command: str, opened: ExitStack) -> None:
        self._stack, self._command, self._opened = stack, command, opened
        self._asked = False
        self._forwards: Forwards | None = None

    def endpoint(self, endpoint: ClientEndpoint) -> Iterator[Said]:
        """See `services.endpoint`."""
        if endpoint.forwarded and not self._asked:
            self._asked = True
            self._take()
            if self._forwards and self._forwards.ended:
                yield remark(f"ended what a killed command had left open: {', '.join(self._forwards.ended)}")
        yield from services.endpoint(self._stack, endpoint, self._forwards)

    def _take(self) -> None:
        stack = self._stack
        if holder_of(stack.name):
            return
        forwards = Forwards(
            self._command, stack.name, stack.settings.cluster_uid, stack.cluster, stack.namespace, stack.client
        )
        try:
            self._forwards = self._opened.enter_context(forwards)
        except ForwardError:  # another command was faster, and has them now
            return
        self._forwards.settle()

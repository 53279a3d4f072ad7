"""All checks of the doctor, in the order in which a person would go through them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from components.flyte.log_links import links as links_of
from ops.doctor.access import check_context, check_rights
from ops.doctor.addresses import Ports
from ops.doctor.backup import check_backup
from ops.doctor.buckets import check_buckets
from ops.doctor.certificate import check_certificate
from ops.doctor.check import Check, Finding, examine
from ops.doctor.database_cluster import check_cluster, check_cluster_database
from ops.doctor.flyte_api import check_api, check_login
from ops.doctor.gpus import check_gpus
from ops.doctor.grpc_api import check_grpc
from ops.doctor.isolation import check_isolation
from ops.doctor.log_links import check_log_links
from ops.doctor.mail import check_mail
from ops.doctor.probes import Probes
from ops.doctor.programs import check_programs
from ops.doctor.retention import check_retention
from ops.doctor.servers import (
    check_database,
    check_ingress,
    check_jobs,
    check_namespaces,
    check_other_database,
    check_server,
    servers_of,
)
from ops.doctor.signed_address import check_signed_address
from ops.doctor.stack import Stack
from ops.doctor.stuck import check_stuck
from ops.doctor.task_images import check_task_images
from ops.doctor.task_secrets import check_secrets
from ops.doctor.volumes import check_volumes
from ops.doctor.webhook import check_admission, check_webhook
from ops.lib.client import Client
from ops.lib.client_endpoints import client_endpoints
from settings import Settings

_ADDRESSES = {"http": "console", "grpc": "gRPC address", "objectStore": "store address"}
_BEHIND = {"http": "flyte", "grpc": "flyte", "objectStore": "minio"}


@contextmanager
def doctor(name: str, settings: Settings, command: str) -> Iterator[Iterator[Finding]]:
    """Examine a stack; return its findings, one after the other.

    Port-forwards that no other command has open stay open until the end of the context, so that the caller can use
    them, too.

    Args:
        name: name of the stack.
        settings: settings of the stack.
        command: name of the running command, for the messages of other commands.
    """
    stack = Stack(name, settings, Client.of(settings))
    with ExitStack() as opened:
        yield examine(_checks(stack, command, opened))


def causes(name: str, settings: Settings) -> Iterator[Finding]:
    """Examine a stack whose update has failed; yield what may be the cause, by the checks that only ask the API server.

    What the update has not created yet is no cause.
    """
    stack = Stack(name, settings, Client.of(settings))
    for finding in examine(_quick_checks(stack)):
        if finding.state == "wrong" and finding.remedy != stack.up_again:
            yield finding


def lines(finding: Finding) -> str:
    """Return a finding for a terminal: the result, and below it the commands that fix it."""
    text = f"{finding.state:<8} {finding.check:<14} {finding.says}"
    return "\n".join([text, *(f"{'':<9}{command}" for command in finding.remedy.splitlines())])


def _quick_checks(stack: Stack) -> Iterator[Check]:
    """The checks that only ask the API server."""
    yield Check("cluster", partial(check_context, stack))
    yield Check("rights", partial(check_rights, stack), ["cluster"])
    for name in servers_of(stack.settings):
        yield Check(name, partial(check_server, stack, name), ["cluster"])
    if stack.settings.postgres.mode == "cloudnative-pg":
        yield Check("postgres", partial(check_cluster, stack), ["cluster"])
    yield Check("jobs", partial(check_jobs, stack), ["cluster"])
    yield Check("namespaces", partial(check_namespaces, stack), ["cluster"])
    yield Check("volumes", partial(check_volumes, stack), ["cluster"])
    if stack.settings.most_gpus:
        yield Check("GPUs", partial(check_gpus, stack), ["cluster"])


def _checks(stack: Stack, command: str, opened: ExitStack) -> Iterator[Check]:
    yield Check("tools", check_programs)
    yield from _quick_checks(stack)
    mode = stack.settings.postgres.mode
    if mode == "bundled":
        yield Check("database", partial(check_database, stack), ["cluster", "postgres"])
    elif mode == "cloudnative-pg":
        yield Check("database", partial(check_cluster_database, stack), ["cluster"], seconds=120)
    else:
        yield Check("database", partial(check_other_database, stack), ["cluster"], seconds=120)
    if stack.client.ingress:
        yield Check("ingress", partial(check_ingress, stack), ["cluster"])
    ports = Ports(stack, command, opened)
    for endpoint in client_endpoints(stack.client):
        needs = ["cluster", *([_BEHIND[endpoint.setting]] if endpoint.service else [])]
        yield Check(_ADDRESSES[endpoint.setting], partial(ports.check, endpoint), needs)
    login = []
    if stack.client.login:
        login = ["login"]
        yield Check("login", partial(check_login, stack), [_ADDRESSES["http"]])
    yield Check("API", partial(check_api, stack), [_ADDRESSES["http"], *login])
    yield Check("executions", partial(check_stuck, stack), ["API", "namespaces"], seconds=60)
    store = _ADDRESSES["objectStore"]
    yield Check("buckets", partial(check_buckets, stack), [store, "namespaces"], seconds=60)
    yield Check("signed address", partial(check_signed_address, stack), ["API", store], seconds=60)
    yield Check("gRPC", partial(check_grpc, stack), [_ADDRESSES["grpc"], *login])
    yield Check("webhook", partial(check_webhook, stack), ["cluster", "namespaces", "flyte"])
    yield Check("admission", partial(check_admission, stack), ["cluster", "namespaces", "webhook"])
    probes = opened.enter_context(Probes())
    needs = ["cluster", "namespaces", *servers_of(stack.settings)]
    yield Check("isolation", partial(check_isolation, stack, probes), needs, seconds=75)
    yield Check("backup", partial(check_backup, stack), ["cluster"])
    if stack.settings.retention.rows:
        yield Check("retention", partial(check_retention, stack), ["cluster"])
    if stack.settings.notifications.host:
        yield Check("mails", partial(check_mail, stack), ["cluster", "flyte"])
    yield Check("certificate", partial(check_certificate, stack), ["cluster"])
    links = [(link.name, link.uri) for link in links_of(stack.settings.log_links)]
    yield Check("log links", partial(check_log_links, stack, links))
    yield Check("task images", partial(check_task_images, stack), ["cluster"])
    yield Check("secrets", partial(check_secrets, stack), ["cluster", "namespaces"])

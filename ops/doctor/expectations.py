"""The connections that the doctor tries, and what the settings say about each."""

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from components.database import postgres
from components.database.names import CLUSTER
from components.flyte import names as flyte
from components.flyte.storage import STORE_KEY
from components.object_store import minio
from ops.doctor.probes import Attempt, Expected, Source
from ops.doctor.webhook import encoded
from settings import Settings
from settings.egress import NOT_PUBLIC
from settings.placement import Placement
from settings.projects import TaskScope

# Metadata of most clouds, with credentials of the machine: https://cloud.google.com/compute/docs/metadata/overview
_CLOUD = "169.254.169.254"
# Ports of every node's kubelet, and of Flyte's metrics and configuration.
_KUBELET, _METRICS = 10250, 10254
# User of flytekit's image. Every user will do; Pod Security demands that it is not root.
_USER = 1000
DATABASE, STORE, DNS, WEBHOOK = "the database", "the object store", "DNS", "the secrets webhook"
HTTP, GRPC, API_SERVER = "Flyte's HTTP API", "Flyte's gRPC API", "the API server"
"""Names of targets, for messages."""
METRICS, CONFIG = f"port {_METRICS} of Flyte", "/config"
"""Name of the target with Flyte's metrics, and the path at which it may show Flyte's configuration."""
FILES = {
    "the password of the database": ("../flyte/config.d", "202-database.yaml"),
    "the key of the object store": ("../flyte/config.d", STORE_KEY),
    "the token of its service account": ("../../var/run/secrets/kubernetes.io/serviceaccount", "token"),
}
"""Files of the webhook's own pod that it could return, by what they hold: the group and key that lead to them."""


@dataclass(frozen=True)
class Surroundings:
    """Addresses in the cluster, and the policies that exist."""

    services: dict[str, str]
    """Address of the pod behind each Service of the platform namespace that has a ready one."""
    nodes: list[str]
    """Addresses of nodes."""
    api_servers: list[str]
    """Addresses of the API servers."""
    webhook: str
    """Service of the webhook."""
    webhook_path: str
    """Path of the webhook."""
    unprotected: list[str] = field(default_factory=list)
    """Namespaces of the stack whose policy is missing."""

    @property
    def flyte_pods(self) -> list[str]:
        """Addresses of the pods behind Flyte's Services."""
        behind = [flyte.HTTP_SERVICE, flyte.GRPC_SERVICE, self.webhook]
        return list(dict.fromkeys(self.services[name] for name in behind if name in self.services))


def strictest(scopes: Sequence[TaskScope]) -> TaskScope:
    """Return the task scope whose settings close most; the first of several."""

    def opened(scope: TaskScope) -> tuple[int, ...]:
        egress = scope.egress
        return (
            scope.service_account_token + egress.flyte + egress.internet + bool(egress.networks + egress.namespaces),
            len(egress.networks) + len(egress.namespaces),
        )

    return min(scopes, key=opened)


def sources(settings: Settings, scope: TaskScope, around: Surroundings) -> list[Source]:
    """Return the two probes: of a task, and of a pod to which the stack gives nothing."""
    return [
        Source(
            f"a task in {scope.namespace}",
            scope.namespace,
            scope.run_as_user or _USER,
            settings.tasks.placement,
            _attempts(settings, around, _Rules(settings, scope)),
        ),
        Source(
            "a pod of another namespace", "", _USER, Placement(), _attempts(settings, around, _Rules(settings, None))
        ),
    ]


@dataclass(frozen=True)
class _Rules:
    """What the settings allow a pod."""

    settings: Settings
    scope: TaskScope | None
    """Task scope of the pod; None for a pod to which the stack gives nothing."""

    def enters(self, host: str, allowed: bool = False, *, for_clients: bool = False) -> Expected:
        """What the settings say about a pod of the platform.

        Args:
            host: address of the pod.
            allowed: whether the settings let tasks connect to it.
            for_clients: whether it accepts connections from the namespaces in flyte-home:network.clients.
        """
        if not self.settings.network.enabled:
            return "either"
        scope = self.scope
        if not scope:
            return "closed"
        if allowed:
            return "open"
        if not (for_clients and scope.namespace in self.settings.network.clients):
            return "closed"
        return self.leaves(host)

    def webhook(self, host: str) -> Expected:
        """What the settings say about the webhook, which accepts connections from everywhere."""
        if not self.scope:
            return "either"
        return self.leaves(host)

    def api_server(self, hosts: Sequence[str]) -> Expected:
        """What the settings say about the API server."""
        if not self.scope or self.scope.service_account_token:
            return "open"
        return "either" if any(self.leaves(host) == "either" for host in hosts) else "closed"

    def leaves(self, host: str) -> Expected:
        """What the settings say about any other address. Where they do not close it, it may not answer either."""
        if not self.scope or not self.settings.network.enabled:
            return "either"
        egress, address = self.scope.egress, ipaddress.ip_address(host)
        public = address.version == 4 and not any(address in ipaddress.ip_network(network) for network in NOT_PUBLIC)
        allowed = any(address in ipaddress.ip_network(network) for network in egress.networks)
        return "either" if allowed or (egress.internet and public) else "closed"


def _attempts(settings: Settings, around: Surroundings, rules: _Rules) -> list[Attempt]:
    task, services = rules.scope, around.services
    known = minio.SERVICE if settings.minio.mode == "bundled" else flyte.HTTP_SERVICE
    found = [Attempt(DNS, "name", f"{known}.{settings.namespace}.svc", 0, "open")]
    if host := services.get(postgres.SERVICE) or services.get(f"{CLUSTER}-rw"):
        found.append(Attempt(DATABASE, "tcp", host, postgres.PORT, rules.enters(host)))
    if settings.postgres.mode == "external" and (host := settings.postgres.external.address):
        found.append(Attempt(DATABASE, "tcp", host, settings.postgres.external.port, rules.leaves(host)))
    if host := services.get(minio.SERVICE):
        paths = ["/", f"/{settings.minio.bucket}/", *([f"/{task.bucket}/"] if task else [])]
        expected = rules.enters(host, bool(task))
        found += [Attempt(STORE, "http", host, minio.PORT, expected, path=path) for path in paths]
    if host := services.get(flyte.HTTP_SERVICE):
        found.append(Attempt(HTTP, "tcp", host, flyte.HTTP_PORT, rules.enters(host, for_clients=True)))
    if host := services.get(flyte.GRPC_SERVICE):
        expected = rules.enters(host, bool(task and task.egress.flyte), for_clients=True)
        found.append(Attempt(GRPC, "tcp", host, flyte.GRPC_PORT, expected))
    for host in around.flyte_pods:
        found.append(Attempt(METRICS, "http", host, _METRICS, rules.enters(host), path=CONFIG))
    if host := services.get(around.webhook):
        ask = Attempt(
            WEBHOOK,
            "webhook",
            host,
            flyte.WEBHOOK_PORT,
            rules.webhook(host),
            path=around.webhook_path,
            server=f"{around.webhook}.{settings.namespace}.svc",
        )
        found += [replace(ask, body=review(group, key)) for group, key in FILES.values()]
    found.append(Attempt(API_SERVER, "tcp", "api-server", 0, rules.api_server(around.api_servers), listens=False))
    found.append(Attempt(_CLOUD, "tcp", _CLOUD, 80, rules.leaves(_CLOUD), listens=False))
    for host in around.nodes:
        found.append(Attempt(f"the node {host}", "tcp", host, _KUBELET, rules.leaves(host), listens=False))
    return found


def review(group: str, key: str) -> str:
    """The request of the API server for a pod that asks for a file of the webhook's own pod."""
    asked = encoded(f'group: "{group}"\nkey: "{key}"\nmount_requirement: ENV_VAR\n')
    metadata = {
        "name": "flyte-home-doctor",
        "namespace": "flyte-home-doctor",
        "labels": {"inject-flyte-secrets": "true"},
        "annotations": {"flyte.secrets/s0": asked},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "task", "image": "placeholder:never-started"}]},
    }
    request = {
        "uid": "flyte-home-doctor",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": "CREATE",
        "namespace": metadata["namespace"],
        "object": pod,
        "userInfo": {},
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})

"""Which pods may connect to which, in the namespaces of the stack."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pulumi
import pulumi_kubernetes as k8s

from components.backup import names as backup
from components.database import postgres
from components.flyte import names, raw_outputs
from components.monitoring import names as monitoring
from components.object_store import minio, users
from components.pods import LABELS, NAME, Platform
from components.retention.names import CRON_JOB
from settings.backup import BackupSettings
from settings.egress import NOT_PUBLIC, Reach
from settings.ingress import IngressSettings
from settings.projects import TaskScope
from settings.stack import Settings

_API_PORT = 6443  # of kubeadm, k3s, RKE2 and Talos
_DNS_NAMESPACE = "kube-system"
# https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/
_NODE_LOCAL_DNS = "169.254.20.10/32"
_DNS_PORTS: list[k8s.networking.v1.NetworkPolicyPortArgsDict] = [
    {"port": 53, "protocol": "UDP"},
    {"port": 53, "protocol": "TCP"},
]

# Other pods of the chart have the same name label, but are not part of Flyte itself.
_LABELS = {names.RELEASE: names.POD_LABELS}

_Peer: TypeAlias = "k8s.networking.v1.NetworkPolicyPeerArgsDict"
_Ingress: TypeAlias = "k8s.networking.v1.NetworkPolicyIngressRuleArgsDict"
_Egress: TypeAlias = "k8s.networking.v1.NetworkPolicyEgressRuleArgsDict"


@dataclass(frozen=True)
class NetworkPoliciesArgs:
    """The namespaces, and which connections are allowed in them."""

    platform: Platform
    settings: Settings
    """All settings, because each part of the stack has connections of its own."""
    task_namespaces: Mapping[str, pulumi.Input[str]]
    """Task namespaces by name, each known once it exists."""
    drill: pulumi.Input[str] | None
    """Namespace of the rehearsed restores, known once it exists; None without a backup."""


class NetworkPolicies(pulumi.ComponentResource):
    """Denies every connection in the namespaces of the stack, except those allowed here.

    The cluster's network plugin enforces the policies. A plugin that cannot (flannel alone) ignores them silently.

    Two rules are wider than they should be, because a policy cannot name the API server and network plugins disagree
    on its address. Flyte may connect to any host on the API server's port, and any pod may connect to the webhook.
    """

    def __init__(self, name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:NetworkPolicies", name, None, opts)
        # Port the API servers listen on. The Service or the kubeconfig may show a different one.
        servers = k8s.discovery.v1.EndpointSlice.get(
            f"{name}-api-servers",
            "default/kubernetes",
            opts=pulumi.ResourceOptions(parent=self, provider=args.platform.cluster_provider),
        )
        api = servers.ports.apply(lambda ports: int(ports[0].port or _API_PORT) if ports else _API_PORT)
        to_api: _Egress = {"ports": [{"port": api}]}
        self._platform(name, args, to_api)
        for scope in args.settings.task_scopes:
            self._task_namespace(f"{name}-{scope.namespace}", args, scope, to_api)
        if args.drill:
            outside = [_dns(), *_backup_target(args.settings.backup)]
            self._policy(f"{name}-drill-deny", args.drill, "default-deny", {}, (), ())
            self._policy(f"{name}-drill", args.drill, backup.DRILL, {}, (), outside)
        self.register_outputs({})

    def _platform(self, name: str, args: NetworkPoliciesArgs, to_api: _Egress) -> None:
        store, settings = minio.SERVICE, args.settings
        clients = [*map(_all_of, settings.network.clients), *_controller(settings.ingress)]
        tasks = [_all_of(scope.namespace) for scope in settings.task_scopes]
        callers = [_all_of(scope.namespace) for scope in settings.task_scopes if scope.egress.flyte]

        def policy(pods: str, ingress: Sequence[_Ingress] = (), egress: Sequence[_Egress] = ()) -> None:
            self._policy(
                f"{name}-{pods}", args.platform.namespace, pods, _LABELS.get(pods, {NAME: pods}), ingress, egress
            )

        self._policy(f"{name}-deny", args.platform.namespace, "default-deny", {}, (), ())
        backups = [_pods(backup.POD)] if settings.backup.target else []
        clients_of_database = [_pods(names.RELEASE), *backups]
        prometheus = [_all_of(settings.monitoring.namespace)] if settings.monitoring.enabled else []
        if prometheus:
            clients_of_database.append(_pods(monitoring.EXPORTER))
            policy(
                monitoring.EXPORTER,
                ingress=[_from(monitoring.EXPORTER_PORT, *prometheus)],
                egress=[_dns(), _to(postgres.PORT, _pods(postgres.SERVICE))],
            )
        if settings.retention.rows:
            clients_of_database.append(_pods(CRON_JOB))
            policy(CRON_JOB, egress=[_dns(), _to(postgres.PORT, _pods(postgres.SERVICE))])
        policy(postgres.SERVICE, ingress=[_from(postgres.PORT, *clients_of_database)])
        policy(
            store,
            ingress=[
                _from(minio.PORT, _pods(names.RELEASE), _pods(users.JOBS), *backups, *tasks, *clients, *prometheus)
            ],
        )
        if backups:
            servers = [_to(postgres.PORT, _pods(postgres.SERVICE)), _to(minio.PORT, _pods(store))]
            policy(backup.POD, egress=[_dns(), *servers, *_backup_target(settings.backup)])
        policy(users.JOBS, egress=[_dns(), _to(minio.PORT, _pods(store))])
        policy(names.WEBHOOK, ingress=[{"ports": [{"port": names.WEBHOOK_PORT}]}])
        policy(raw_outputs.JOB, egress=[_dns(), _to(names.HTTP_PORT, _pods(names.RELEASE))])
        policy(
            names.RELEASE,
            ingress=[
                _from(names.HTTP_PORT, _pods(raw_outputs.JOB), *clients),
                *([_from(names.GRPC_PORT, *callers, *clients)] if callers or clients else []),
                *([_from(names.METRICS_PORT, *prometheus)] if prometheus else []),
            ],
            egress=[
                _dns(),
                _to(postgres.PORT, _pods(postgres.SERVICE)),
                _to(minio.PORT, _pods(store)),
                to_api,
                *(_reach(settings.auth.egress) if settings.auth.issuer else []),
            ],
        )

    def _task_namespace(self, name: str, args: NetworkPoliciesArgs, scope: TaskScope, to_api: _Egress) -> None:
        namespace = args.task_namespaces[scope.namespace]
        wanted = scope.egress
        egress = [_dns(), _to(minio.PORT, {**_all_of(args.settings.namespace), **_pods(minio.SERVICE)})]
        if wanted.flyte:
            egress.append(_to(names.GRPC_PORT, {**_all_of(args.settings.namespace), **_pods(names.RELEASE)}))
        egress += _reach(wanted)
        if scope.service_account_token:
            egress.append(to_api)
        self._policy(f"{name}-deny", namespace, "default-deny", {}, (), ())
        self._policy(f"{name}-tasks", namespace, "tasks", {}, (), egress)

    def _policy(
        self,
        name: str,
        namespace: pulumi.Input[str],
        object_name: str,
        pods: Mapping[str, str],
        ingress: Sequence[_Ingress],
        egress: Sequence[_Egress],
    ) -> None:
        """A policy for the pods with these labels; without any rule it denies every connection."""
        spec: k8s.networking.v1.NetworkPolicySpecArgsDict = {"pod_selector": {"match_labels": pods} if pods else {}}
        spec["policy_types"] = [kind for kind, rules in (("Ingress", ingress), ("Egress", egress)) if rules]
        if ingress:
            spec["ingress"] = list(ingress)
        if egress:
            spec["egress"] = list(egress)
        if not ingress and not egress:
            spec["policy_types"] = ["Ingress", "Egress"]
        k8s.networking.v1.NetworkPolicy(
            name,
            metadata={"name": object_name, "namespace": namespace, "labels": LABELS},
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self),
        )


def _backup_target(settings: BackupSettings) -> list[_Egress]:
    """The way of a pod to the target of the backup: to its address, or if it has a name, to its port anywhere.

    A policy cannot contain a name. A claim is mounted by the node.
    """
    if not settings.host:
        return []
    try:
        address = ipaddress.IPv4Address(settings.host)
    except ValueError:
        return [{"ports": [{"port": settings.port}]}]
    return [{"to": [{"ip_block": {"cidr": f"{address}/32"}}], "ports": [{"port": settings.port}]}]


def _pods(name: str) -> _Peer:
    return {"pod_selector": {"match_labels": _LABELS.get(name, {NAME: name})}}


def _all_of(namespace: str) -> _Peer:
    # Kubernetes sets this label on every namespace.
    return {"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": namespace}}}


def _controller(ingress: IngressSettings) -> list[_Peer]:
    """The pods of the ingress controller, with the labels that k3s and the controllers' own charts give them."""
    known = {"traefik": ("kube-system", "traefik"), "nginx": ("ingress-nginx", "ingress-nginx")}
    if ingress.controller == "none":
        return []
    namespace, name = known[ingress.controller]
    return [{**_all_of(ingress.namespace or namespace), "pod_selector": {"match_labels": {NAME: name}}}]


def _from(port: int, *peers: _Peer) -> _Ingress:
    return {"from_": list(peers), "ports": [{"port": port}]}


def _to(port: int, *peers: _Peer) -> _Egress:
    return {"to": list(peers), "ports": [{"port": port}]}


def _reach(wanted: Reach) -> list[_Egress]:
    egress: list[_Egress] = []
    if wanted.internet:
        egress.append({"to": [{"ip_block": {"cidr": "0.0.0.0/0", "except_": NOT_PUBLIC}}]})
    if wanted.networks:
        egress.append({"to": [{"ip_block": {"cidr": network}} for network in wanted.networks]})
    if wanted.namespaces:
        egress.append({"to": [_all_of(other) for other in wanted.namespaces]})
    return egress


def _dns() -> _Egress:
    return {"to": [_all_of(_DNS_NAMESPACE), {"ip_block": {"cidr": _NODE_LOCAL_DNS}}], "ports": _DNS_PORTS}

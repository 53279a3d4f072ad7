"""Which pods may connect to which, in the namespaces of the stack."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pulumi
import pulumi_kubernetes as k8s

from components.backup import names as backup
from components.database import names as database
from components.database import postgres
from components.flyte import names, raw_outputs
from components.monitoring import names as monitoring
from components.object_store import minio, users
from components.object_store.egress import external_store_egress
from components.pods import LABELS, NAME, Platform, all_pods_of, dns_egress
from components.retention.names import CRON_JOB
from settings.egress import NOT_PUBLIC, Reach
from settings.ingress import IngressSettings
from settings.postgres_external import ExternalPostgres
from settings.projects import TaskScope
from settings.servers import PostgresSettings
from settings.stack import Settings

_API_PORT = 6443  # of kubeadm, k3s, RKE2 and Talos
# Other pods of the chart have the same name label, but are not part of Flyte itself.
_LABELS = {names.RELEASE: names.POD_LABELS, database.CLUSTER_PODS: database.MEMBERS}

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
            outside = [dns_egress(), *_server(args.settings.backup.host, args.settings.backup.port)]
            self._policy(f"{name}-drill-deny", args.drill, "default-deny", {}, (), ())
            self._policy(f"{name}-drill", args.drill, backup.DRILL, {}, (), outside)
        self.register_outputs({})

    def _platform(self, name: str, args: NetworkPoliciesArgs, to_api: _Egress) -> None:
        settings = args.settings
        clients = [*map(all_pods_of, settings.network.clients), *_controller(settings.ingress)]
        tasks = [all_pods_of(scope.namespace) for scope in settings.task_scopes]
        callers = [all_pods_of(scope.namespace) for scope in settings.task_scopes if scope.egress.flyte]

        def policy(pods: str, ingress: Sequence[_Ingress] = (), egress: Sequence[_Egress] = ()) -> None:
            self._policy(
                f"{name}-{pods}", args.platform.namespace, pods, _LABELS.get(pods, {NAME: pods}), ingress, egress
            )

        self._policy(f"{name}-deny", args.platform.namespace, "default-deny", {}, (), ())
        backups = [_pods(backup.POD)] if settings.backup.target else []
        clients_of_database = [_pods(names.RELEASE), *backups]
        prometheus = [all_pods_of(settings.monitoring.namespace)] if settings.monitoring.enabled else []
        to_database, to_store = _database_egress(settings.postgres), _store_egress(settings)
        if settings.retention.rows:
            clients_of_database.append(_pods(CRON_JOB))
            policy(CRON_JOB, egress=[dns_egress(), to_database])
        if settings.postgres.mode == "bundled":
            if prometheus:
                clients_of_database.append(_pods(monitoring.EXPORTER))
                scrape = _from(monitoring.EXPORTER_PORT, *prometheus)
                policy(monitoring.EXPORTER, ingress=[scrape], egress=[dns_egress(), to_database])
            policy(postgres.SERVICE, ingress=[_from(postgres.PORT, *clients_of_database)])
        else:
            policy(database.CHECK, egress=[dns_egress(), to_database])
        if settings.postgres.mode == "cloudnative-pg":
            clients_of_database.append(_pods(database.CHECK))
            self._database_cluster(name, args, clients_of_database, prometheus, to_api)
        if settings.minio.mode == "bundled":
            users_of_store = [_pods(names.RELEASE), _pods(users.JOBS), *backups, *tasks, *clients, *prometheus]
            policy(minio.SERVICE, ingress=[_from(minio.PORT, *users_of_store)])
            policy(users.JOBS, egress=[dns_egress(), *to_store])
        if backups:
            target = _server(settings.backup.host, settings.backup.port)
            policy(backup.POD, egress=[dns_egress(), to_database, *to_store, *target])
        policy(names.WEBHOOK, ingress=[{"ports": [{"port": names.WEBHOOK_PORT}]}])
        policy(raw_outputs.JOB, egress=[dns_egress(), _to(names.HTTP_PORT, _pods(names.RELEASE))])
        policy(
            names.RELEASE,
            ingress=[
                _from(names.HTTP_PORT, _pods(raw_outputs.JOB), *clients),
                *([_from(names.GRPC_PORT, *callers, *clients)] if callers or clients else []),
                *([_from(names.METRICS_PORT, *prometheus)] if prometheus else []),
            ],
            egress=[
                dns_egress(),
                to_database,
                *to_store,
                to_api,
                *(_reach(settings.auth.egress) if settings.auth.issuer else []),
                *_server(settings.notifications.host, settings.notifications.port),
            ],
        )

    def _database_cluster(
        self, name: str, args: NetworkPoliciesArgs, clients: Sequence[_Peer], prometheus: Sequence[_Peer], api: _Egress
    ) -> None:
        """The policy of the pods that the operator starts: servers, and the Jobs that create or copy one."""
        chosen, members = args.settings.postgres.cloudnative_pg, _pods(database.CLUSTER_PODS)
        operator: _Peer = {
            **all_pods_of(chosen.operator_namespace),
            "pod_selector": {"match_labels": {NAME: "cloudnative-pg"}},
        }
        ports = (postgres.PORT, database.STATUS_PORT)
        ingress = [_from(postgres.PORT, *clients), *(_from(port, members, operator) for port in ports)]
        if prometheus:
            ingress.append(_from(database.METRICS_PORT, *prometheus))
        archive = chosen.archive
        outside: list[_Egress] = []
        if archive.destination:
            outside = _server(archive.host, archive.port) or [{"ports": [{"port": archive.port}]}]
        egress = [dns_egress(), *(_to(port, members) for port in ports), api, *outside]
        pods = database.CLUSTER_PODS
        self._policy(f"{name}-{pods}", args.platform.namespace, pods, database.MEMBERS, ingress, egress)

    def _task_namespace(self, name: str, args: NetworkPoliciesArgs, scope: TaskScope, to_api: _Egress) -> None:
        namespace = args.task_namespaces[scope.namespace]
        wanted = scope.egress
        egress = [dns_egress(), *_store_egress(args.settings, elsewhere=True)]
        if wanted.flyte:
            egress.append(_to(names.GRPC_PORT, {**all_pods_of(args.settings.namespace), **_pods(names.RELEASE)}))
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


def _database_egress(settings: PostgresSettings) -> _Egress:
    """The way of a pod of the platform to the server of the database."""
    if settings.mode == "external":
        return _external_database_egress(settings.external)
    if settings.mode == "cloudnative-pg":
        return _to(postgres.PORT, _pods(database.CLUSTER_PODS))
    return _to(postgres.PORT, _pods(postgres.SERVICE))


def _external_database_egress(server: ExternalPostgres) -> _Egress:
    """The way to a server outside the stack: to its addresses or its namespace, or if only a name is known, its port.

    A policy cannot contain a name.
    """
    if server.service_namespace:
        return _to(server.port, all_pods_of(server.service_namespace))
    networks = [f"{server.address}/32"] if server.address else server.networks
    blocks: list[_Peer] = [{"ip_block": {"cidr": network}} for network in networks]
    return _to(server.port, *blocks) if blocks else {"ports": [{"port": server.port}]}


def _store_egress(settings: Settings, elsewhere: bool = False) -> list[_Egress]:
    """The way of a pod of the platform, or of one ``elsewhere``, to the object store."""
    if settings.minio.mode == "external":
        return external_store_egress(settings.minio.external)
    server = _pods(minio.SERVICE)
    return [_to(minio.PORT, {**all_pods_of(settings.namespace), **server} if elsewhere else server)]


def _server(host: str, port: int) -> list[_Egress]:
    """The way of a pod to a server outside the stack: to its address, or if it has a name, to its port anywhere.

    A policy cannot contain a name. Without a host there is no way.
    """
    if not host:
        return []
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return [{"ports": [{"port": port}]}]
    return [{"to": [{"ip_block": {"cidr": f"{address}/32"}}], "ports": [{"port": port}]}]


def _pods(name: str) -> _Peer:
    return {"pod_selector": {"match_labels": _LABELS.get(name, {NAME: name})}}


def _controller(ingress: IngressSettings) -> list[_Peer]:
    """The pods of the ingress controller, with the labels that k3s and the controllers' own charts give them."""
    known = {"traefik": ("kube-system", "traefik"), "nginx": ("ingress-nginx", "ingress-nginx")}
    if ingress.controller == "none":
        return []
    namespace, name = known[ingress.controller]
    return [{**all_pods_of(ingress.namespace or namespace), "pod_selector": {"match_labels": {NAME: name}}}]


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
        egress.append({"to": [all_pods_of(other) for other in wanted.namespaces]})
    return egress

"""Who may talk to whom in the namespaces of the stack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components import flyte_binary, minio, postgres, raw_outputs, store_users
from components.egress import NOT_PUBLIC, Reach
from components.hardening import LABELS, NAME
from components.project_namespaces import ProjectNamespace

_API_PORT = 6443  # of kubeadm, k3s, RKE2 and Talos
_DNS_NAMESPACE = "kube-system"
# https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/
_NODE_LOCAL_DNS = "169.254.20.10/32"
_DNS_PORTS: list[k8s.networking.v1.NetworkPolicyPortArgsDict] = [
    {"port": 53, "protocol": "UDP"},
    {"port": 53, "protocol": "TCP"},
]

# Other pods of the chart have the same name, but are no part of Flyte itself.
_LABELS = {flyte_binary.RELEASE: flyte_binary.POD_LABELS}

_Peer = k8s.networking.v1.NetworkPolicyPeerArgsDict
_Ingress = k8s.networking.v1.NetworkPolicyIngressRuleArgsDict
_Egress = k8s.networking.v1.NetworkPolicyEgressRuleArgsDict


@dataclass
class NetworkPoliciesArgs:
    """The namespaces, and what is opened in them."""

    # Namespace of Flyte and its stores: its name, and as it is made.
    namespace: str
    platform: pulumi.Input[str]
    projects: Sequence[ProjectNamespace]
    # The namespaces of the projects, as they are made.
    task_namespaces: Mapping[str, pulumi.Input[str]]
    # To ask the cluster for the port of its API servers.
    cluster_provider: pulumi.ProviderResource
    # Names of other namespaces whose pods may reach Flyte and the object store, such as an ingress controller's.
    clients: Sequence[str]
    # The same, but only for the pods with these labels: an ingress controller's.
    client_pods: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Where the provider of Flyte's login is.
    login: Reach | None = None


class NetworkPolicies(pulumi.ComponentResource):
    """Nobody talks to anybody in the namespaces of the stack, but for what is opened here.

    The cluster's network plugin enforces it; one that cannot (flannel alone) does nothing and does not say so.

    Two openings are wider than what goes through them. A policy cannot name the API server, and network plugins
    disagree on the address that it has: so Flyte reaches any host on the API server's port, and anybody reaches the
    webhook, which answers with the pod that it was shown and the names of the Secrets that this pod asks for.
    """

    def __init__(self, name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:NetworkPolicies", name, None, opts)
        # That of the servers themselves, which is not always that of their Service or in the kubeconfig.
        servers = k8s.discovery.v1.EndpointSlice.get(
            f"{name}-api-servers",
            "default/kubernetes",
            opts=pulumi.ResourceOptions(parent=self, provider=args.cluster_provider),
        )
        api = servers.ports.apply(lambda ports: int(ports[0].port or _API_PORT) if ports else _API_PORT)
        to_api: _Egress = {"ports": [{"port": api}]}
        self._platform(name, args, to_api)
        for project in args.projects:
            self._project(f"{name}-{project.name}", args, project, to_api)
        self.register_outputs({})

    def _platform(self, name: str, args: NetworkPoliciesArgs, to_api: _Egress) -> None:
        store = minio.SERVICE
        clients = [_all_of(client) for client in args.clients]
        clients += [
            {**_all_of(space), "pod_selector": {"match_labels": pods}} for space, pods in args.client_pods.items()
        ]
        tasks = [_all_of(project.name) for project in args.projects]
        callers = [_all_of(project.name) for project in args.projects if project.egress.flyte]

        def policy(pods: str, ingress: Sequence[_Ingress] = (), egress: Sequence[_Egress] = ()) -> None:
            self._policy(f"{name}-{pods}", args.platform, pods, _LABELS.get(pods, {NAME: pods}), ingress, egress)

        self._policy(f"{name}-deny", args.platform, "default-deny", {}, (), ())
        policy(postgres.SERVICE, ingress=[_from(postgres.PORT, _pods(flyte_binary.RELEASE))])
        policy(
            store,
            ingress=[_from(minio.PORT, _pods(flyte_binary.RELEASE), _pods(store_users.JOBS), *tasks, *clients)],
        )
        policy(store_users.JOBS, egress=[_dns(), _to(minio.PORT, _pods(store))])
        policy(raw_outputs.JOB, egress=[_dns(), _to(flyte_binary.HTTP_PORT, _pods(flyte_binary.RELEASE))])
        policy(
            flyte_binary.RELEASE,
            ingress=[
                {"ports": [{"port": flyte_binary.WEBHOOK_PORT}]},
                _from(flyte_binary.HTTP_PORT, _pods(raw_outputs.JOB), *clients),
                *([_from(flyte_binary.GRPC_PORT, *callers, *clients)] if callers or clients else []),
            ],
            egress=[
                _dns(),
                _to(postgres.PORT, _pods(postgres.SERVICE)),
                _to(minio.PORT, _pods(store)),
                to_api,
                *(_reach(args.login) if args.login else []),
            ],
        )

    def _project(self, name: str, args: NetworkPoliciesArgs, project: ProjectNamespace, to_api: _Egress) -> None:
        namespace = args.task_namespaces[project.name]
        wanted = project.egress
        egress = [_dns(), _to(minio.PORT, {**_all_of(args.namespace), **_pods(minio.SERVICE)})]
        if wanted.flyte:
            egress.append(_to(flyte_binary.GRPC_PORT, {**_all_of(args.namespace), **_pods(flyte_binary.RELEASE)}))
        egress += _reach(wanted)
        if project.service_account_token:
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
        """A policy for the pods with these labels; without any opening it closes everything."""
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


def _pods(name: str) -> _Peer:
    return {"pod_selector": {"match_labels": _LABELS.get(name, {NAME: name})}}


def _all_of(namespace: str) -> _Peer:
    # The label that Kubernetes itself gives every namespace.
    return {"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": namespace}}}


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

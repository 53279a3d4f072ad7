"""Rules for the namespaces that the stack creates."""

from collections.abc import Iterator

from settings.messages.commands import set_command
from settings.messages.shown import shown
from settings.projects import template_problem
from settings.rules.names import described, distinct, renamed
from settings.stack import PROJECT, Settings
from settings.values import check_label

# Namespaces that widespread software creates for itself, under a name that hardly anyone changes.
_OF_OTHERS = {
    "argocd", "calico-system", "cattle-system", "cert-manager", "cilium", "cnpg-system", "external-secrets",
    "flux-system", "gatekeeper-system", "ingress-nginx", "istio-system", "keda", "kubernetes-dashboard", "kyverno",
    "local-path-storage", "longhorn-system", "metallb-system", "monitoring", "openebs", "rook-ceph", "tigera-operator",
    "traefik", "vault", "velero",
}  # fmt: skip


def namespace_problems(settings: Settings) -> Iterator[str]:
    """Namespaces with names that occur twice, that belong to others, or that Kubernetes rejects."""
    if problem := template_problem(settings.namespace_template):
        yield f"{PROJECT}:namespaceTemplate: {problem}; write it like 103020-{{project}}-{{domain}}"
        return
    owners = {settings.namespace: f"{PROJECT}:namespace"}
    remedy = renamed(f"{PROJECT}:namespaceTemplate", settings.namespace_template)
    if settings.namespace == settings.ingress.namespace:
        key = f"{PROJECT}:ingress.namespace"
        yield (
            f"{key}: {shown(settings.namespace)} is the namespace of the stack itself; write that of the ingress "
            f"controller: {set_command(key, 'kube-system')}"
        )
    elif owner := _owner(settings.namespace, settings):
        yield f"{PROJECT}:namespace: {shown(settings.namespace)} belongs to {owner}; write another, such as flyte"
    for scope in distinct(settings):
        who, name = described(scope), scope.namespace
        if name in owners:
            yield f"{PROJECT}:namespaceTemplate: {who} and {owners[name]} both get {shown(name)}; {remedy}"
        elif owner := _owner(name, settings):
            yield f"{PROJECT}:namespaceTemplate: {who} gets {shown(name)}, which belongs to {owner}; {remedy}"
        elif len(name) > 63:
            yield (
                f"{PROJECT}:namespaceTemplate: {who} gets {shown(name)}, which has {len(name)} characters; "
                f"Kubernetes allows 63: {remedy}"
            )
        else:
            try:
                check_label(name)
            except ValueError as error:
                yield f"{PROJECT}:namespaceTemplate: {who} gets {shown(name)}, which {error}; {remedy}"
        owners.setdefault(name, who)


def _owner(namespace: str, settings: Settings) -> str:
    """Who else has this namespace; empty if it seems to be free. Pulumi never takes over one that exists."""
    if namespace == "default" or namespace.startswith("kube-"):
        return "Kubernetes itself"
    if namespace and namespace == settings.ingress.namespace:
        return f"the ingress controller ({PROJECT}:ingress.namespace)"
    return "other software of the cluster" if namespace in _OF_OTHERS else ""

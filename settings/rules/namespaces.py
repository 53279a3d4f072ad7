"""Rules for the namespaces that the stack creates."""

from collections.abc import Iterator

from settings.projects import template_problem
from settings.rules.names import described, distinct
from settings.shown import shown
from settings.stack import PROJECT, Settings
from settings.values import check_label

# Namespaces that widespread software creates for itself, under a name that hardly anyone changes.
_OF_OTHERS = {
    *("argocd", "calico-system", "cattle-system", "cert-manager", "cnpg-system", "flux-system", "ingress-nginx"),
    *(
        "istio-system",
        "keda",
        "local-path-storage",
        "longhorn-system",
        "metallb-system",
        "monitoring",
        "tigera-operator",
    ),
}


def namespace_problems(settings: Settings) -> Iterator[str]:
    """Namespaces with names that occur twice, that belong to others, or that Kubernetes rejects."""
    if problem := template_problem(settings.namespace_template):
        yield f"{PROJECT}:namespaceTemplate: {problem}; write it like 103020-{{project}}-{{domain}}"
        return
    owners = {settings.namespace: f"{PROJECT}:namespace"}
    remedy = "rename a project or a domain, or change flyte-home:namespaceTemplate"
    if owner := _owner(settings.namespace, settings):
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
                yield f"{PROJECT}:namespaceTemplate: {who} gets {shown(name)}, which {error}"
        owners.setdefault(name, who)


def _owner(namespace: str, settings: Settings) -> str:
    """Who else has this namespace; empty if it is free, as far as is known. Pulumi never takes over a namespace that exists."""
    if namespace == "default" or namespace.startswith("kube-"):
        return "Kubernetes itself"
    if namespace == settings.ingress.namespace:
        return f"the ingress controller ({PROJECT}:ingress.namespace)"
    return "other software of the cluster" if namespace in _OF_OTHERS else ""

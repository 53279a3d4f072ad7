"""Whether the cluster has the operator CloudNativePG, checked before an update changes anything."""

import json

from components.pods import NAME
from ops.lib.kubectl import Cluster
from ops.lib.workloads import Object
from settings import PROJECT, Settings
from settings.errors import SettingsError

_CLUSTERS, _ARCHIVES = "clusters.postgresql.cnpg.io", "objectstores.barmancloud.cnpg.io"
# The newest field that the stack sets; operators before 1.28 do not have it.
_NEWEST = ("spec", "postgresql", "synchronous", "failoverQuorum")
_KEY, _OPERATOR = f"{PROJECT}:postgres.mode", "cloudnative-pg"
_INSTALL = "install it as https://cloudnative-pg.io/docs/1.30/installation_upgrade says, or write another mode"


def check_operator(cluster: Cluster, settings: Settings) -> None:
    """Check that the operator runs, if the stack needs it.

    Raises:
        SettingsError: it is missing, stopped or too old, or so is its plugin; or the cluster does not answer.
    """
    if settings.postgres.mode != "cloudnative-pg":
        return
    definition = _definition(cluster, _CLUSTERS)
    if not definition:
        raise SettingsError(
            f"{_KEY}: is cloudnative-pg, but the cluster does not have this operator. Nothing was changed; {_INSTALL}"
        )
    if not _has_field(definition):
        raise SettingsError(
            f"{_KEY}: is cloudnative-pg, but the operator in the cluster is older than 1.28, and lacks "
            f"{'.'.join(_NEWEST)}. Nothing was changed; upgrade it"
        )
    if stopped := operator_trouble(cluster, settings):
        raise SettingsError(f"{stopped}. Nothing was changed")
    archive = settings.postgres.cloudnative_pg.archive
    if archive.destination and not _definition(cluster, _ARCHIVES):
        raise SettingsError(
            f"{PROJECT}:postgres.cloudnativePg.archive: needs the plugin Barman Cloud of the operator, and the cluster "
            "does not have it. Nothing was changed; install it as "
            "https://cloudnative-pg.io/plugin-barman-cloud/docs/installation says, or leave archive out"
        )


def operator_trouble(cluster: Cluster, settings: Settings) -> str:
    """Return why the operator does not work, and what to do; empty if it does, or if it may not be looked at.

    Without it, no standby takes over, and no change of the cluster or of its password is applied.
    """
    namespace = settings.postgres.cloudnative_pg.operator_namespace
    where = [f"--namespace={namespace}", f"--selector={NAME}={_OPERATOR}"]
    answer = cluster.run("get", "deployments", *where, "--output=json")
    if answer.returncode:
        return ""
    found = json.loads(answer.stdout)["items"]
    if not found:
        return (
            f"{PROJECT}:postgres.cloudnativePg.operatorNamespace: the operator CloudNativePG is not in {namespace}; "
            "write the namespace in which it runs"
        )
    if any(one["status"].get("readyReplicas") for one in found):
        return ""
    name = found[0]["metadata"]["name"]
    shown = cluster.shown("--namespace", namespace, "describe", "deployment", name)
    return f"the operator CloudNativePG does not run: deployment/{name} in {namespace} has no ready pod; see {shown}"


def _definition(cluster: Cluster, name: str) -> Object | None:
    answer = cluster.ask("get", "customresourcedefinition", name, "--ignore-not-found", "--output=json")
    found: Object | None = json.loads(answer) if answer.strip() else None
    return found


def _has_field(definition: Object) -> bool:
    """Whether a version of the definition has the newest field."""
    for version in definition["spec"]["versions"]:
        schema = version.get("schema", {}).get("openAPIV3Schema", {})
        for name in _NEWEST:
            schema = schema.get("properties", {}).get(name, {})
        if schema:
            return True
    return False

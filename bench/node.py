"""What pods use, from the kubelet's statistics, and what the API server and the database are asked."""

import json
import re
from dataclasses import dataclass
from typing import Any

from ops.lib.kubectl import Cluster

_REQUESTS = re.compile(r"^apiserver_request_total\{.*\} (\S+)$", re.MULTILINE)
_TRANSACTIONS = "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database"
_SIZE = "SELECT sum(pg_database_size(oid)) FROM pg_database"


@dataclass(frozen=True)
class Use:
    """What one pod uses."""

    memory: float
    """MiB that it cannot give back (the working set)."""
    cpu: float
    """Seconds of CPU time since it started."""


def summaries(cluster: Cluster) -> list[dict[str, Any]]:
    """The statistics of the kubelet of each node.

    Raises:
        SettingsError: the cluster does not answer, or does not let this user read them.
    """
    names = cluster.ask("get", "nodes", "--output=jsonpath={.items[*].metadata.name}").split()
    return [json.loads(cluster.ask("get", "--raw", f"/api/v1/nodes/{name}/proxy/stats/summary")) for name in names]


def uses(found: list[dict[str, Any]], namespace: str) -> dict[str, Use]:
    """What the pods of a namespace use, by their names."""
    return {
        pod["podRef"]["name"]: Use(
            pod.get("memory", {}).get("workingSetBytes", 0) / 2**20,
            pod.get("cpu", {}).get("usageCoreNanoSeconds", 0) / 1e9,
        )
        for summary in found
        for pod in summary["pods"]
        if pod["podRef"]["namespace"] == namespace
    }


def pods_cpu(found: list[dict[str, Any]]) -> float:
    """Seconds of CPU time of all pods since the nodes started, also of those that are gone."""
    return sum(
        float(container["cpu"]["usageCoreNanoSeconds"]) / 1e9
        for summary in found
        for container in summary["node"].get("systemContainers", [])
        if container["name"] == "pods"
    )


def api_requests(metrics: str) -> float:
    """Number of requests that the API server has answered, from its metrics."""
    return sum(float(number) for number in _REQUESTS.findall(metrics))


def transactions(cluster: Cluster) -> float:
    """Number of transactions of the database's server since it started.

    Raises:
        SettingsError: the database does not answer.
    """
    return float(_selected(cluster, _TRANSACTIONS))


def database_bytes(cluster: Cluster) -> float:
    """Size of all databases in bytes.

    Raises:
        SettingsError: the database does not answer.
    """
    return float(_selected(cluster, _SIZE))


def _selected(cluster: Cluster, query: str) -> str:
    psql = ["psql", "--username=postgres", "--tuples-only", "--no-align", "--command", query]
    return cluster.ask("exec", "postgres-0", "--namespace=flyte", "--container=postgres", "--", *psql)


def workflow_bytes(cluster: Cluster, namespace: str, name: str) -> int:
    """Size of a FlyteWorkflow object as JSON, in bytes; 0 if there is none."""
    answer = cluster.run("get", "flyteworkflows.flyte.lyft.com", name, f"--namespace={namespace}", "--output=json")
    return len(json.dumps(json.loads(answer.stdout), separators=(",", ":"))) if answer.returncode == 0 else 0

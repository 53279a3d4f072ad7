"""A stack with monitoring on a cluster with nodes: what Prometheus would read there."""

import base64
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from components.monitoring.targets import TARGETS
from tests.engine.conftest import Cluster, Project, kubectl
from tests.engine.deployed import Deployed, deployment
from tests.matrix import DEFINITIONS
from tests.metrics import AFTER_A_WORKFLOW, captured, names, of_service, scraped

NAMES = [f"crd/{definition['metadata']['name']}" for definition in DEFINITIONS]


@dataclass
class Monitored:
    """A stack with monitoring, and what `make up` said before the cluster had the definitions for it."""

    deployed: Deployed
    refusal: subprocess.CompletedProcess[str]
    before: str

    def read(self, service: str) -> str:
        """What a server of the stack answers to Prometheus, on all paths of its ServiceMonitor."""
        monitor = json.loads(self.deployed.kubectl("get", "servicemonitor", service, "-n", "flyte", "--output=json"))
        target = next(target for target in TARGETS if target.name == service)
        with self._forwarded(service, target.port) as address:
            return "\n".join(
                scraped(address + endpoint["path"], self._token(endpoint)) for endpoint in monitor["spec"]["endpoints"]
            )

    def _token(self, endpoint: dict[str, dict[str, dict[str, str]]]) -> str:
        """The token to which a ServiceMonitor refers."""
        if "authorization" not in endpoint:
            return ""
        wanted = endpoint["authorization"]["credentials"]
        secret = json.loads(self.deployed.kubectl("get", "secret", wanted["name"], "-n", "flyte", "--output=json"))
        return base64.b64decode(secret["data"][wanted["key"]]).decode()

    @contextmanager
    def _forwarded(self, service: str, port: int) -> Iterator[str]:
        cluster = self.deployed.cluster
        command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "--context", cluster.context]
        command += ["port-forward", f"service/{service}", f":{port}", "--namespace=flyte"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                match = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
                assert match, "kubectl does not listen"
                yield f"http://127.0.0.1:{match[1]}"
            finally:
                process.terminate()


@pytest.fixture(scope="module")
def monitored(cluster: Cluster, new_project: Callable[[], Project]) -> Iterator[Monitored]:
    """A stack that gets monitoring on a cluster that at first lacks the Prometheus Operator."""
    kubectl(cluster.kubeconfig, "delete", "--ignore-not-found", *NAMES)
    with deployment(cluster, new_project) as found:
        stack = found.project.stack(cluster)
        found.project.configure(stack, monitoring={"scrape": "operator", "dashboards": {"grafanaOperator": True}})
        refusal = found.make("up")
        before = found.kubectl("get", "deployments,services,configmaps", "-n", "flyte", "--output=name")
        try:
            kubectl(cluster.kubeconfig, "create", "--filename=-", given=json.dumps(listed(DEFINITIONS)))
            kubectl(cluster.kubeconfig, "wait", "--for=condition=Established", *NAMES, "--timeout=60s")
            done = found.make("up", seconds=600)
            assert done.returncode == 0, done.stdout + done.stderr
            yield Monitored(found, refusal, before)
            found.project.configure(stack, monitoring=None)
            done = found.make("up", seconds=600)
            assert done.returncode == 0, done.stdout + done.stderr
        finally:
            kubectl(cluster.kubeconfig, "delete", "--ignore-not-found", *NAMES)


def listed(items: list[object]) -> dict[str, object]:
    """A list of objects, as kubectl reads it."""
    return {"apiVersion": "v1", "kind": "List", "items": items}


def test_up_says_that_the_operator_is_missing_before_it_changes_anything(monitored: Monitored):
    said = monitored.refusal.stdout + monitored.refusal.stderr

    assert monitored.refusal.returncode == 1
    assert "does not have servicemonitors.monitoring.coreos.com" in said
    assert "Nothing was changed" in said
    assert "metrics" not in monitored.before
    assert "exporter" not in monitored.before


def test_flyte_has_every_metric_that_alerts_and_dashboards_name(monitored: Monitored):
    found = names(monitored.read("flyte-metrics"))

    assert of_service("flyte-metrics") - AFTER_A_WORKFLOW - found == set()
    # Those of the program; its libraries have more of their own, which depend on its requests.
    own = {name for name in captured("flyte") if name.startswith("flyte:") and name.endswith("_unlabeled")}
    assert own - found == set()


def test_the_store_lets_the_token_of_the_stack_read_its_metrics(monitored: Monitored):
    found = names(monitored.read("minio-metrics"))

    # It has counted no object yet.
    assert of_service("minio-metrics") - found <= {"minio_bucket_usage_total_bytes"}


def test_the_exporter_reads_the_database_of_the_stack(monitored: Monitored):
    text = monitored.read("postgres-metrics")

    assert "pg_up 1" in text
    assert 'pg_stat_database_numbackends{datid="' in text
    assert of_service("postgres-metrics") - names(text) == set()


def test_the_doctor_finds_nothing_wrong_with_monitoring(monitored: Monitored):
    monitored.deployed.healthy()

"""A stack whose object store is in another namespace, as on another machine: a wrong setting changes nothing."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme
from pulumi import automation as auto

from settings.images import images
from tests.engine.conftest import Cluster, Project, kubectl
from tests.external_store import external
from tests.processes import wait_until

NAMESPACE, REGION = "flyte-home-test-outside", "eu-home"
HOST = f"nas.{NAMESPACE}.svc"
BUCKETS = ("flyte", "remedy-development", "remedy-production")
USERS = ("flyte", "development", "production")
ROOT_USER, ROOT_PASSWORD = "planted-root", "plantedRootPassword1"


@dataclass
class Outside:
    """The other namespace with its store."""

    cluster: Cluster
    authority: str
    messages: dict[str, str] = field(default_factory=dict)
    """What the Job of the check said about each wrong setting."""
    changed: dict[str, set[str]] = field(default_factory=dict)
    """Objects of the stack that an update with a wrong setting has changed, besides those of the check."""

    def kubectl(self, *arguments: str, given: str = "") -> str:
        return kubectl(self.cluster.kubeconfig, "--context", self.cluster.context, *arguments, given=given)

    def settings(self, **more: Any) -> dict[str, Any]:
        """Settings of a stack that uses the store."""
        described = {
            "endpoint": f"https://{HOST}:9000",
            "clientEndpoint": f"https://{HOST}:9000",
            "networks": [],
            "region": REGION,
            "certificateAuthority": self.authority,
            **more,
        }
        return external("development", "production", **described)

    def objects(self) -> dict[str, str]:
        """Version of every object of the stack in its namespaces, besides those of the check."""
        kinds = "deployments,statefulsets,services,secrets,configmaps,networkpolicies,persistentvolumeclaims"
        found = {}
        for namespace in ("flyte", "remedy-development"):
            listed = json.loads(self.kubectl("get", kinds, f"--namespace={namespace}", "--output=json"))["items"]
            for one in listed:
                metadata = one["metadata"]
                if not metadata["name"].startswith("object-store-"):
                    found[f"{namespace}/{one['kind']}/{metadata['name']}"] = json.dumps(
                        one.get("spec", one.get("data"))
                    )
        return found

    def said(self) -> str:
        """The last line of the log of the newest check."""
        by_age = "--sort-by=.metadata.creationTimestamp"
        selector = "--selector=app.kubernetes.io/name=object-store-check"
        pods = self.kubectl("get", "pods", "--namespace=flyte", selector, by_age, "--output=name").split()
        return self.kubectl("logs", pods[-1], "--namespace=flyte", "--tail=1").strip()


@pytest.fixture(scope="module")
def outside(cluster: Cluster) -> Iterator[Outside]:
    """A store with TLS, a region, and a user for Flyte and for the tasks of each domain."""
    authority = trustme.CA()
    issued = authority.issue_cert(HOST)
    made = Outside(cluster, authority.cert_pem.bytes().decode())
    chosen = images(cluster.settings.get("images", {}))
    metadata = {"name": "nas", "namespace": NAMESPACE}
    files = {
        "private.key": issued.private_key_pem.bytes().decode(),
        "public.crt": issued.cert_chain_pems[0].bytes().decode(),
    }
    variables = {"MINIO_ROOT_USER": ROOT_USER, "MINIO_ROOT_PASSWORD": ROOT_PASSWORD, "MINIO_SITE_REGION": REGION}
    server = {
        "name": "nas",
        "image": chosen["minio"].reference,
        "imagePullPolicy": "IfNotPresent",
        "args": ["server", "/data", "--certs-dir", "/certs"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "volumeMounts": [{"name": "certs", "mountPath": "/certs"}],
    }
    alias = f"https://{ROOT_USER}:{ROOT_PASSWORD}@nas:9000"
    steps = ["until mc --insecure ls t; do sleep 1; done", *(f"mc --insecure mb t/{bucket}" for bucket in BUCKETS)]
    for user in USERS:
        steps.append(f"mc --insecure admin user add t planted-access-{user} planted-secret-key-of-{user}")
        steps.append(f"mc --insecure admin policy attach t readwrite --user planted-access-{user}")
    files["users.sh"] = "\n".join(["set -e", *steps, ""])
    client = {
        "name": "client",
        "image": chosen["mc"].reference,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "/certs/users.sh"],
        "env": [{"name": "MC_HOST_t", "value": alias}, {"name": "MC_REGION", "value": REGION}],
        "volumeMounts": [{"name": "certs", "mountPath": "/certs"}],
    }
    volumes = [{"name": "certs", "secret": {"secretName": "nas"}}]
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": files},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": "nas"}, "ports": [{"port": 9000}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "labels": {"app": "nas"}},
            "spec": {"containers": [server], "volumes": volumes},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "name": "client"},
            "spec": {"restartPolicy": "Never", "containers": [client], "volumes": volumes},
        },
    ]
    made.kubectl("apply", "--filename=-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    phase = ["get", "pod", "client", f"--namespace={NAMESPACE}", "--output=jsonpath={.status.phase}"]
    try:
        wait_until(lambda: made.kubectl(*phase) == "Succeeded", "the users of the store", 120)
        yield made
    finally:
        made.kubectl("delete", "namespace", NAMESPACE)


def wrong_settings(outside: Outside) -> dict[str, dict[str, Any]]:
    """Settings that are wrong in one thing each, by the beginning of the message."""
    right = outside.settings()
    other_key = {"accessKeyId": "planted-access-development", "secretAccessKey": f"not-{ROOT_PASSWORD}"}
    without_bucket = copy.deepcopy(right["minio"])
    without_bucket["bucket"] = "missing"
    return {
        "flyte-home:minio.external.endpoint": outside.settings(endpoint=f"https://{HOST}:9001"),
        "flyte-home:minio.external.certificateAuthority": outside.settings(
            certificateAuthority=trustme.CA().cert_pem.bytes().decode()
        ),
        "flyte-home:minio.external.region": outside.settings(region="us-east-1"),
        "flyte-home:objectStoreKey-remedy-development": {
            **right,
            "objectStoreKey__remedy__development": json.dumps(other_key),
        },
        "flyte-home:minio.bucket": {**right, "minio": without_bucket},
    }


@pytest.fixture(scope="module")
def lived(outside: Outside, new_project: Callable[[], Project]) -> Iterator[Outside]:
    """A stack that is deployed, and then updated with one wrong setting after the other."""
    project = new_project()
    stack = project.stack(outside.cluster, **outside.settings())
    try:
        stack.up()
        for expected, settings in wrong_settings(outside).items():
            before = outside.objects()
            project.configure(stack, **settings)
            with pytest.raises(auto.CommandError):
                stack.up()
            outside.messages[expected] = outside.said()
            after = outside.objects()
            outside.changed[expected] = {name for name in before | after if before.get(name) != after.get(name)}
            project.configure(stack, **outside.settings())
        stack.up()
        yield outside
    finally:
        stack.destroy()


def test_each_wrong_setting_is_one_message_of_the_check(lived: Outside):
    for expected, said in lived.messages.items():
        assert said.startswith(f"store-check: {expected}: ".replace("minio.bucket: ", "minio.bucket and "))
        assert said.endswith("Nothing was changed")
        assert "planted" not in said


def test_a_wrong_setting_changes_nothing_of_a_stack_that_runs(lived: Outside):
    assert len(lived.changed) == 5
    assert lived.changed == {name: set() for name in lived.changed}


def test_no_key_is_in_a_log_a_config_map_or_a_pod(lived: Outside):
    texts = lived.kubectl("get", "configmaps,pods,jobs,statefulsets,deployments,events", "-A", "--output=yaml")
    selector = "--selector=app.kubernetes.io/part-of=flyte-home"
    texts += lived.kubectl("logs", selector, "--namespace=flyte", "--all-containers", "--tail=-1", "--ignore-errors")

    assert "store-check: the store has every bucket" in texts
    assert not [user for user in USERS if f"planted-secret-key-of-{user}" in texts]

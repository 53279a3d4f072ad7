"""A stack whose object store is in another namespace, as on another machine: a wrong setting changes nothing."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme
from pulumi import automation as auto

from tests.engine.conftest import Cluster, Project, kubectl
from tests.engine.outside import HOST, REGION, ROOT_PASSWORD, outside_store
from tests.external_store import external

BUCKETS = ("flyte", "remedy-development", "remedy-production")
USERS = ("flyte", "development", "production")


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
    with outside_store(cluster, USERS, BUCKETS) as authority:
        yield Outside(cluster, authority)


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

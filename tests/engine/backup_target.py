"""A place for backups: an object store in a namespace of its own, as on another machine of the home."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from settings.images import images
from tests.engine.conftest import Cluster, kubectl
from tests.processes import wait_until

TARGET = "flyte-home-test-target"
USER, SECRET = "planted-target-user", "plantedTargetSecret1"


def _pod(name: str, image: str, **container: Any) -> dict[str, Any]:
    spec = {"name": name, "image": image, "imagePullPolicy": "IfNotPresent", **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": TARGET, "labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "containers": [spec]},
    }


@pytest.fixture(scope="module")
def target(cluster: Cluster) -> Iterator[str]:
    """An object store in a namespace of its own, as on another machine of the home."""
    chosen = images(cluster.settings.get("images", {}))
    root = [{"name": "MINIO_ROOT_USER", "value": USER}, {"name": "MINIO_ROOT_PASSWORD", "value": SECRET}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "nas", "namespace": TARGET},
        "spec": {"selector": {"app": "nas"}, "ports": [{"port": 9000}]},
    }
    make_bucket = f"until mc alias set t http://nas:9000 {USER} {SECRET} && mc mb t/sets; do sleep 1; done"
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TARGET}},
        service,
        _pod("nas", chosen["minio"].reference, args=["server", "/data"], env=root),
        _pod("bucket", chosen["mc"].reference, command=["/bin/sh", "-c", make_bucket]),
    ]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl(cluster.kubeconfig, "apply", "--filename=-", given=given)
    phase = ["get", "pod", "bucket", f"--namespace={TARGET}", "--output=jsonpath={.status.phase}"]
    wait_until(lambda: kubectl(cluster.kubeconfig, *phase) == "Succeeded", "the bucket of the target", 120)
    # A storage class may keep the volume of an earlier stack, which knows the sets that it had.
    yield f"s3:http://nas.{TARGET}.svc:9000/sets/{secrets.token_hex(4)}"
    kubectl(cluster.kubeconfig, "delete", "namespace", TARGET)
